"""Events of other processes from NATS JetStream: at least once, by a durable name.

Each name has a cursor of its own at the server; processes that use the same name share
the work. A handler that fails is tried again later; after the last try the event is a
dead letter of this process. Repeats that this process has handled are acknowledged
without another call; beyond that, handlers go by the event's id.
"""

from collections.abc import Collection
from dataclasses import dataclass

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
from cortex.bus.nats import STREAM, SUBJECT, NatsLink, unreachable
from cortex.foundation.clock import Clock

try:
    from nats.aio.msg import Msg
    from nats.errors import Error as NatsError
    from nats.errors import TimeoutError as NatsTimeout
    from nats.js import JetStreamContext
    from nats.js.api import ConsumerConfig
except ImportError as error:
    message = "events over NATS need the extra: pip install 'cortex-context[nats]'"
    raise ImportError(message) from error

BATCH_EVENTS_MAX = 256
"""Events fetched at once."""

FETCH_SECONDS = 1.0
"""Longest wait for an event before the connection is looked at."""

RECONNECT_SECONDS = 1.0
"""Pause after the server went away."""

ACKNOWLEDGE_SECONDS = 30.0
"""Seconds after which the server offers an unacknowledged event again."""


@dataclass(frozen=True, slots=True)
class ConsumerOptions:
    """How hard to try; see the constants above."""

    tries_max: int = TRIES_MAX
    retry_seconds: float = RETRY_SECONDS
    fetch_seconds: float = FETCH_SECONDS
    reconnect_seconds: float = RECONNECT_SECONDS
    acknowledge_seconds: float = ACKNOWLEDGE_SECONDS


class NatsConsumer:
    """Calls a handler with the stream's events, in order unless one fails."""

    def __init__(
        self,
        link: NatsLink,
        name: str,
        handler: Handler,
        *,
        clock: Clock,
        types: Collection[str] | None = None,
        options: ConsumerOptions | None = None,
    ) -> None:
        """Consume under a durable name; ``types`` None means all events kept."""
        self._link = link
        self._name = name
        self._clock = clock
        self._types = None if types is None else sorted(types)
        self._options = options or ConsumerOptions()
        self._inbox = Inbox(name, handler, clock, self._options.tries_max)

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
            stream = await self._link.stream()
            fetching = await self._subscribed(stream)
            while True:
                heed_cancellation()
                try:
                    found = await fetching.fetch(
                        BATCH_EVENTS_MAX, timeout=self._options.fetch_seconds
                    )
                except NatsTimeout:
                    if await self._link.stream() is not stream:
                        return  # a new connection needs a new subscription
                    continue
                for one in found:
                    await self._take(one)
        except (NatsError, OSError) as error:
            raise unreachable(error) from error

    async def _subscribed(
        self, stream: JetStreamContext
    ) -> JetStreamContext.PullSubscription:
        config = ConsumerConfig(
            durable_name=self._name, ack_wait=self._options.acknowledge_seconds
        )
        everything = f"{SUBJECT}.>"
        if self._types is not None:
            config.filter_subjects = [f"{SUBJECT}.{name}" for name in self._types]
        return await stream.pull_subscribe(
            everything if self._types is None else "",
            durable=self._name,
            stream=STREAM,
            config=config,
        )

    async def _take(self, one: Msg) -> None:
        tries = one.metadata.num_delivered or 1
        match await self._inbox.offer(one.data, tries):
            case Outcome.DONE:
                await one.ack()
            case Outcome.AGAIN:
                await one.nak(delay=pause_seconds(tries, self._options.retry_seconds))
            case Outcome.REFUSED:
                await one.term()
