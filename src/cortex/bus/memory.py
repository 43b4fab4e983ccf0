"""The in-process bus: hands events to handlers and streams, never waits for them.

For events that need no outbox (a search happened, a cache missed), and for fanning out
what the outbox delivers. ``publish`` returns at once. Each subscriber has a bounded
queue of its own; one that falls behind is dropped and told why, so that it can resume
from the outbox, instead of slowing down or starving the others.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from typing import Self

from cortex.bus.dead_events import (
    DEAD_LETTERS_MAX,
    DeadEvent,
    DeadEvents,
    Handler,
)
from cortex.bus.events import Event
from cortex.foundation.clock import Clock
from cortex.foundation.errors import Conflict, CortexError

QUEUE_EVENTS_MAX = 1_024
"""Events waiting for one subscriber: a second of a busy server, about 1 MB."""

TRIES_MAX = 3
"""Calls of a handler with one event before it is a dead letter."""

RETRY_SECONDS = 0.1
"""Pause before the second call; it doubles with each further one."""


class SubscriberTooSlow(CortexError):
    """A stream fell too far behind and was dropped; resume by the last event's id."""

    code = "SUBSCRIBER_TOO_SLOW"
    retryable = True


@dataclass(frozen=True, slots=True)
class BusOptions:
    """How much to queue and how hard to try; see the constants above."""

    queue_events_max: int = QUEUE_EVENTS_MAX
    dead_letters_max: int = DEAD_LETTERS_MAX
    tries_max: int = TRIES_MAX
    retry_seconds: float = RETRY_SECONDS


@dataclass(slots=True)
class _Queue:
    """Events waiting for one subscriber, and the flag that there are some."""

    types: frozenset[str] | None
    tenant: str | None
    events: deque[Event] = field(default_factory=deque)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False
    too_slow: bool = False

    def wants(self, event: Event) -> bool:
        """Return whether the subscriber asked for this event."""
        if self.tenant is not None and event.tenant != self.tenant:
            return False
        return self.types is None or event.type in self.types

    def close(self) -> None:
        """Let the subscriber take what is queued, then end."""
        self.closed = True
        self.ready.set()

    async def take(self) -> Event | None:
        """Wait for the next event; None when closed and empty."""
        while not self.events:
            if self.closed:
                return None
            self.ready.clear()
            await self.ready.wait()
        return self.events.popleft()


@dataclass(slots=True)
class _Subscriber:
    name: str
    handler: Handler
    queue: _Queue


class Stream(AsyncIterator[Event]):
    """An open stream of events, to be closed by ``async with``."""

    def __init__(self, queue: _Queue, release: Callable[[], None]) -> None:
        """Read from a queue of the bus."""
        self._queue = queue
        self._release = release

    async def __aenter__(self) -> Self:
        """Return the stream itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the subscription."""
        self._release()

    def __aiter__(self) -> Self:
        """Return the stream itself."""
        return self

    async def __anext__(self) -> Event:
        """Return the next event.

        Raises:
            SubscriberTooSlow: the queue was full once; events are missing from here.
            StopAsyncIteration: the bus stopped.
        """
        event = await self._queue.take()
        if event is not None:
            return event
        if self._queue.too_slow:
            raise SubscriberTooSlow(
                "this stream fell behind and was dropped",
                hint="Connect again with Last-Event-ID to go on without a gap.",
            )
        raise StopAsyncIteration


class Bus:
    """Publishes events to the subscribers of this process; for one event loop."""

    def __init__(self, *, clock: Clock, options: BusOptions | None = None) -> None:
        """Make a bus; handlers run once ``run`` does."""
        self._clock = clock
        self._options = options or BusOptions()
        self._subscribers: dict[str, _Subscriber] = {}
        self._queues: dict[int, _Queue] = {}
        self._dead = DeadEvents(clock, self._options.dead_letters_max)
        self._tasks: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()

    def subscribe(
        self, name: str, handler: Handler, types: Collection[str] | None = None
    ) -> None:
        """Call ``handler`` with each event of the given types; None means all.

        Raises:
            Conflict: the name is taken.
        """
        if name in self._subscribers:
            raise Conflict(f"the bus has a subscriber named {name!r} already")
        queue = _Queue(None if types is None else frozenset(types), tenant=None)
        subscriber = _Subscriber(name, handler, queue)
        self._subscribers[name] = subscriber
        self._queues[id(queue)] = queue
        if self._tasks is not None:
            self._tasks.create_task(self._serve(subscriber), name=f"bus-{name}")

    def unsubscribe(self, name: str) -> None:
        """Stop calling a handler after what is queued for it."""
        subscriber = self._subscribers.pop(name, None)
        if subscriber is not None:
            self._queues.pop(id(subscriber.queue), None)
            subscriber.queue.close()

    def stream(
        self, *, types: Collection[str] | None = None, tenant: str | None = None
    ) -> Stream:
        """Open a stream of events from now on, of one tenant unless None."""
        queue = _Queue(None if types is None else frozenset(types), tenant)
        self._queues[id(queue)] = queue
        if self._stopping.is_set():
            queue.close()
        return Stream(queue, lambda: self._release(queue))

    def publish(self, event: Event) -> None:
        """Queue the event for everyone who wants it; never waits."""
        for queue in tuple(self._queues.values()):
            if queue.closed or not queue.wants(event):
                continue
            if len(queue.events) < self._options.queue_events_max:
                queue.events.append(event)
                queue.ready.set()
            else:
                self._overflow(queue, event)

    async def run(self) -> None:
        """Call handlers until ``stop``; the caller's task group owns this."""
        self._stopping.clear()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for known in tuple(self._subscribers.values()):
                tasks.create_task(self._serve(known), name=f"bus-{known.name}")
            await self._stopping.wait()
            self._tasks = None

    async def stop(self) -> None:
        """Let handlers finish what is queued, end streams, then end ``run``."""
        self._stopping.set()
        for queue in tuple(self._queues.values()):
            queue.close()

    def dead_letters(self) -> tuple[DeadEvent, ...]:
        """Return refused events, the oldest first."""
        return self._dead.all()

    async def retry(self, subscriber: str, event_id: str) -> None:
        """Offer a dead letter once more.

        Raises:
            NotFound: no such dead letter, or no such subscriber.
            Exception: whatever the handler raised; the letter stays.
        """
        known = self._subscribers.get(subscriber)
        handler = None if known is None else known.handler
        await self._dead.retry(subscriber, event_id, handler)

    def _overflow(self, queue: _Queue, event: Event) -> None:
        for known in self._subscribers.values():
            if known.queue is queue:
                self._dead.bury(known.name, event, "its queue was full", 0)
                return
        queue.too_slow = True
        queue.events.clear()
        queue.close()

    def _release(self, queue: _Queue) -> None:
        queue.close()
        self._queues.pop(id(queue), None)

    async def _serve(self, known: _Subscriber) -> None:
        while True:
            event = await known.queue.take()
            if event is None:
                return
            await self._deliver(known, event)

    async def _deliver(self, known: _Subscriber, event: Event) -> None:
        tries = 0
        while True:
            tries += 1
            try:
                await known.handler(event)
            except Exception as error:  # noqa: BLE001 - worker loop: kept as dead letter
                reason = f"{type(error).__name__}: {error}"
            else:
                return
            if tries >= self._options.tries_max:
                self._dead.bury(known.name, event, reason, tries)
                return
            await self._clock.sleep(self._options.retry_seconds * 2 ** (tries - 1))
