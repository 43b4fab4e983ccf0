"""Whether more work is taken, from how busy the replicas are; pure.

Work that finds nobody waiting is always taken: a limit must not make a large call
impossible. Beyond that the queue is bounded by pieces, and by the time that a piece at
its end would wait: work that would come too late is refused at once, not after a wait.
"""

from dataclasses import dataclass
from typing import Final

from cortex.inference.ports import Admitted, Load, Pushback

WAITING_MAX: Final = 4096
"""Pieces that may wait at once, over all callers: about 10 s of work on two cores."""

RUN_SECONDS_GUESS: Final = 0.005
"""Assumed time for one text before any was measured."""

RETRY_AFTER_MIN_SECONDS: Final = 0.1
"""Shortest advice to a caller that was refused for load."""


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """How much may wait.

    Attributes:
        waiting_max: pieces that may wait.
        wait_seconds_max: how long the last of them may wait.
    """

    waiting_max: int = WAITING_MAX
    wait_seconds_max: float = 60.0


def expected_wait_seconds(load: Load, pieces: int) -> float:
    """Return when ``pieces`` more would be done if they were taken now."""
    each = load.seconds_each or RUN_SECONDS_GUESS
    return (load.waiting + pieces) * each / max(1, load.lanes)


def admit(load: Load, pieces: int, limits: AdmissionLimits) -> Admitted | Pushback:
    """Return whether ``pieces`` more pieces are taken."""
    if not load.waiting:
        return Admitted()
    drained = max(RETRY_AFTER_MIN_SECONDS, expected_wait_seconds(load, 0))
    if load.waiting + pieces > limits.waiting_max:
        reason = f"{load.waiting} texts wait to be embedded already"
        return Pushback(reason, drained, limits.waiting_max)
    if expected_wait_seconds(load, pieces) > limits.wait_seconds_max:
        reason = f"it would take over {limits.wait_seconds_max:g} s until it is done"
        return Pushback(reason, drained, limits.wait_seconds_max)
    return Admitted()


@dataclass(frozen=True, slots=True)
class BoundedQueue:
    """The default `AdmissionGate`."""

    limits: AdmissionLimits = AdmissionLimits()

    def admit(self, load: Load, pieces: int) -> Admitted | Pushback:
        """Return whether ``pieces`` more pieces are taken."""
        return admit(load, pieces, self.limits)
