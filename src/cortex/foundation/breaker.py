"""A circuit breaker: stop asking what keeps failing, and try again with one probe.

The decision is a pure state machine (`admit`, `settle`, `abandon` over a frozen
`BreakerState`); `Breaker` holds one state behind a lock and reads the clock. The
states are those of M. Nygard, "Release It!" (2007), chapter 5::

    CLOSED ──too many failures──> OPEN ──open_seconds over──> HALF_OPEN
      ^                             ^                             │
      └────────────probe ok─────────┼────────────probe failed─────┘

Too many failures is either a row of them (a dead dependency) or a share of the last
calls (a sick one). Answers that come late, from before the last change of state, are
not counted.
"""

import threading
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from cortex.foundation.clock import Clock

_NEVER: Final = float("-inf")


class Phase(Enum):
    """Whether calls pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to open, and for how long.

    Attributes:
        failures_in_a_row: failures without a success between them that open it.
        window_calls: how many of the last calls the failure share looks at.
        failure_share: share of failures in a full window that opens it, 0 to 1.
        open_seconds: how long all calls are refused, and how long a probe may take
            before another one is let through.
    """

    failures_in_a_row: int = 3
    window_calls: int = 20
    failure_share: float = 0.5
    open_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuse a policy that could never open or never close."""
        if self.failures_in_a_row < 1 or self.window_calls < 1:
            message = "failures_in_a_row and window_calls must be at least 1"
            raise ValueError(message)
        if not 0 < self.failure_share <= 1 or self.open_seconds <= 0:
            message = "failure_share must be in (0, 1] and open_seconds positive"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class BreakerState:
    """Everything the breaker remembers.

    Attributes:
        phase: whether calls pass.
        generation: number of changes of phase so far; a permit carries it.
        failures: failures since the last success.
        outcomes: the last calls, oldest first, true for a success.
        since: monotonic time of the last change to OPEN.
        probing_since: monotonic time the probe left; minus infinity without one.
    """

    phase: Phase = Phase.CLOSED
    generation: int = 0
    failures: int = 0
    outcomes: tuple[bool, ...] = ()
    since: float = _NEVER
    probing_since: float = _NEVER


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call; give it back with the outcome.

    Attributes:
        generation: which phase of the breaker gave it.
        probe: whether this call decides if the breaker closes.
    """

    generation: int
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """No call now.

    Attributes:
        retry_after_seconds: when it is worth asking again; above zero.
    """

    retry_after_seconds: float


def admit(
    state: BreakerState, policy: BreakerPolicy, now: float
) -> tuple[BreakerState, Permit | Refused]:
    """Return whether a call may go, and the state after that answer."""
    if state.phase is Phase.CLOSED:
        return state, Permit(state.generation)
    started = state.since if state.phase is Phase.OPEN else state.probing_since
    left = policy.open_seconds - (now - started)
    if left > 0:
        return state, Refused(left)
    probing = replace(
        state,
        phase=Phase.HALF_OPEN,
        generation=state.generation + 1,
        probing_since=now,
    )
    return probing, Permit(probing.generation, probe=True)


def settle(
    state: BreakerState, policy: BreakerPolicy, permit: Permit, now: float, *, ok: bool
) -> BreakerState:
    """Return the state after a permitted call ended."""
    if permit.generation != state.generation:
        return state
    if state.phase is Phase.HALF_OPEN:
        if ok:
            return BreakerState(generation=state.generation + 1)
        return _opened(state, now)
    failures = 0 if ok else state.failures + 1
    outcomes = (*state.outcomes, ok)[-policy.window_calls :]
    counted = replace(state, failures=failures, outcomes=outcomes)
    if ok:
        return counted
    full = len(outcomes) == policy.window_calls
    share = outcomes.count(False) / len(outcomes)
    if failures >= policy.failures_in_a_row or (full and share >= policy.failure_share):
        return _opened(counted, now)
    return counted


def abandon(state: BreakerState, permit: Permit) -> BreakerState:
    """Return the state after a permitted call was given up without an outcome."""
    if permit.generation != state.generation or not permit.probe:
        return state
    return replace(state, probing_since=_NEVER)


def _opened(state: BreakerState, now: float) -> BreakerState:
    return BreakerState(
        phase=Phase.OPEN,
        generation=state.generation + 1,
        failures=state.failures,
        since=now,
    )


class Breaker:
    """One dependency's breaker; safe to use from several threads."""

    def __init__(self, clock: Clock, policy: BreakerPolicy | None = None) -> None:
        """Start closed."""
        self._clock = clock
        self._policy = policy or BreakerPolicy()
        self._lock = threading.Lock()
        self._state = BreakerState()

    @property
    def state(self) -> BreakerState:
        """Return what the breaker remembers now."""
        return self._state

    def enter(self) -> Permit | Refused:
        """Ask to make a call; a permit must come back by `settle` or `abandon`."""
        with self._lock:
            self._state, answer = admit(
                self._state, self._policy, self._clock.monotonic()
            )
        return answer

    def settle(self, permit: Permit, *, ok: bool) -> None:
        """Say how the permitted call ended."""
        with self._lock:
            self._state = settle(
                self._state, self._policy, permit, self._clock.monotonic(), ok=ok
            )

    def abandon(self, permit: Permit) -> None:
        """Say that the permitted call was given up without an outcome."""
        with self._lock:
            self._state = abandon(self._state, permit)

    def reset(self) -> None:
        """Close: the dependency was seen to answer by another way."""
        with self._lock:
            self._state = BreakerState(generation=self._state.generation + 1)
