"""Traces into worker processes and back.

The owner puts ``current_traceparent()`` into the frame it sends; the worker works
inside ``RemoteWork`` and sends ``records`` back; the owner gives them to ``adopt``.
Whether they are kept is decided where the request ends.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError
from cortex.telemetry.correlation import parse_traceparent
from cortex.telemetry.tracing.model import Attribute, SpanRecord
from cortex.telemetry.tracing.spans import Bits, Span, Trace


class RemoteWork:
    """A worker's part of its owner's trace; nothing without a traceparent."""

    def __init__(self, name: str, caller: str, clock: Clock, bits: Bits) -> None:
        """Prepare the outermost span of the part."""
        self.records: tuple[SpanRecord, ...] = ()
        came = parse_traceparent(caller) if caller else None
        self._span: Span | None = None
        if came is not None:
            trace = Trace(came.trace_id, came.parent_id, clock, bits)
            self._span = Span(trace, None, name, {})

    def set(self, **attributes: Attribute) -> None:
        """Add attributes: names and numbers, never content."""
        if self._span is not None:
            self._span.set(**attributes)

    def __enter__(self) -> Self:
        """Begin; ``span`` records parts of this inside."""
        if self._span is not None:
            self._span.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End; ``records`` are there from now on."""
        if self._span is not None:
            self._span.__exit__(kind, error, traceback)
            self.records = self._span.trace.ends(self._span).records()
            self._span.trace.forget()


def written(records: Sequence[SpanRecord]) -> list[JsonValue]:
    """Return spans as JSON, for a frame."""
    return [
        [
            one.trace_id,
            one.span_id,
            one.parent_id,
            one.name,
            one.start,
            one.seconds,
            one.error,
            dict(one.attributes),
        ]
        for one in records
    ]


def read(rows: Sequence[JsonValue]) -> tuple[SpanRecord, ...]:
    """Read what ``written`` made.

    Raises:
        ValidationError: it is not that.
    """
    return tuple(_record(row) for row in rows)


def _record(row: JsonValue) -> SpanRecord:
    match row:
        case [
            str(trace_id),
            str(span_id),
            str(parent_id),
            str(name),
            float() | int() as start,
            float() | int() as seconds,
            str(error),
            dict(attributes),
        ]:
            plain: dict[str, Attribute] = {
                key: value
                for key, value in attributes.items()
                if isinstance(value, str | int | float)
            }
            return SpanRecord(
                trace_id, span_id, parent_id, name, start, seconds, error, plain
            )
        case _:
            raise ValidationError("this is no span", field="spans")
