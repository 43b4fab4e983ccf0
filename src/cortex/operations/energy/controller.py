"""Adds up energy, shares it out over requests, and tells what it comes to."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cortex.foundation.clock import Clock
from cortex.operations.energy.host import Host
from cortex.operations.energy.meters import RequestMeters
from cortex.operations.energy.model import (
    Drawn,
    Interval,
    RouteUse,
    co2e_grams,
    split,
)

GRID_GRAMS_PER_KWH = 473.0
"""World average of electricity's CO2e in 2024 (Ember); state your grid's own."""

AVERAGE_SECONDS = 300.0
"""Window of the average power that the alarm judges."""

RECALL_ROUTES = frozenset({"/memory/search", "/vector/search", "/context"})
"""What a recall is, in grams for a thousand of them."""

SCI_RECALLS = 1_000


class PowerSource(Protocol):
    """Where figures of power come from."""

    def drawn(self, interval: Interval) -> Sequence[Drawn]:
        """Return what each part of the machine took since the last call."""
        ...


@dataclass(slots=True)
class PartTotal:
    """Energy of one part of the machine since the start."""

    part: str
    source: str
    measured: bool
    joules: float = 0.0
    low: float = 0.0
    high: float = 0.0
    watts: float = 0.0


@dataclass(slots=True)
class RouteTotal:
    """What requests of one route used since the start."""

    requests: int = 0
    cpu_seconds: float = 0.0
    joules: float = 0.0


@dataclass(slots=True)
class Totals:
    """Everything since the start; ``joules`` is Cortex' own."""

    seconds: float = 0.0
    joules: float = 0.0
    low: float = 0.0
    high: float = 0.0
    background_joules: float = 0.0
    own_cpu_seconds: float = 0.0
    routes: dict[str, RouteTotal] = field(default_factory=dict)
    parts: dict[tuple[str, str], PartTotal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EnergyReport:
    """Power and energy as of the last tick.

    Attributes:
        power_watts: of Cortex; its share of what the processors took.
        low_watts, high_watts: the band; all three are the same where it was measured.
        machine_watts: of the whole machine, as far as the sources see it.
        sci_grams: grams CO2e for ``SCI_RECALLS`` recalls; None before the first. The
            making of the hardware is not in it.
    """

    power_watts: float
    low_watts: float
    high_watts: float
    machine_watts: float
    average_watts: float | None
    measured: bool
    source: str
    grid_grams_per_kwh: float
    recalls: int
    sci_grams: float | None
    totals: Totals


class Energy:
    """Energy of one process and its children."""

    def __init__(
        self,
        sources: Sequence[PowerSource],
        host: Host,
        meters: RequestMeters,
        *,
        clock: Clock,
        grid_grams_per_kwh: float = GRID_GRAMS_PER_KWH,
    ) -> None:
        """Take the sources; the first interval begins now."""
        self._sources = tuple(sources)
        self._host = host
        self._meters = meters
        self._clock = clock
        self._grid = grid_grams_per_kwh
        self._at = clock.monotonic()
        self._last = host.read()
        self._power = (0.0, 0.0, 0.0)
        self._course = deque([(self._at, 0.0)])
        self.totals = Totals()
        self.busy_ratio = 0.0

    @property
    def memory_ratio(self) -> float | None:
        """Return how full the machine's memory is, as of the last tick."""
        return self._last.memory_ratio

    def tick(self) -> None:
        """Account for the time since the last tick."""
        now, reading = self._clock.monotonic(), self._host.read()
        interval = Interval(
            seconds=now - self._at,
            cpus=self._host.cpus,
            busy_seconds=max(0.0, reading.busy_seconds - self._last.busy_seconds),
            own_seconds=max(0.0, reading.own_seconds - self._last.own_seconds),
        )
        if interval.seconds <= 0:
            return
        self._at, self._last = now, reading
        self.busy_ratio = interval.busy_ratio
        drawn = [one for source in self._sources for one in source.drawn(interval)]
        self._add_parts(drawn, interval)
        self._add_own(drawn, interval, self._meters.drain())
        self._course.append((now, self.totals.joules))
        while self._course[0][0] < now - AVERAGE_SECONDS:
            self._course.popleft()

    def average_watts(self) -> float | None:
        """Return Cortex' mean power in the last five minutes; None before a tick."""
        (began, before), (ended, after) = self._course[0], self._course[-1]
        return (after - before) / (ended - began) if ended > began else None

    def report(self) -> EnergyReport:
        """Return the figures as of the last tick."""
        totals = self.totals
        recalls = [totals.routes.get(route) for route in RECALL_ROUTES]
        count = sum(one.requests for one in recalls if one)
        grams = self.grams(sum(one.joules for one in recalls if one))
        watts, low, high = self._power
        shared = [part for part in totals.parts.values() if part.part == "cpu"]
        return EnergyReport(
            power_watts=watts,
            low_watts=low,
            high_watts=high,
            machine_watts=sum(part.watts for part in totals.parts.values()),
            average_watts=self.average_watts(),
            measured=bool(shared) and all(part.measured for part in shared),
            source="+".join(sorted({part.source for part in shared})),
            grid_grams_per_kwh=self._grid,
            recalls=count,
            sci_grams=grams / count * SCI_RECALLS if count else None,
            totals=totals,
        )

    def grams(self, joules: float) -> float:
        """Return what energy emits on the configured grid."""
        return co2e_grams(joules, self._grid)

    def _add_parts(self, drawn: Sequence[Drawn], interval: Interval) -> None:
        for one in drawn:
            part = self.totals.parts.setdefault(
                (one.part, one.source), PartTotal(one.part, one.source, one.measured)
            )
            part.joules += one.joules
            part.low += one.low
            part.high += one.high
            part.watts = one.joules / interval.seconds

    def _add_own(
        self, drawn: Sequence[Drawn], interval: Interval, uses: Mapping[str, RouteUse]
    ) -> None:
        share, totals = interval.own_share, self.totals
        shared = [one for one in drawn if one.shared]
        joules = sum(one.joules for one in shared) * share
        low = sum(one.low for one in shared) * share
        high = sum(one.high for one in shared) * share
        parts = split(joules, interval.own_seconds, uses)
        totals.seconds += interval.seconds
        totals.own_cpu_seconds += interval.own_seconds
        totals.joules += joules
        totals.low += low
        totals.high += high
        totals.background_joules += parts.background
        for route, use in uses.items():
            line = totals.routes.setdefault(route, RouteTotal())
            line.requests += use.requests
            line.cpu_seconds += use.cpu_seconds
            line.joules += parts.by_route.get(route, 0.0)
        self._power = tuple(x / interval.seconds for x in (joules, low, high))  # type: ignore[assignment]
