"""Energy and the machine's own figures, as Prometheus reads them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class PartSample:
    """Energy of one part of the machine, and who says so."""

    part: str
    source: str
    measured: bool
    joules: float


@dataclass(frozen=True, slots=True)
class EnergySample:
    """What energy stands at; counters since the process began.

    Attributes:
        cpu_ratio: share of the machine's processors that is busy.
        memory_ratio: share of its memory in use; None where nobody tells.
        gpu_memory_ratios: of each card.
    """

    joules: float = 0.0
    background_joules: float = 0.0
    route_joules: Mapping[str, float] = field(default_factory=dict)
    watts: float = 0.0
    grams: float = 0.0
    parts: Sequence[PartSample] = ()
    cpu_ratio: float = 0.0
    memory_ratio: float | None = None
    gpu_memory_ratios: Sequence[float] = ()


class EnergyMetrics(Collector):
    """Asks for a sample when somebody looks."""

    def __init__(self, read: Callable[[], EnergySample]) -> None:
        """Take what gives the sample."""
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Return every family as it stands."""
        sample = self._read()
        yield from _own(sample)
        yield from _machine(sample)


def _own(sample: EnergySample) -> Iterator[Metric]:
    routes = CounterMetricFamily(
        "cortex_request_joules",
        "Energy of requests by their share of CPU time",
        labels=("route",),
    )
    for route, joules in sample.route_joules.items():
        routes.add_metric((route,), joules)
    yield routes
    yield CounterMetricFamily(
        "cortex_energy_joules", "Energy of Cortex", value=sample.joules
    )
    yield CounterMetricFamily(
        "cortex_background_joules",
        "Energy of Cortex that no request used",
        value=sample.background_joules,
    )
    yield CounterMetricFamily(
        "cortex_co2e_grams",
        "Emissions of Cortex at the configured grid's intensity",
        value=sample.grams,
    )
    yield GaugeMetricFamily("cortex_power_watts", "Power of Cortex", sample.watts)


def _machine(sample: EnergySample) -> Iterator[Metric]:
    parts = CounterMetricFamily(
        "cortex_machine_joules",
        "Energy of the machine, by part and by who tells it",
        labels=("part", "source", "measured"),
    )
    for part in sample.parts:
        labels = (part.part, part.source, str(part.measured).lower())
        parts.add_metric(labels, part.joules)
    yield parts
    yield GaugeMetricFamily(
        "cortex_host_cpu_ratio",
        "Share of the machine's processors that is busy",
        sample.cpu_ratio,
    )
    if sample.memory_ratio is not None:
        yield GaugeMetricFamily(
            "cortex_host_memory_ratio",
            "Share of the machine's memory in use",
            sample.memory_ratio,
        )
    cards = GaugeMetricFamily(
        "cortex_gpu_memory_ratio", "Share of a card's memory in use", labels=("device",)
    )
    for number, ratio in enumerate(sample.gpu_memory_ratios):
        cards.add_metric((str(number),), ratio)
    if sample.gpu_memory_ratios:
        yield cards
