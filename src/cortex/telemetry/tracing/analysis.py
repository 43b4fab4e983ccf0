"""Where the time of requests goes: self time, critical paths, two periods compared.

Pure arithmetic over kept traces. A trace kept by the ratio counts for all those that
were not kept (``TraceRecord.weight``), so that shares and quantiles are those of all
requests although slow ones are kept more often.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cortex.telemetry.tracing.model import SpanRecord, TraceRecord

Interval = tuple[float, float]

SURE = 2.58
"""Standard errors beyond which two periods differ: chance says so once in a hundred."""

SLOWER = 1.1
"""Ratio of medians from which a difference matters."""

COMPARED_MIN = 10
"""Spans that each period needs before they are compared."""


@dataclass(frozen=True, slots=True)
class Part:
    """All spans of one name.

    Attributes:
        count: how many, as weighted.
        errors: how many of them failed, as weighted.
        p50_ms: median of how long they took.
        p95_ms: their 95th percentile.
        self_ms: mean time that no span within them explains.
        self_share: part of all time spent, 0 to 1: the largest is the bottleneck.
        critical_share: part of the time that requests waited for it, 0 to 1.
    """

    name: str
    count: float
    errors: float
    p50_ms: float
    p95_ms: float
    self_ms: float
    self_share: float
    critical_share: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One name in two periods.

    Attributes:
        ratio: of the later median self time to the earlier one.
        sure: whether that is more than chance (rank sum test, p < 0.01).
    """

    name: str
    before_ms: float
    after_ms: float
    ratio: float
    sure: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of a critical path: what the request waited for then."""

    name: str
    start_ms: float
    ms: float


@dataclass(slots=True)
class _Tally:
    durations: list[tuple[float, float]] = field(default_factory=list)
    own: float = 0.0
    critical: float = 0.0
    errors: float = 0.0


def parts(traces: Iterable[TraceRecord]) -> list[Part]:
    """Return every name with its times, the largest self time first."""
    tallies: dict[str, _Tally] = defaultdict(_Tally)
    own_total = path_total = 0.0
    for trace in traces:
        for span, seconds in self_times(trace.spans):
            tally = tallies[span.name]
            tally.durations.append((span.seconds, trace.weight))
            tally.own += seconds * trace.weight
            tally.errors += trace.weight if span.error else 0.0
            own_total += seconds * trace.weight
        for top in _tops(trace.spans):
            for name, _start, seconds in _path(top, trace.spans):
                tallies[name].critical += seconds * trace.weight
                path_total += seconds * trace.weight
    found = [
        _part(name, tally, own_total, path_total) for name, tally in tallies.items()
    ]
    return sorted(found, key=lambda part: (-part.self_share, part.name))


def self_times(spans: Sequence[SpanRecord]) -> list[tuple[SpanRecord, float]]:
    """Return each span with the seconds that none of its children covers."""
    children = _children(spans)
    return [
        (span, span.seconds - _covered(span, children.get(span.span_id, ())))
        for span in spans
    ]


def critical_path(trace: TraceRecord) -> list[Step]:
    """Return what the request waited for, from its beginning to its end.

    Backwards from the end: of the children that end last before the moment looked at,
    the last one is what was waited for; where there is none, the span itself.
    """
    top = trace.top
    steps = [
        Step(name, (start - top.start) * 1000, seconds * 1000)
        for name, start, seconds in _path(top, trace.spans)
    ]
    return sorted(steps, key=lambda step: step.start_ms)


def compare(
    before: Iterable[TraceRecord], after: Iterable[TraceRecord]
) -> list[Difference]:
    """Return how self times changed between two periods, the worst first.

    Names with fewer than ``COMPARED_MIN`` spans in either period are left out.
    """
    old, new = _own_by_name(before), _own_by_name(after)
    found = []
    for name in old.keys() & new.keys():
        earlier, later = old[name], new[name]
        if min(len(earlier), len(later)) < COMPARED_MIN:
            continue
        was, now = quantile(earlier, 0.5), quantile(later, 0.5)
        ratio = now / was if was > 0 else math.inf if now > 0 else 1.0
        sure = abs(_rank_sum([v for v, _ in earlier], [v for v, _ in later])) > SURE
        found.append(Difference(name, was * 1000, now * 1000, ratio, sure))
    return sorted(found, key=lambda one: (-one.ratio, one.name))


def quantile(weighted: Sequence[tuple[float, float]], q: float) -> float:
    """Return the smallest value that at least ``q`` of the weight is at or below."""
    if not weighted:
        return math.nan
    ordered = sorted(weighted)
    wanted = q * sum(weight for _, weight in ordered)
    seen = 0.0
    for value, weight in ordered:
        seen += weight
        if seen >= wanted:
            return value
    return ordered[-1][0]


def _part(name: str, tally: _Tally, own_total: float, path_total: float) -> Part:
    count = sum(weight for _, weight in tally.durations)
    return Part(
        name,
        count,
        tally.errors,
        quantile(tally.durations, 0.5) * 1000,
        quantile(tally.durations, 0.95) * 1000,
        tally.own / count * 1000 if count else 0.0,
        tally.own / own_total if own_total else 0.0,
        tally.critical / path_total if path_total else 0.0,
    )


def _own_by_name(
    traces: Iterable[TraceRecord],
) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for trace in traces:
        for span, seconds in self_times(trace.spans):
            found[span.name].append((seconds, trace.weight))
    return found


def _children(spans: Sequence[SpanRecord]) -> dict[str, list[SpanRecord]]:
    children: dict[str, list[SpanRecord]] = defaultdict(list)
    for span in spans:
        if span.parent_id:
            children[span.parent_id].append(span)
    return children


def _tops(spans: Sequence[SpanRecord]) -> list[SpanRecord]:
    """Return the spans whose parent is not among them."""
    known = {span.span_id for span in spans}
    return [
        span
        for span in spans
        if span.parent_id not in known or span.parent_id == span.span_id
    ]


def _covered(span: SpanRecord, children: Iterable[SpanRecord]) -> float:
    """Return the seconds of a span in which at least one child ran."""
    covered, reached = 0.0, span.start
    for start, end in sorted(_within(span, child) for child in children):
        if end > reached:
            covered += end - max(start, reached)
            reached = end
    return covered


def _within(span: SpanRecord, child: SpanRecord) -> Interval:
    end = span.start + span.seconds
    return max(child.start, span.start), min(child.start + child.seconds, end)


def _path(
    top: SpanRecord, spans: Sequence[SpanRecord]
) -> list[tuple[str, float, float]]:
    """Return name, start and seconds of each stretch of a critical path."""
    children = _children(spans)
    steps: list[tuple[str, float, float]] = []
    work = [(top, top.start, top.start + top.seconds)]
    seen: set[str] = set()
    while work:
        span, begin, end = work.pop()
        if span.span_id in seen:
            continue
        seen.add(span.span_id)
        moment = end
        for child in sorted(
            children.get(span.span_id, ()), key=lambda c: -(c.start + c.seconds)
        ):
            child_end = min(child.start + child.seconds, moment)
            child_start = max(child.start, begin)
            if child_end <= child_start or child.start >= moment:
                continue
            if moment > child_end:
                steps.append((span.name, child_end, moment - child_end))
            work.append((child, child_start, child_end))
            moment = child_start
        if moment > begin:
            steps.append((span.name, begin, moment - begin))
    return steps


def _rank_sum(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the standard score of the Mann-Whitney rank sum test, ties averaged."""
    pooled = sorted([(v, 0) for v in first] + [(v, 1) for v in second])
    ranks = ties = 0.0
    position = 0
    while position < len(pooled):
        same = position
        while same < len(pooled) and pooled[same][0] == pooled[position][0]:
            same += 1
        of_second = sum(group for _, group in pooled[position:same])
        ranks += of_second * (position + same + 1) / 2
        size = same - position
        ties += size**3 - size
        position = same
    m, n = len(first), len(second)
    total = m + n
    expected = n * (total + 1) / 2
    variance = m * n / 12 * ((total + 1) - ties / (total * (total - 1)))
    return (ranks - expected) / math.sqrt(variance) if variance > 0 else 0.0
