"""Begins traces, and decides at their end whether they are kept."""

from collections import OrderedDict, deque
from types import TracebackType
from typing import NamedTuple, Self

from cortex.foundation.clock import Clock
from cortex.telemetry.correlation import parse_traceparent
from cortex.telemetry.tracing.model import Attribute, Reason, TraceRecord
from cortex.telemetry.tracing.sampling import (
    Ended,
    Sampling,
    Verdict,
    by_ratio,
    decide,
)
from cortex.telemetry.tracing.spans import Bits, EndedTrace, Span, Trace

KEPT_TRACES_MAX = 1_000
"""Traces that wait to be written: a few seconds of errors only."""

MANY_TRACES = 100
"""Traces that are worth a write whatever they are."""

TRACE_ID_DIGITS = 32

_IDS_BITS = 192
"""Of a trace's id and its outermost span's, drawn at once: every request has both."""

_NOT_ZERO = 1 << 64 | 1
"""A bit of each of both ids: W3C Trace Context takes none that is all zeros."""

REMEMBERED_TRACES_MAX = 1_000
"""Ids of kept traces that are known still when their events are worked on."""


class Root(Span):
    """The outermost span of this process; knows in the end whether it was kept."""

    __slots__ = ("endless", "tracer", "verdict")

    def __init__(
        self, tracer: "Tracer", trace: Trace, name: str, span_id: str = ""
    ) -> None:
        """Prepare the span around everything."""
        Span.__init__(self, trace, None, name, {})
        self._id = span_id
        self.tracer = tracer
        self.endless = False
        self.verdict: Verdict | None = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the trace, and hand it on if it is to be kept."""
        Span.__exit__(self, kind, error, traceback)
        self.tracer.ended(self)

    @property
    def kept_id(self) -> str:
        """Return the trace's id if it was kept; for exemplars."""
        return self.trace.trace_id if self.verdict is not None else ""


class NoRoot:
    """The outermost span where nothing is recorded."""

    __slots__ = ("endless", "error", "name", "traceparent")

    kept_id = ""

    def __init__(self, caller: str) -> None:
        """Hand the caller's own header on."""
        self.endless = False
        self.error = self.name = ""
        self.traceparent = caller

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    def set(self, **attributes: Attribute) -> None:
        """Do nothing."""

    def fail(self, error: str) -> None:
        """Do nothing."""


class _Kept(NamedTuple):
    """A trace that waits to be taken; written down only then, with its company."""

    trace: EndedTrace
    verdict: Verdict
    dropped: int

    def record(self) -> TraceRecord:
        reason, weight = self.verdict.reason, self.verdict.weight
        return TraceRecord(self.trace.records(), reason, weight, self.dropped)


class Tracer:
    """Begins the traces of one process, and holds those kept until they are taken."""

    def __init__(self, clock: Clock, bits: Bits, sampling: Sampling) -> None:
        """Take what ids are drawn from, and what to keep."""
        self._clock = clock
        self._bits = bits
        self._sampling = sampling
        self._drawn = by_ratio(sampling.ratio)
        self._kept: deque[_Kept] = deque()
        self._remembered: OrderedDict[str, None] = OrderedDict()
        self._urgent = False
        self.dropped_traces = 0

    def sample(self, sampling: Sampling) -> None:
        """Keep by other rules what begins from now on."""
        self._sampling = sampling
        self._drawn = by_ratio(sampling.ratio)

    def root(self, name: str, caller: str = "") -> Root | NoRoot:
        """Return the outermost span of a request, to be entered.

        Args:
            name: may be set anew before the end, when more is known.
            caller: the ``traceparent`` that came with it; what is invalid is ignored.
        """
        if not self._sampling.enabled:
            return NoRoot(caller)
        came = parse_traceparent(caller) if caller else None
        if came is not None:
            trace = self._begun(came.trace_id, came.parent_id)
            trace.asked_for = came.sampled
            return Root(self, trace, name)
        ids = (self._bits(_IDS_BITS) | _NOT_ZERO).to_bytes(_IDS_BITS // 8, "big").hex()
        trace_id, span_id = ids[:TRACE_ID_DIGITS], ids[TRACE_ID_DIGITS:]
        return Root(self, self._begun(trace_id, ""), name, span_id)

    def _begun(self, trace_id: str, parent_id: str) -> Trace:
        trace = Trace(trace_id, parent_id, self._clock, self._bits)
        trace.drawn = self._drawn(trace_id)
        return trace

    def ended(self, root: Root) -> None:
        """Decide about a trace that has ended, and forget its spans."""
        trace = root.trace
        root.verdict = verdict = self._verdict(root)
        if verdict is not None:
            self._keep(_Kept(trace.ends(root), verdict, trace.dropped))
        trace.forget()

    @property
    def is_urgent(self) -> bool:
        """Return whether what waits should not wait longer.

        Somebody looks for the traces of errors, of slow requests and those a caller
        asked for; and many are company enough.
        """
        return self._urgent

    def take(self) -> list[TraceRecord]:
        """Return the traces kept since the last call, and forget them here."""
        taken = [kept.record() for kept in self._kept]
        self._kept.clear()
        self._urgent = False
        return taken

    def _verdict(self, root: Root) -> Verdict | None:
        trace = root.trace
        if root.endless and not root.error:
            return None  # how long a stream ran tells nothing
        # Most are like this: there is nothing to decide.
        plain = not (root.error or trace.asked_for or trace.drawn)
        if plain and root.seconds <= self._sampling.slow_seconds and not trace.caller:
            return None
        failed = bool(root.error)
        facts = Ended(root.seconds, failed, trace.asked_for, trace.drawn)
        verdict = decide(facts, self._sampling)
        if verdict is None and trace.trace_id in self._remembered:
            # A later part, such as an event's, of what was kept for its slowness.
            return Verdict(Reason.CALLER, 1.0)
        return verdict

    def _keep(self, kept: "_Kept") -> None:
        if len(self._kept) >= KEPT_TRACES_MAX:
            self.dropped_traces += 1
            return
        self._kept.append(kept)
        if kept.verdict.reason is not Reason.RATIO or len(self._kept) >= MANY_TRACES:
            self._urgent = True
        self._remembered[kept.trace.top.trace.trace_id] = None
        if len(self._remembered) > REMEMBERED_TRACES_MAX:
            self._remembered.popitem(last=False)
