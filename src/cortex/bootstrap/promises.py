"""Ties the promises: objectives, the counts of requests, and the states of alerts."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from cortex.app import Loop, opened
from cortex.bootstrap.energy import EnergyRoom
from cortex.bootstrap.stores import Stores
from cortex.bootstrap.tools import Tools
from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import CortexError
from cortex.foundation.lifecycle import Component
from cortex.operations.alerts.engine import Alerts
from cortex.operations.alerts.model import Evaluation
from cortex.operations.alerts.store import AlertStore
from cortex.operations.alerts.thresholds import THRESHOLDS, power_threshold
from cortex.operations.figures import FigureReader
from cortex.operations.leadership import Lead
from cortex.operations.slo.baseline import Bucket
from cortex.operations.slo.controller import (
    BAD_METRIC,
    EVENTS_METRIC,
    LABEL,
    SloController,
    burn_rules,
)
from cortex.operations.slo.defaults import default_objectives
from cortex.operations.slo.files import read_objectives
from cortex.operations.slo.history import HistoryCounters
from cortex.operations.slo.model import Counts, Kind, Objective
from cortex.operations.slo.report import SloState
from cortex.operations.slo.tally import Tally
from cortex.operations.watch import Watch
from cortex.settings import Settings
from cortex.telemetry.history.ports import History
from cortex.usecases.operations import Operations

LEAD_FILE = "promises.lock"
"""Below the home: who holds it speaks for all processes over the same files."""

BUCKETS_METRIC = "cortex_http_request_seconds_bucket"


class Promises:
    """The watch of one process, fed by its requests."""

    def __init__(
        self, settings: Settings, stores: Stores, tools: Tools, history: History
    ) -> None:
        """Nothing is opened yet."""
        self._tools = tools
        self._history = HistoryCounters(history)
        self._lead = Lead(settings.home_folder / LEAD_FILE)
        self.room = EnergyRoom(settings, tools, self._lead.held)
        found = objectives(settings)
        tally = Tally(found)
        tools.metrics.watch_requests(tally.observe)
        tools.metrics.watch_objectives(lambda: _told(tally))
        self._tally = tally
        self._fleet: list[Metric] | None = None
        self._slo = SloController(found, self._counts)
        self._thresholds = (*THRESHOLDS, power_threshold(settings.energy.alarm_watts))
        rules = [*burn_rules(found), *(one.rule for one in self._thresholds)]
        alerts = Alerts(rules, AlertStore(stores.database), ids=tools.ids)
        self._figures = FigureReader(
            tools.metrics.embedded,
            self._buckets,
            self._slo.last_minute,
            self.room.gauges,
        )
        self.watch = Watch(
            self._slo,
            alerts,
            (self._look,),
            clock=tools.clock,
            before=self._before,
            leads=self._lead.held,
        )
        self.operations = Operations(
            self.watch, self._buckets, tools.clock.now(), self.room.energy
        )

    def components(self) -> tuple[Component, ...]:
        """Return the parts in the order they start; after the database."""
        tools = self._tools
        loop = Loop("promises", self.watch.run, tools.clock, tools.log)
        return (opened("promises-state", self._open, self._close), loop.component())

    def leads(self) -> bool:
        """Return whether this process speaks for all over the same files."""
        return self._lead.held()

    def alarm_above(self, watts: float) -> None:
        """Let the alarm of power judge by another limit from the next look on."""
        alarm = power_threshold(watts)
        self._thresholds = (*THRESHOLDS, alarm)
        self.watch.alerts.restate(alarm.rule)

    async def health(self) -> Mapping[str, JsonValue]:
        """Tell which promises are broken; failures degrade, slowness is only told."""
        unwell = [
            promise
            for promise in self.watch.promises()
            if promise.state in {SloState.BURNING, SloState.EXHAUSTED}
        ]
        facts: dict[str, JsonValue] = {"objectives": len(self.watch.slo.objectives)}
        if unwell:
            told = (f"{p.standing.objective.name} is {p.state.value}" for p in unwell)
            facts["reason"] = ", ".join(told)
        if any(p.standing.objective.kind is Kind.AVAILABILITY for p in unwell):
            facts["degraded"] = True
        return facts

    async def _open(self) -> None:
        """Take over the past; without a history the promises begin anew."""
        fleet = self._tools.fleet
        born = None if fleet is None else fleet.started_at
        try:
            await self.watch.open(self._history, born)
        except CortexError as error:
            self._tools.log.warning("promises begin anew", reason=str(error))
            await self.watch.open(born=born)

    async def _close(self) -> None:
        self._lead.release()

    async def _before(self) -> None:
        """Bring energy up to date, and what the other workers counted."""
        self.room.energy.tick()
        if self._tools.workers is not None:
            self._fleet = await self._tools.exposition.collect()

    def _counts(self) -> Mapping[str, Counts]:
        """Return the counts of all workers; of this process where it is alone."""
        if self._fleet is None:
            return self._tally.counts()
        totals = _labelled(self._fleet, EVENTS_METRIC)
        bad = _labelled(self._fleet, BAD_METRIC)
        own = self._tally.counts()
        return {n: Counts(totals.get(n, 0.0), bad.get(n, 0.0)) for n in own}

    def _look(self, now: float) -> list[Evaluation]:
        figures = self._figures.read(now)
        return [one.look(figures) for one in self._thresholds]

    def _buckets(self) -> Iterator[Bucket]:
        families = self._tools.metrics.registry.collect()
        for sample in _samples(self._fleet or families, BUCKETS_METRIC):
            labels = sample.labels
            bound = float(labels["le"])
            yield Bucket(labels["route"], labels["status"], bound, sample.value)


def objectives(settings: Settings) -> tuple[Objective, ...]:
    """Return what is promised.

    Raises:
        SloInvalid: the file cannot be read, or says what cannot be meant.
    """
    path = settings.slo_file
    return default_objectives() if path is None else read_objectives(path)


def _told(tally: Tally) -> dict[str, tuple[float, float]]:
    return {name: (c.total, c.bad) for name, c in tally.counts().items()}


def _labelled(families: Iterable[Metric], name: str) -> dict[str, float]:
    return {s.labels[LABEL]: s.value for s in _samples(families, name)}


def _samples(families: Iterable[Metric], name: str) -> Iterator[Sample]:
    for family in families:
        yield from (sample for sample in family.samples if sample.name == name)
