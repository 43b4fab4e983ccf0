"""History, traces and errors in memory, for tests of the edges."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cortex.telemetry.errors import ErrorGroup
from cortex.telemetry.history.model import (
    Catalogued,
    Kind,
    Labels,
    Run,
    Sample,
    Selector,
    Series,
)
from cortex.telemetry.log_search import LogGroup, LogPage, LogQuestion
from cortex.telemetry.tracing.model import TraceRecord


@dataclass
class FakeHistory:
    """Keeps every sample as it came; of one run, without tiers."""

    rows: dict[tuple[str, Labels], list[tuple[float, float]]] = field(
        default_factory=dict
    )
    kinds: dict[str, Kind] = field(default_factory=dict)

    async def append(self, at: float, samples: Sequence[Sample], run: Run) -> bool:
        """Keep all samples of one instant."""
        del run
        for sample in samples:
            self.kinds[sample.name] = sample.kind
            row = self.rows.setdefault((sample.name, sample.labels), [])
            row.append((at, sample.value))
        return True

    async def select(
        self, selector: Selector, start: float, end: float, *, step: float = 0.0
    ) -> list[Series]:
        """Return series between two times, both in."""
        del step
        found = []
        for (name, labels), points in self.rows.items():
            kept = [point for point in points if start <= point[0] <= end]
            meant = name == selector.name and all(
                matcher.accepts(dict(labels)) for matcher in selector.matchers
            )
            if meant and kept:
                times, values = np.array(kept, dtype=np.float64).T
                found.append(Series(name, labels, self.kinds[name], times, values))
        return found

    async def catalog(self) -> list[Catalogued]:
        """Return every metric that is kept, by name."""
        names = sorted(self.kinds)
        return [
            Catalogued(name, self.kinds[name], sum(key[0] == name for key in self.rows))
            for name in names
        ]


@dataclass
class FakeTraces:
    """Keeps every trace."""

    kept: list[TraceRecord] = field(default_factory=list)

    async def keep(self, traces: Sequence[TraceRecord]) -> None:
        """Keep traces."""
        self.kept.extend(traces)

    async def between(self, start: float, end: float, limit: int) -> list[TraceRecord]:
        """Return traces that began in this time, the newest first."""
        found = [trace for trace in self.kept if start <= trace.top.start <= end]
        return sorted(found, key=lambda trace: -trace.top.start)[:limit]

    async def of_id(self, trace_id: str) -> list[TraceRecord]:
        """Return what was kept of one trace."""
        return [trace for trace in self.kept if trace.top.trace_id == trace_id]


@dataclass
class FakeErrors:
    """Keeps the last occurrences of each group."""

    groups: dict[str, ErrorGroup] = field(default_factory=dict)

    async def add(self, groups: Sequence[ErrorGroup]) -> None:
        """Add groups."""
        self.groups.update({group.fingerprint: group for group in groups})

    async def page(self, since: float, limit: int) -> list[ErrorGroup]:
        """Return groups seen since then, the last seen first."""
        found = [group for group in self.groups.values() if group.last_seen >= since]
        return sorted(found, key=lambda group: -group.last_seen)[:limit]


@dataclass
class FakeLogs:
    """Answers with what was put in, and remembers what was asked."""

    lines: list[dict[str, object]] = field(default_factory=list)
    groups: list[LogGroup] = field(default_factory=list)
    asked: list[LogQuestion] = field(default_factory=list)

    async def page(self, question: LogQuestion, /) -> LogPage:
        """Return as many lines as are asked for."""
        self.asked.append(question)
        return LogPage(tuple(self.lines[: question.limit]), None, "")

    async def summary(self, question: LogQuestion, /) -> list[LogGroup]:
        """Return all groups."""
        self.asked.append(question)
        return self.groups
