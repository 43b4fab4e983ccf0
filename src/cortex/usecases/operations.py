"""What an operator asks: are the promises kept, what fires, who knows of it."""

from collections.abc import Callable, Iterable

from cortex.operations.alerts.engine import Alert
from cortex.operations.energy.controller import Energy, EnergyReport
from cortex.operations.slo.baseline import Bucket, baseline
from cortex.operations.slo.report import SloReport, worst
from cortex.operations.watch import Watch
from cortex.usecases.model import CallContext


class Operations:
    """Answers from the watch; nothing here waits for a disk but acknowledging."""

    def __init__(
        self,
        watch: Watch,
        buckets: Callable[[], Iterable[Bucket]],
        since: float,
        energy: Energy,
    ) -> None:
        """Take the watch, the request histogram and when that began, and energy."""
        self._energy = energy
        self._watch = watch
        self._buckets = buckets
        self._since = since

    async def slo(self) -> SloReport:
        """Return every promise, its budget, its burn, and the routes' figures."""
        promises = self._watch.promises()
        return SloReport(
            at=self._watch.now,
            state=worst(promises),
            promises=promises,
            baseline=baseline(self._buckets()),
            baseline_since=self._since,
        )

    async def energy(self) -> EnergyReport:
        """Return power and energy as of the last look."""
        return self._energy.report()

    async def alerts(self) -> list[Alert]:
        """Return what is pending or fires, the longest first."""
        return self._watch.alerts.standing()

    async def acknowledge(self, name: str, context: CallContext) -> Alert:
        """Note that the caller knows of a firing alert.

        Raises:
            AlertNotFound: no such alert fires.
        """
        alerts = self._watch.alerts
        return await alerts.acknowledge(name, context.actor, self._watch.now)
