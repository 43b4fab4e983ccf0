"""Sends kept traces on beside everything else, as far as a collector takes them.

What waits is bounded, and so is how long one answer may take: a collector that is away,
slow or wrong costs traces, never a request, and never the traces kept here.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cortex.foundation.clock import Clock
from cortex.telemetry.tracing.model import TraceRecord

SPANS_WAITING_MAX = 20_000
"""While the collector is away: some 10 MB. Older ones go first."""

SPANS_AT_ONCE_MAX = 2_000
"""In one request: below the 4 MB that a collector takes by default."""

LOOK_SECONDS = 1.0
"""Between two looks at what waits."""

BACKOFF_SECONDS_MIN = 1.0
BACKOFF_SECONDS_MAX = 60.0
"""Waits between two tries while the collector takes nothing."""


class Outcome(StrEnum):
    """What became of a request to a collector."""

    SENT = "sent"
    REFUSED = "refused"
    """It will never take these."""
    LATER = "later"
    """It is away or busy."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a collector said; ``reason`` is for people."""

    outcome: Outcome
    reason: str = ""
    retry_after: float = 0.0


class Exporter(Protocol):
    """Sends traces to one place."""

    async def send(self, traces: Sequence[TraceRecord]) -> Answer:
        """Send traces; raises nothing for what lies there."""


class Told(Protocol):
    """Who is told how it goes."""

    def spans(self, outcome: str, count: int) -> None:
        """Take that many spans were ``sent`` or ``dropped``."""

    def trouble(self, reason: str) -> None:
        """Take that the collector began to refuse; empty: it takes traces again."""


class ExportQueue:
    """Traces that wait for a collector; ``offer`` never waits and never fails."""

    def __init__(self, exporter: Exporter, told: Told, clock: Clock) -> None:
        """Begin with nothing to send."""
        self._exporter = exporter
        self._told = told
        self._clock = clock
        self._waiting: deque[TraceRecord] = deque()
        self._spans = 0
        self._not_before = 0.0
        self._backoff = BACKOFF_SECONDS_MIN
        self._reason = ""

    def offer(self, traces: Sequence[TraceRecord]) -> None:
        """Let traces wait to be sent; the oldest go where too many do."""
        self._waiting.extend(traces)
        self._spans += _spans(traces)
        while self._spans > SPANS_WAITING_MAX:
            self._told.spans("dropped", len(self._pop().spans))

    async def run(self) -> None:
        """Send for as long as the server runs, until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Send what waits, as far as the collector takes it."""
        while self._waiting and self._clock.monotonic() >= self._not_before:
            batch = self._batch()
            answer = Answer(Outcome.LATER)
            try:
                answer = await self._exporter.send(batch)
            finally:  # also when the server stops meanwhile: the last flush has them
                if answer.outcome is Outcome.LATER:
                    self._put_back(batch)
            self._learn(answer, _spans(batch))

    def _batch(self) -> list[TraceRecord]:
        """Return the oldest that fit into one request, at least one."""
        batch = [self._pop()]
        spans = _spans(batch)
        while self._waiting:
            spans += len(self._waiting[0].spans)
            if spans > SPANS_AT_ONCE_MAX:
                break
            batch.append(self._pop())
        return batch

    def _pop(self) -> TraceRecord:
        trace = self._waiting.popleft()
        self._spans -= len(trace.spans)
        return trace

    def _put_back(self, batch: Sequence[TraceRecord]) -> None:
        self._waiting.extendleft(reversed(batch))
        self._spans += _spans(batch)
        self.offer(())

    def _learn(self, answer: Answer, spans: int) -> None:
        if answer.outcome is Outcome.LATER:
            wait = max(self._backoff, min(answer.retry_after, BACKOFF_SECONDS_MAX))
            self._not_before = self._clock.monotonic() + wait
            self._backoff = min(self._backoff * 2, BACKOFF_SECONDS_MAX)
        else:
            self._backoff = BACKOFF_SECONDS_MIN
            sent = answer.outcome is Outcome.SENT
            self._told.spans("sent" if sent else "dropped", spans)
        self._say(answer.reason)

    def _say(self, reason: str) -> None:
        if bool(reason) != bool(self._reason):
            self._told.trouble(reason)
        self._reason = reason


def _spans(traces: Sequence[TraceRecord]) -> int:
    return sum(len(trace.spans) for trace in traces)
