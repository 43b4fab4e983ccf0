"""Whether a worker process still works, and when a lost one is started again; pure."""

from dataclasses import dataclass
from typing import Final

TICK_SECONDS: Final = 0.2
"""How often workers are asked for a sign of life."""

SILENCE_SECONDS_MAX: Final = 0.9
"""A worker that has not answered for so long hangs. With a start of under a second it
is replaced within two."""

RUN_SECONDS_MAX: Final = 30.0
"""One batch must not take longer, however long its texts are."""

RESTART_WAITS_SECONDS: Final = (0.0, 0.0, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0)
"""Waits before the next start, by how many processes were lost in a row."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of a worker.

    Attributes:
        heard_at: when it last said anything, monotonic seconds.
        asked_at: when it was asked for a sign of life that it has not given yet; None
            when it owes none.
        running_since: when the oldest batch it has was sent; None without one.
    """

    heard_at: float
    asked_at: float | None = None
    running_since: float | None = None


def hangs(signs: Signs, now: float, late_seconds: float) -> str | None:
    """Return why a worker is to be replaced; None while it is well.

    Args:
        signs: what is known of it.
        now: monotonic time.
        late_seconds: how much later than planned this look is. A machine that stood
            still froze the watcher as well; that time is not held against the worker.
    """
    if signs.asked_at is not None:
        silent = now - max(signs.asked_at, signs.heard_at) - late_seconds
        if silent > SILENCE_SECONDS_MAX:
            return f"no sign of life for {silent:.1f} s"
    if signs.running_since is not None:
        running = now - signs.running_since
        if running > RUN_SECONDS_MAX:
            return f"one batch took over {RUN_SECONDS_MAX:g} s"
    return None


def restart_wait_seconds(failures: int) -> float:
    """Return the wait before the next start, after so many losses in a row."""
    return RESTART_WAITS_SECONDS[min(failures, len(RESTART_WAITS_SECONDS) - 1)]
