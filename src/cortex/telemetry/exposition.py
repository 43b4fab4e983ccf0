"""Metrics as they are told: of this process, or summed over all worker processes."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Sample

Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
Snapshot: TypeAlias = bytes
"""Everything a process counts, as JSON."""

_SUMMED = frozenset({"counter", "histogram", "summary"})
_CREATED = "_created"

_LARGEST = frozenset({"info"})
_SMALLEST_NAMES = frozenset({"process_start_time_seconds"})
_LARGEST_PREFIXES = (
    "cortex_host_",
    "cortex_memories",
    "cortex_ledger_",
    "cortex_event_loop_",
    "process_max_fds",
    "cortex_build",
    "cortex_gpu_",
    "cortex_low_power",
)
"""Gauges that every process tells alike, or of which the worst matters: not summed."""

Others = Callable[[Snapshot], Awaitable[Sequence[tuple[Snapshot, bool]]]]
"""Keeps this process' snapshot, and returns the others' with whether they live."""


@dataclass(frozen=True, slots=True)
class Exposition:
    """Tells the metrics of a registry, with those of other workers when there are any.

    Attributes:
        registry: of this process.
        others: asks the other workers; None when there are none.
    """

    registry: CollectorRegistry
    others: Others | None = None

    async def collect(self) -> list[Metric]:
        """Return every metric."""
        own = list(self.registry.collect())
        if self.others is None:
            return own
        snapshot = encode(own)
        found = [(snapshot, True), *await self.others(snapshot)]
        return merge([(decode(one), alive) for one, alive in found])

    async def render(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in the format the caller accepts, and its name.

        OpenMetrics holds exemplars, the plain text format does not.
        """
        encoder, content_type = choose_encoder(accept)
        collected: Any = _Collected(await self.collect())
        return encoder(collected), content_type


@dataclass(frozen=True, slots=True)
class _Collected:
    """What encoders take for a registry."""

    metrics: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        return self.metrics


def encode(metrics: Iterable[Metric]) -> Snapshot:
    """Return the metrics as bytes, for another process."""
    return orjson.dumps(
        [
            (
                metric.name,
                metric.documentation,
                metric.type,
                [
                    (sample.name, sample.labels, sample.value, _told(sample.exemplar))
                    for sample in metric.samples
                    if not sample.name.endswith(_CREATED)
                ],
            )
            for metric in metrics
        ],
        default=float,
    )


def decode(snapshot: Snapshot) -> list[Metric]:
    """Return the metrics of another process."""
    found = []
    for name, documentation, kind, samples in orjson.loads(snapshot):
        metric = Metric(name, documentation, kind)
        metric.samples = [
            Sample(
                sample,
                labels,
                value,
                None,
                None if exemplar is None else Exemplar(*exemplar),
            )
            for sample, labels, value, exemplar in samples
        ]
        found.append(metric)
    return found


def merge(processes: Sequence[tuple[Sequence[Metric], bool]]) -> list[Metric]:
    """Return one set of metrics for several processes.

    Counters are summed, those of dead processes too: what was counted stays counted.
    Gauges of dead processes are left out; those of the living are summed, except for
    what all tell alike.
    """
    families: dict[str, Metric] = {}
    samples: dict[str, dict[Key, Sample]] = {}
    for metrics, alive in processes:
        for metric in metrics:
            if not alive and metric.type not in _SUMMED:
                continue
            family = families.setdefault(
                metric.name, Metric(metric.name, metric.documentation, metric.type)
            )
            rows = samples.setdefault(metric.name, {})
            for sample in metric.samples:
                if sample.name.endswith(_CREATED):
                    continue
                key = (sample.name, tuple(sorted(sample.labels.items())))
                known = rows.get(key)
                rows[key] = sample if known is None else _joined(family, known, sample)
    for name, family in families.items():
        family.samples = list(samples[name].values())
    return list(families.values())


def _joined(family: Metric, first: Sample, second: Sample) -> Sample:
    exemplars = [one for one in (first.exemplar, second.exemplar) if one is not None]
    newest = max(exemplars, key=lambda one: one.timestamp or 0.0, default=None)
    return first._replace(
        value=_value(family, first.value, second.value), exemplar=newest
    )


def _value(family: Metric, first: float, second: float) -> float:
    if family.type in _SUMMED:
        return first + second
    if family.name in _SMALLEST_NAMES:
        return min(first, second)
    if family.type in _LARGEST or family.name.startswith(_LARGEST_PREFIXES):
        return max(first, second)
    return first + second


def _told(exemplar: Exemplar | None) -> tuple[Mapping[str, str], float, float] | None:
    if exemplar is None:
        return None
    return dict(exemplar.labels), exemplar.value, float(exemplar.timestamp or 0.0)
