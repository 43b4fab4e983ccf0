"""Events of other processes from Redis Streams: at least once, by a durable name.

Each name is a consumer group with a cursor at the server; processes that use the same
name share the work. What fails is offered again here, later each time; what a process
took and then died with, another one adopts.
"""

import heapq
from dataclasses import dataclass
from typing import Any, cast

from cortex.bus.dead_events import DeadEvent, Handler
from cortex.bus.errors import TransportUnreachable
from cortex.bus.inbox import (
    TRIES_MAX,
    Inbox,
    Outcome,
    heed_cancellation,
    pause_seconds,
)
from cortex.bus.memory import RETRY_SECONDS
from cortex.bus.redis_streams import STREAM, RedisStreamsLink, unreachable
from cortex.foundation.clock import Clock
from cortex.foundation.ids import IdSource

try:
    from redis.exceptions import RedisError, ResponseError
except ImportError as error:
    message = "events over Redis need the extra: pip install 'cortex-context[redis]'"
    raise ImportError(message) from error

BATCH_EVENTS_MAX = 256
"""Events fetched at once."""

FETCH_SECONDS = 1.0
"""Longest wait for an event before failed ones are looked at."""

RECONNECT_SECONDS = 1.0
"""Pause after the server went away."""

ADOPT_SECONDS = 30.0
"""Seconds after which an event that nobody acknowledged is another process's."""

BODY = b"body"


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How hard to try; see the constants above."""

    tries_max: int = TRIES_MAX
    retry_seconds: float = RETRY_SECONDS
    fetch_seconds: float = FETCH_SECONDS
    reconnect_seconds: float = RECONNECT_SECONDS
    adopt_seconds: float = ADOPT_SECONDS


class RedisStreamsConsumer:
    """Calls a handler with the stream's events, in order unless one fails."""

    def __init__(
        self,
        link: RedisStreamsLink,
        name: str,
        handler: Handler,
        *,
        clock: Clock,
        ids: IdSource,
        options: StreamOptions | None = None,
    ) -> None:
        """Consume under a durable name, as one of perhaps several processes."""
        self._client = link.client
        self._name = name
        self._clock = clock
        self._me = ids.new()
        self._options = options or StreamOptions()
        self._inbox = Inbox(name, handler, clock, self._options.tries_max)
        self._again: list[tuple[float, bytes, bytes, int]] = []
        self._adopt_at = 0.0

    @property
    def malformed(self) -> int:
        """Return how many messages were no events."""
        return self._inbox.malformed

    def dead_letters(self) -> tuple[DeadEvent, ...]:
        """Return refused events, the oldest first."""
        return self._inbox.dead_letters()

    async def retry(self, event_id: str) -> None:
        """Offer a dead letter of this process to the handler once more.

        Raises:
            NotFound: no such dead letter.
            Exception: whatever the handler raised; the letter stays.
        """
        await self._inbox.retry(event_id)

    async def run(self) -> None:
        """Consume for ever, through losses of the server; the caller's task owns it."""
        while True:
            try:
                await self._consume()
            except TransportUnreachable:
                await self._clock.sleep(self._options.reconnect_seconds)

    async def _consume(self) -> None:
        try:
            await self._grouped()
            while True:
                heed_cancellation()
                await self._retry()
                await self._adopt()
                for key, body in await self._fetched():
                    await self._take(key, body, 1)
        except ResponseError as error:
            # The group is gone with a server that forgot: make it again.
            raise unreachable(error) from error
        except (RedisError, OSError) as error:
            raise unreachable(error) from error

    async def _grouped(self) -> None:
        try:
            await self._client.xgroup_create(STREAM, self._name, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):  # it is there already
                raise

    async def _fetched(self) -> list[tuple[bytes, bytes]]:
        wait = self._options.fetch_seconds
        if self._again:
            wait = min(wait, max(0.001, self._again[0][0] - self._clock.monotonic()))
        answer = await cast(
            "Any",
            self._client.xreadgroup(
                self._name,
                self._me,
                {STREAM: ">"},
                count=BATCH_EVENTS_MAX,
                block=max(1, round(wait * 1000)),
            ),
        )
        return [one for _, found in _streams(answer) for one in _bodies(found)]

    async def _retry(self) -> None:
        """Offer again what failed and has waited long enough."""
        while self._again and self._again[0][0] <= self._clock.monotonic():
            _, key, body, tries = heapq.heappop(self._again)
            await self._take(key, body, tries)

    async def _adopt(self) -> None:
        """Take over what another process was given and never acknowledged."""
        now = self._clock.monotonic()
        if now < self._adopt_at:
            return
        self._adopt_at = now + self._options.adopt_seconds
        answer = await cast(
            "Any",
            self._client.xautoclaim(
                STREAM,
                self._name,
                self._me,
                min_idle_time=round(self._options.adopt_seconds * 1000),
                count=BATCH_EVENTS_MAX,
            ),
        )
        mine = {key for _, key, _, _ in self._again}
        for key, body in _bodies(answer[1]):
            if key not in mine:
                await self._take(key, body, 1)

    async def _take(self, key: bytes, body: bytes, tries: int) -> None:
        outcome = await self._inbox.offer(body, tries)
        if outcome is Outcome.AGAIN:
            pause = pause_seconds(tries, self._options.retry_seconds)
            due = self._clock.monotonic() + pause
            heapq.heappush(self._again, (due, key, body, tries + 1))
            return
        await cast("Any", self._client.xack(STREAM, self._name, key))


def _streams(answer: Any) -> list[tuple[bytes, Any]]:
    """Return (stream, messages) of either protocol: RESP3 answers a mapping."""
    if isinstance(answer, dict):
        return [(key, found[0]) for key, found in answer.items()]
    return list(answer or ())


def _bodies(found: Any) -> list[tuple[bytes, bytes]]:
    """Return (key, body); what the server has trimmed meanwhile has none."""
    return [(key, (fields or {}).get(BODY, b"")) for key, fields in found]
