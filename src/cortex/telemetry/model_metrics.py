"""Numbers about models and their workers, asked for when somebody looks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class ModelSample:
    """One model's numbers; what counts, counts since the start."""

    name: str
    loaded: bool
    memory_bytes: int
    hits: int
    misses: int
    evictions: int
    load_seconds: float


@dataclass(frozen=True, slots=True)
class InferenceSample:
    """Everything about models at one moment.

    Attributes:
        workers_ready: worker processes that take work.
        workers_wanted: worker processes asked for.
        losses: worker processes that ended or hung.
        retries: texts tried again because of that.
        low_power: whether power is saved.
    """

    models: tuple[ModelSample, ...] = ()
    workers_ready: int = 0
    workers_wanted: int = 0
    losses: int = 0
    retries: int = 0
    low_power: bool = False


class ModelMetrics(Collector):
    """Tells what ``read`` returns."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Tell of nothing until a room says what."""
        self.read: Callable[[], InferenceSample] = InferenceSample
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Return every number as it stands."""
        sample = self.read()
        yield from _models(sample.models)
        workers = GaugeMetricFamily(
            "cortex_inference_workers",
            "Worker processes that embed, by state (ready or wanted)",
            labels=("state",),
        )
        workers.add_metric(("ready",), sample.workers_ready)
        workers.add_metric(("wanted",), sample.workers_wanted)
        yield workers
        for name, meaning, value in (
            ("losses", "Worker processes that ended or hung", sample.losses),
            ("retries", "Texts tried again elsewhere", sample.retries),
        ):
            family = CounterMetricFamily(f"cortex_inference_worker_{name}", meaning)
            family.add_metric((), value)
            yield family
        low = GaugeMetricFamily("cortex_low_power", "Whether power is saved (1) or not")
        low.add_metric((), int(sample.low_power))
        yield low


def _models(
    models: tuple[ModelSample, ...],
) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
    loaded = GaugeMetricFamily(
        "cortex_model_memory_bytes",
        "Memory of each loaded model; 0 when it is not loaded",
        labels=("model",),
    )
    uses = CounterMetricFamily(
        "cortex_model_uses",
        "Uses of each model, by whether it was loaded (hit) or not (miss)",
        labels=("model", "outcome"),
    )
    evictions = CounterMetricFamily(
        "cortex_model_evictions", "Times a model made room", labels=("model",)
    )
    seconds = CounterMetricFamily(
        "cortex_model_load_seconds", "Time spent loading", labels=("model",)
    )
    for model in models:
        loaded.add_metric((model.name,), model.memory_bytes if model.loaded else 0)
        uses.add_metric((model.name, "hit"), model.hits)
        uses.add_metric((model.name, "miss"), model.misses)
        evictions.add_metric((model.name,), model.evictions)
        seconds.add_metric((model.name,), model.load_seconds)
    yield from (loaded, uses, evictions, seconds)
