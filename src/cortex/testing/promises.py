"""The real watch over counts that a test sets, with states kept in memory."""

import math
from collections.abc import Iterator, Mapping, Sequence

from cortex.bus.events import Event
from cortex.foundation.clock import Clock
from cortex.foundation.ids import IdSource
from cortex.operations.alerts.engine import Alerts
from cortex.operations.alerts.model import AlertState
from cortex.operations.alerts.store import Kept
from cortex.operations.energy.controller import Energy
from cortex.operations.energy.host import Host
from cortex.operations.energy.meters import RequestMeters
from cortex.operations.energy.stated import StatedPower
from cortex.operations.slo.baseline import Bucket
from cortex.operations.slo.controller import SloController, burn_rules
from cortex.operations.slo.defaults import default_objectives
from cortex.operations.slo.tally import Tally
from cortex.operations.watch import Watch
from cortex.usecases.operations import Operations


class FakeStateStore:
    """States and events of alerts, as they were saved."""

    def __init__(self) -> None:
        """Start empty."""
        self.states: dict[str, AlertState] = {}
        self.events: list[Event] = []
        self.evaluated_at = 0.0

    async def load(self) -> Kept:
        """Return everything."""
        return Kept(dict(self.states), self.evaluated_at)

    async def save(
        self,
        states: Mapping[str, AlertState],
        events: Sequence[Event] = (),
        *,
        evaluated_at: float,
    ) -> None:
        """Keep what is given."""
        self.states.update(states)
        self.events.extend(events)
        self.evaluated_at = evaluated_at


class FakeWatched:
    """A watch of the default promises; ``tally.observe`` is a finished request."""

    def __init__(self, clock: Clock, ids: IdSource) -> None:
        """Begin now."""
        promised = default_objectives()
        self.tally = Tally(promised)
        self.store = FakeStateStore()
        slo = SloController(promised, self.tally.counts)
        alerts = Alerts(burn_rules(promised), self.store, ids=ids)
        self.watch = Watch(slo, alerts, clock=clock)
        slo.begin(clock.now())
        self.energy = Energy(
            [StatedPower()], Host(own_seconds=0.0), RequestMeters(), clock=clock
        )
        self.operations = Operations(self.watch, self.buckets, clock.now(), self.energy)

    def buckets(self) -> Iterator[Bucket]:
        """Yield a histogram of one route: 90 fast answers, 10 slower ones."""
        for bound, count in ((0.01, 90.0), (0.1, 100.0), (math.inf, 100.0)):
            yield Bucket("/memory/search", "2xx", bound, count)
