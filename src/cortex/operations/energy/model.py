"""Figures of power and energy; each says whether it was measured, and by what."""

from collections.abc import Mapping
from dataclasses import dataclass

JOULES_PER_KWH = 3_600_000.0


@dataclass(frozen=True, slots=True)
class Interval:
    """What the machine's processors did between two readings.

    Attributes:
        seconds: length, of the monotonic clock.
        cpus: logical processors.
        busy_seconds: CPU time of everything on the machine.
        own_seconds: CPU time of Cortex, its child processes included.
    """

    seconds: float
    cpus: int
    busy_seconds: float
    own_seconds: float

    @property
    def busy_ratio(self) -> float:
        """Return the share of the processors that was busy."""
        capacity = self.seconds * self.cpus
        return min(1.0, self.busy_seconds / capacity) if capacity > 0 else 0.0

    @property
    def own_share(self) -> float:
        """Return Cortex' share of what was busy."""
        busy = max(self.busy_seconds, self.own_seconds)
        return self.own_seconds / busy if busy > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """Energy that one part of the machine took in an interval.

    Attributes:
        part: ``cpu`` or ``gpu``.
        low, high: the band the true figure lies in; equal to ``joules`` if measured.
        source: ``rapl``, ``nvml``, ``codecarbon`` or ``model``.
        shared: whether Cortex takes its share of processor time of it.
    """

    part: str
    joules: float
    low: float
    high: float
    source: str
    measured: bool
    shared: bool = True


@dataclass(frozen=True, slots=True)
class RouteUse:
    """What requests of one route used in an interval."""

    requests: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Split:
    """Cortex' energy of one interval, by who used it; the parts sum to the whole."""

    joules: float
    by_route: Mapping[str, float]
    background: float


def split(joules: float, own_seconds: float, uses: Mapping[str, RouteUse]) -> Split:
    """Share energy out by CPU time; what no request used is background.

    Requests may report more than the process' own figure, whose grain is a hundredth
    of a second; then they share all of it.
    """
    used = sum(use.cpu_seconds for use in uses.values())
    whole = max(own_seconds, used)
    if whole <= 0:
        return Split(joules, {}, joules)
    by_route = {route: joules * use.cpu_seconds / whole for route, use in uses.items()}
    return Split(joules, by_route, joules - sum(by_route.values()))


def co2e_grams(joules: float, grid_grams_per_kwh: float) -> float:
    """Return the emissions of energy at a grid's intensity."""
    return joules / JOULES_PER_KWH * grid_grams_per_kwh
