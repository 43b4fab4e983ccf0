"""Carries kept traces and collected errors from memory to their stores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cortex.foundation.clock import Clock
from cortex.telemetry.errors import (
    GROUPS_PENDING_MAX,
    ErrorCollector,
    ErrorGroup,
    ErrorStore,
)
from cortex.telemetry.metrics import Metrics
from cortex.telemetry.tracing.model import TraceRecord
from cortex.telemetry.tracing.ports import TraceStore
from cortex.telemetry.tracing.tracer import Tracer

FLUSH_SECONDS = 2.0
"""Between two writes: how long an error, or a slow request, takes to be seen."""

GATHER_SECONDS = 10.0
"""How long traces of ordinary requests wait for company: a commit costs as much CPU as
a dozen traces."""

Export = Callable[[Sequence[TraceRecord]], None]
"""Sends kept traces elsewhere; takes them without waiting."""

Report = Callable[[Sequence[ErrorGroup]], None]
"""Tells of errors elsewhere; takes them without waiting."""


@dataclass(frozen=True, slots=True)
class Observations:
    """One process' traces and errors, and where they go."""

    tracer: Tracer
    collector: ErrorCollector
    traces: TraceStore
    errors: ErrorStore
    clock: Clock
    metrics: Metrics
    export: Export | None = None
    report: Report | None = None
    unstored: list[ErrorGroup] = field(default_factory=list)
    """What a store that failed, as on a full disk, is to be given again."""

    async def run(self) -> None:
        """Write every few seconds, until cancelled."""
        written = self.clock.monotonic()
        while True:
            await self.clock.sleep(FLUSH_SECONDS)
            await self._flush_errors()
            now = self.clock.monotonic()
            if self.tracer.is_urgent or now - written >= GATHER_SECONDS:
                written = now
                await self._flush_traces()

    async def flush(self) -> None:
        """Write what waits."""
        await self._flush_errors()
        await self._flush_traces()

    async def _flush_traces(self) -> None:
        traces = self.tracer.take()
        for trace in traces:
            self.metrics.traces_kept.labels(trace.reason.value).inc()
        if traces:
            if self.export is not None:
                self.export(traces)
            await self.traces.keep(traces)

    async def _flush_errors(self) -> None:
        groups = self.collector.take()
        if groups and self.report is not None:
            self.report(groups)
        self.unstored.extend(groups)
        del self.unstored[:-GROUPS_PENDING_MAX]
        if self.unstored:
            await self.errors.add(tuple(self.unstored))
            self.unstored.clear()
