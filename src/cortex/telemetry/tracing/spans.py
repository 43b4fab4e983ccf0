"""The span of the running work, and how code adds its part to the trace.

``with span("recall"): ...`` records a part of whatever trace is running, and does
nothing outside of any. The current span follows the work through its tasks, and through
threads that ``asyncio.to_thread`` starts.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import NamedTuple, Self

from cortex.foundation.clock import Clock
from cortex.telemetry.tracing.model import Attribute, SpanRecord

SPANS_PER_TRACE_MAX = 256
"""Spans recorded of one trace: an import of a million lines stays small."""

NOT_ERRORS = (asyncio.CancelledError, GeneratorExit)
"""Ways to leave that say nothing about the work."""

Bits = Callable[[int], int]
"""Returns a random number of so many bits."""


class Trace:
    """What one process records of a trace, while it is running."""

    __slots__ = (
        "adopted",
        "asked_for",
        "bits",
        "caller",
        "clock",
        "drawn",
        "dropped",
        "ended",
        "trace_id",
    )

    def __init__(self, trace_id: str, caller: str, clock: Clock, bits: Bits) -> None:
        """Begin a trace, or this process' part of a caller's."""
        self.trace_id = trace_id
        self.caller = caller
        self.clock = clock
        self.bits = bits
        self.asked_for = False
        self.drawn = False
        self.ended: list[Span] = []
        self.adopted: tuple[SpanRecord, ...] = ()
        self.dropped = 0

    def adopt(self, records: tuple[SpanRecord, ...]) -> None:
        """Keep spans that another process recorded for this trace."""
        room = SPANS_PER_TRACE_MAX - len(self.adopted)
        self.adopted += records[:room]
        self.dropped += max(0, len(records) - room)

    def ends(self, top: "Span") -> "EndedTrace":
        """Return what was recorded until now, as the outermost span has ended."""
        inner = [span for span in self.ended if span is not top]
        epoch = self.clock.now() - self.clock.monotonic()
        return EndedTrace(top, inner, self.adopted, epoch)

    def forget(self) -> None:
        """Let the spans go, which know their trace: no rings for the collector."""
        self.ended.clear()


class EndedTrace(NamedTuple):
    """A trace that is not written down yet: its spans, and when its clock began."""

    top: "Span"
    inner: "list[Span]"
    adopted: tuple[SpanRecord, ...]
    epoch: float

    def records(self) -> tuple[SpanRecord, ...]:
        """Return all spans, the outermost last."""
        inner = [span.record(self.epoch) for span in self.inner]
        return (*self.adopted, *inner, self.top.record(self.epoch))


class Span:
    """A part of a trace; entered and left once."""

    __slots__ = (
        "_id",
        "attributes",
        "error",
        "name",
        "parent",
        "seconds",
        "started",
        "trace",
    )

    def __init__(
        self,
        trace: Trace,
        parent: "Span | None",
        name: str,
        attributes: dict[str, Attribute],
    ) -> None:
        """Prepare a span within ``parent``."""
        self.trace = trace
        self.parent = parent
        self.name = name
        self.attributes = attributes
        self._id = ""
        self.error = ""
        self.started = 0.0
        self.seconds = 0.0

    def __enter__(self) -> Self:
        """Begin; what runs inside is a part of this."""
        _CURRENT.set(self)
        self.started = self.trace.clock.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End; an exception makes it an error."""
        self.seconds = self.trace.clock.monotonic() - self.started
        if kind is not None and not issubclass(kind, NOT_ERRORS):
            self.error = getattr(error, "code", "") or kind.__name__
        ended = self.trace.ended
        if len(ended) < SPANS_PER_TRACE_MAX:
            ended.append(self)
        else:
            self.trace.dropped += 1
        # Not a token: an async generator may be closed in another context.
        _CURRENT.set(self.parent)

    def set(self, **attributes: Attribute) -> None:
        """Add attributes: names and numbers, never content."""
        self.attributes.update(attributes)

    def fail(self, error: str) -> None:
        """Say that it went wrong, without an exception."""
        self.error = error

    @property
    def recorded(self) -> bool:
        """Return whether anybody will see it."""
        return True

    @property
    def span_id(self) -> str:
        """Return 16 hexadecimal digits; drawn when first asked for, few ever are."""
        if not self._id:
            self._id = f"{self.trace.bits(64) or 1:016x}"
        return self._id

    @property
    def traceparent(self) -> str:
        """Return the header that continues the trace elsewhere."""
        flags = "01" if self.trace.asked_for or self.trace.drawn else "00"
        return f"00-{self.trace.trace_id}-{self.span_id}-{flags}"

    def record(self, epoch: float) -> SpanRecord:
        """Return what is kept of it; ``epoch`` is when the monotonic clock began."""
        parent = self.trace.caller if self.parent is None else self.parent.span_id
        return SpanRecord(
            self.trace.trace_id,
            self.span_id,
            parent,
            self.name,
            epoch + self.started,
            self.seconds,
            self.error,
            self.attributes,
        )


class NoSpan:
    """What stands in where no trace is running."""

    __slots__ = ()

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    def set(self, **attributes: Attribute) -> None:
        """Do nothing."""

    def fail(self, error: str) -> None:
        """Do nothing."""

    @property
    def recorded(self) -> bool:
        """Return that nobody will see it."""
        return False


_CURRENT: ContextVar[Span | None] = ContextVar("cortex_span", default=None)
"""Follows the work through its tasks; a context variable can only live at module
level."""

_NOTHING = NoSpan()


def span(name: str, /, **attributes: Attribute) -> Span | NoSpan:
    """Return a part of the running trace, to be entered; nothing outside of any.

    Args:
        name: constant, such as ``store.write``: what changes goes into attributes.
        attributes: names and numbers, never content.
    """
    current = _CURRENT.get()
    if current is None:
        return _NOTHING
    return Span(current.trace, current, name, attributes)


def current_traceparent() -> str:
    """Return the header that continues the running trace elsewhere; empty for none.

    For requests to other services, events, and frames to worker processes.
    """
    current = _CURRENT.get()
    return "" if current is None else current.traceparent


def trace_ids() -> tuple[str, str] | None:
    """Return the running trace's and span's ids, for log lines."""
    current = _CURRENT.get()
    return None if current is None else (current.trace.trace_id, current.span_id)


def adopt(records: tuple[SpanRecord, ...]) -> None:
    """Add spans that another process recorded to the running trace."""
    current = _CURRENT.get()
    if current is not None:
        current.trace.adopt(records)
