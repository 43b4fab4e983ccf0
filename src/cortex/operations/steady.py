"""Time for series and alerts: wall time that clock steps cannot move."""

from cortex.foundation.clock import Clock


class SteadyTime:
    """Epoch seconds that begin at the wall clock and go on with the monotonic one.

    A wall clock set forward by an hour would look like an hour without requests, one
    set back like points in the future; both could fire or end alerts. In a process
    this time knows neither. ``resume`` keeps it growing over restarts as well.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin at the wall clock's present."""
        self._clock = clock
        self._wall = clock.now()
        self._started = clock.monotonic()

    def now(self) -> float:
        """Return the present in epoch seconds; never less than before."""
        return self._wall + (self._clock.monotonic() - self._started)

    def resume(self, latest: float) -> None:
        """Go on behind the last moment an earlier process knew."""
        behind = latest - self.now()
        if behind > 0:
            self._wall += behind
