"""Looks at everything that was promised, every ten seconds."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from cortex.foundation.clock import Clock
from cortex.operations.alerts.engine import Alerts
from cortex.operations.alerts.model import Evaluation
from cortex.operations.slo.controller import SeriesSource, SloController
from cortex.operations.slo.report import Promise, promises
from cortex.operations.steady import SteadyTime

TICK_SECONDS = 10.0
"""Between two looks: an outage pages after 48.4 s of it, so within a minute."""

Look = Callable[[float], Sequence[Evaluation]]
"""Returns what was found at a moment."""


async def _nothing() -> None:
    """Bring nothing up to date."""


class Watch:
    """Runs the looks, keeps the alerts, and answers how things stand."""

    def __init__(
        self,
        slo: SloController,
        alerts: Alerts,
        looks: Iterable[Look] = (),
        *,
        clock: Clock,
        before: Callable[[], Awaitable[None]] = _nothing,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """Take the promises, the alerts and whatever else is looked at.

        ``before`` is called before each look, to bring figures up to date. Of several
        processes over the same files only the one that ``leads`` evaluates: two would
        page twice. The others show what it stored.
        """
        self.slo = slo
        self.alerts = alerts
        self._looks = tuple(looks)
        self._clock = clock
        self._before = before
        self._leads = leads
        self._time = SteadyTime(clock)

    async def open(
        self, source: SeriesSource | None = None, born: float | None = None
    ) -> None:
        """Take over what earlier processes stored and what the history holds.

        ``born`` is when the counters were zero, in epoch seconds; now, if not given.
        """
        looked_at = await self.alerts.open(self._time.now())
        self._time.resume(looked_at)
        now = self._time.now()
        if source is not None:
            await self.slo.restore(source, now)
        self.slo.begin(now if born is None else min(born, now))

    @property
    def now(self) -> float:
        """Return the present on the scale of series and alerts."""
        return self._time.now()

    async def tick(self) -> None:
        """Look once."""
        now = self._time.now()
        await self._before()
        found = list(self.slo.look(now))
        for look in self._looks:
            found += look(now)
        if self._leads():
            await self.alerts.evaluate(found, now)
        else:
            await self.alerts.follow()

    async def run(self) -> None:
        """Look for ever, without drifting."""
        due = self._clock.monotonic()
        while True:
            due = max(due + TICK_SECONDS, self._clock.monotonic())
            await self._clock.sleep(due - self._clock.monotonic())
            await self.tick()

    def promises(self) -> tuple[Promise, ...]:
        """Return where each promise stands, as of the last look."""
        firing = {o.name: self.alerts.firing_for(o.name) for o in self.slo.objectives}
        return promises(self.slo.standing(self._time.now()), firing)
