"""Saying what happened, for what has no transaction of its own to say it in.

Announcements wait in a bounded queue and are written to the outbox a batch at a time,
so that a read never waits for a disk. What a full queue drops is counted.
"""

import asyncio
from collections.abc import Mapping

from cortex.bus.events import Event
from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import Namespace
from cortex.storage import outbox
from cortex.storage.sqlite import Connection, Database
from cortex.usecases.model import CallContext

ANNOUNCEMENTS_MAX = 4_096
"""Announcements that may wait: seconds of full load, a few megabytes."""

BATCH_MAX = 256
"""Announcements written in one unit."""

SOURCE = "cortex/usecases"


class Announcer:
    """Hands events over to the outbox, in order."""

    def __init__(self, database: Database, *, clock: Clock, ids: IdSource) -> None:
        """Write to the outbox of ``database``."""
        self._database = database
        self._clock = clock
        self._ids = ids
        self._queue: asyncio.Queue[Event] = asyncio.Queue(ANNOUNCEMENTS_MAX)
        self._batch: list[Event] = []
        self.dropped = 0

    def __call__(
        self,
        type_: str,
        namespace: Namespace,
        data: Mapping[str, JsonValue],
        context: CallContext,
    ) -> None:
        """Announce; returns at once. ``data`` holds ids and counts, never content."""
        named = {"namespace": namespace.name, "actor": context.actor, **data}
        self.tell(type_, (namespace.tenant, namespace.name), named, context)

    def tell(
        self,
        type_: str,
        about: tuple[str, str],
        data: Mapping[str, JsonValue],
        context: CallContext,
    ) -> None:
        """Announce what is of no namespace; ``about``: a tenant and a subject."""
        event = Event(
            id=self._ids.new(),
            type=type_,
            source=SOURCE,
            time=self._clock.now(),
            subject=about[1],
            tenant=about[0],
            data=data,
            correlation_id=context.correlation_id,
            traceparent=context.traceparent,
        )
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Write what is announced, for ever.

        What was being written when this ends, by an error or by cancellation, is
        written by the next ``run`` or ``flush``.
        """
        while True:
            if not self._batch:
                self._batch = [await self._queue.get()]
            await self.flush()

    async def flush(self) -> None:
        """Write what still waits."""
        while batch := self._taken():
            await self._write(batch)
            self._batch = []

    def _taken(self) -> list[Event]:
        """Return what is to be written next; it is held until it is durable."""
        size = min(self._queue.qsize(), BATCH_MAX - len(self._batch))
        self._batch += [self._queue.get_nowait() for _ in range(size)]
        return self._batch

    async def _write(self, batch: list[Event]) -> None:
        def unit(connection: Connection) -> None:
            # A batch that was given up may be there: the same id twice is one event.
            for event in batch:
                outbox.append(connection, event)

        await self._database.write(unit)
