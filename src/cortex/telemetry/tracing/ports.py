"""What a store of traces does."""

from collections.abc import Sequence
from typing import Protocol

from cortex.telemetry.tracing.model import TraceRecord


class TraceStore(Protocol):
    """Keeps the newest traces, up to a bound."""

    async def keep(self, traces: Sequence[TraceRecord]) -> None:
        """Keep traces; the oldest go when there are too many."""
        ...

    async def between(self, start: float, end: float, limit: int) -> list[TraceRecord]:
        """Return traces that began in this time, the newest first."""
        ...

    async def of_id(self, trace_id: str) -> list[TraceRecord]:
        """Return what was kept of one trace, by each process, oldest first."""
        ...
