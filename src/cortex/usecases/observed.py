"""What was observed: metrics over time, where time goes, what went wrong."""

import asyncio
from dataclasses import dataclass

import numpy as np

from cortex.foundation.clock import Clock
from cortex.foundation.errors import NotFound
from cortex.telemetry.errors import ErrorGroup, ErrorStore
from cortex.telemetry.history.model import (
    Catalogued,
    Comparison,
    Labels,
    Matcher,
    Selector,
)
from cortex.telemetry.history.ports import History
from cortex.telemetry.history.question import (
    Function,
    Line,
    Question,
    ask,
    ask_quantiles,
)
from cortex.telemetry.log_search import KeptLogs
from cortex.telemetry.tracing import analysis
from cortex.telemetry.tracing.model import TraceRecord
from cortex.telemetry.tracing.ports import TraceStore

TRACES_ANALYSED_MAX = 5_000
"""Traces read for one analysis, the newest of the period: half a second of work."""

REQUESTS = "cortex_http_requests_total"
REQUEST_SECONDS = "cortex_http_request_seconds"

_FAILED = (Matcher("status", "5xx"),)
_SERVED = Matcher("route", "/metrics|/health.*|/ready", Comparison.DIFFERS)

Period = tuple[float, float]


@dataclass(frozen=True, slots=True)
class SlowTrace:
    """One request, and what it waited for.

    Attributes:
        trace: as it was kept.
        path: its critical path, from its beginning to its end.
    """

    trace: TraceRecord
    path: tuple[analysis.Step, ...]


@dataclass(frozen=True, slots=True)
class Spans:
    """Where the time of a period went.

    Attributes:
        traces: how many were read.
        requests: how many requests they stand for.
        parts: by name, the bottleneck first.
        slowest: the slowest request.
        differences: against the other period, the worst first.
    """

    traces: int
    requests: float
    parts: tuple[analysis.Part, ...]
    slowest: SlowTrace | None
    differences: tuple[analysis.Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteStatus:
    """How one route did in the window; NaN where nothing is known.

    Attributes:
        rate: requests a second.
        p95_ms: 95th percentile of the time to answer.
        error_ratio: part that failed by the server's fault, 0 to 1.
    """

    route: str
    rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    error_ratio: float


@dataclass(frozen=True, slots=True)
class Observed:
    """Answers questions about the past of this server."""

    kept: History
    traces: TraceStore
    groups: ErrorStore
    clock: Clock
    logs: KeptLogs

    async def history(self, question: Question, /) -> list[Line]:
        """Return the lines that answer a question about metrics."""
        return await ask(self.kept, question)

    async def catalog(self) -> list[Catalogued]:
        """Return every metric that history holds."""
        return await self.kept.catalog()

    async def errors(self, since: float, limit: int, /) -> list[ErrorGroup]:
        """Return groups of errors seen since then, the last seen first."""
        return await self.groups.page(since, limit)

    async def trace(self, trace_id: str, /) -> list[TraceRecord]:
        """Return what was kept of a trace.

        Raises:
            NotFound: nothing was.
        """
        found = await self.traces.of_id(trace_id)
        if not found:
            raise NotFound(
                "nothing is kept of that trace",
                hint="Most requests that were fast and went well are not kept.",
            )
        return found

    async def spans(self, period: Period, against: Period | None, /) -> Spans:
        """Return where the time of a period went, compared with another one."""
        now = await self.traces.between(*period, TRACES_ANALYSED_MAX)
        before = (
            []
            if against is None
            else await self.traces.between(*against, TRACES_ANALYSED_MAX)
        )
        return await asyncio.to_thread(_analysed, now, before)

    async def status(self, window: float, /) -> list[RouteStatus]:
        """Return how each route did, the busiest first; probes are left out."""
        rates = await self._now(REQUESTS, Function.RATE, window)
        failed = await self._now(REQUESTS, Function.RATE, window, (*_FAILED,))
        asked = self._question(REQUEST_SECONDS, Function.QUANTILE, window)
        p50, p95, p99 = [
            _last(lines)
            for lines in await ask_quantiles(self.kept, asked, (0.5, 0.95, 0.99))
        ]
        routes = [
            RouteStatus(
                dict(labels).get("route", ""),
                rate,
                p50_ms=1000 * p50.get(labels, np.nan),
                p95_ms=1000 * p95.get(labels, np.nan),
                p99_ms=1000 * p99.get(labels, np.nan),
                error_ratio=failed.get(labels, 0.0) / rate if rate > 0 else np.nan,
            )
            for labels, rate in rates.items()
        ]
        return sorted(routes, key=lambda route: (-route.rate, route.route))

    async def _now(
        self,
        metric: str,
        function: Function,
        window: float,
        matchers: tuple[Matcher, ...] = (),
    ) -> dict[Labels, float]:
        question = self._question(metric, function, window, matchers)
        return _last(await ask(self.kept, question))

    def _question(
        self,
        metric: str,
        function: Function,
        window: float,
        matchers: tuple[Matcher, ...] = (),
    ) -> Question:
        now = self.clock.now()
        selector = Selector(metric, (*matchers, _SERVED))
        return Question(selector, now, now, 1.0, function, window, by=("route",))


def _last(lines: list[Line]) -> dict[Labels, float]:
    return {line.labels: float(line.values[-1]) for line in lines}


def _analysed(now: list[TraceRecord], before: list[TraceRecord]) -> Spans:
    slowest = max(now, key=lambda trace: trace.top.seconds, default=None)
    return Spans(
        traces=len(now),
        requests=sum(trace.weight for trace in now),
        parts=tuple(analysis.parts(now)),
        slowest=None
        if slowest is None
        else SlowTrace(slowest, tuple(analysis.critical_path(slowest))),
        differences=tuple(analysis.compare(before, now)),
    )
