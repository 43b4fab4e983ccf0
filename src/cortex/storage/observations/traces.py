"""Traces in SQLite: a row each, the newest of a bounded number."""

from collections.abc import Mapping, Sequence

import orjson

from cortex.foundation.clock import Clock
from cortex.storage.queries import Queries
from cortex.storage.sqlite import Connection, Database
from cortex.telemetry.tracing.model import Reason, SpanRecord, TraceRecord

TRACES_KEPT = 20_000
"""Traces kept, the newest: about 20 MB, or two hours of 30 requests a second."""

TRACES_KEPT_SECONDS = 30 * 86_400.0
"""Traces older than metrics explain nothing."""

_SQL = Queries.load("cortex.storage.observations", "traces")


class SqliteTraces:
    """Keeps traces in a database with this package's migrations."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Keep traces in an open database."""
        self._database = database
        self._clock = clock

    async def keep(self, traces: Sequence[TraceRecord]) -> None:
        """Keep traces; the oldest go when there are too many."""
        rows = [_row(trace) for trace in traces]
        bounds = {
            "kept": TRACES_KEPT,
            "before": self._clock.now() - TRACES_KEPT_SECONDS,
        }

        def unit(connection: Connection) -> None:
            connection.executemany(_SQL["insert"], rows)
            connection.execute(_SQL["prune"], bounds)

        await self._database.write(unit)

    async def between(self, start: float, end: float, limit: int) -> list[TraceRecord]:
        """Return traces that began in this time, the newest first."""
        asked = {"start": start, "end": end, "limit": limit}
        return await self._read("between", asked)

    async def of_id(self, trace_id: str) -> list[TraceRecord]:
        """Return what was kept of one trace, by each process, oldest first."""
        return await self._read("of_id", {"trace_id": trace_id})

    async def _read(self, name: str, asked: Mapping[str, object]) -> list[TraceRecord]:
        rows = await self._database.read(
            lambda c: c.execute(_SQL[name], asked).fetchall()
        )
        return [_trace(body) for (body,) in rows]


def _row(trace: TraceRecord) -> dict[str, object]:
    top = trace.top
    body = {
        "trace_id": top.trace_id,
        "reason": trace.reason.value,
        "weight": trace.weight,
        "dropped": trace.dropped,
        "spans": [
            (
                span.span_id,
                span.parent_id,
                span.name,
                span.start,
                span.seconds,
                span.error,
                dict(span.attributes),
            )
            for span in trace.spans
        ],
    }
    return {
        "trace_id": top.trace_id,
        "start": top.start,
        "spans": len(trace.spans),
        "body": orjson.dumps(body),
    }


def _trace(body: bytes) -> TraceRecord:
    read = orjson.loads(body)
    spans = tuple(SpanRecord(read["trace_id"], *fields) for fields in read["spans"])
    return TraceRecord(spans, Reason(read["reason"]), read["weight"], read["dropped"])
