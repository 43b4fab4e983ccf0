"""Following events as they happen: each follower reads the journal at its own pace.

A follower holds no queue, so a slow one costs nothing and loses nothing that is kept;
what a reconnecting one missed is read from where it stopped.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field

from cortex.bus.events import Event
from cortex.foundation.clock import Clock
from cortex.foundation.errors import Overloaded, PermissionDenied
from cortex.foundation.tenancy import Principal
from cortex.storage.outbox import Journal

FOLLOWERS_MAX = 1_000
"""Streams one process serves: each costs some kilobytes and a look a second."""

TENANT_FOLLOWERS_MAX = 900
"""Streams of one tenant: the rest is left to others, whoever takes what he can get."""

HEARTBEAT_SECONDS = 15.0
"""Silence after which a follower is told that the stream lives."""

LOOK_SECONDS = 1.0
"""Between two looks for a stop, and for events of other processes."""

EVENTS_READ = 256
"""Events read from the journal at once."""

RETRY_SECONDS = 5.0
"""When a refused follower should come back."""


@dataclass(slots=True)
class Stop:
    """Ends all streams, so that a server can drain."""

    requested: bool = False
    followers: dict[asyncio.Event, str] = field(default_factory=dict)

    def check_room(self, tenant: str) -> None:
        """Raise ``Overloaded`` unless the tenant may open one more stream."""
        own = sum(owner == tenant for owner in self.followers.values())
        for count, most, whose in (
            (own, TENANT_FOLLOWERS_MAX, " of this tenant"),
            (len(self.followers), FOLLOWERS_MAX, ""),
        ):
            if count >= most:
                message = f"{most} event streams{whose} are open already"
                raise Overloaded(message, retry_after_seconds=RETRY_SECONDS)

    def request(self) -> None:
        """End every stream soon."""
        self.requested = True
        self.wake()

    def wake(self) -> None:
        """Let every follower look."""
        for waiting in self.followers:
            waiting.set()


class Follow:
    """Streams a tenant's events, from now or from behind a known one."""

    def __init__(self, journal: Journal[Event], clock: Clock) -> None:
        """Read from a journal; call ``committed`` when there is something new."""
        self._journal = journal
        self._clock = clock
        self._stop = Stop()

    async def committed(self, event: Event) -> None:
        """Wake the followers: an event was committed."""
        del event  # each follower reads the journal itself
        self._stop.wake()

    def stop(self) -> None:
        """End every stream."""
        self._stop.request()

    async def __call__(
        self,
        principal: Principal,
        last_event_id: str | None,
        types: Collection[str] | None,
        /,
    ) -> AsyncIterator[Event | None]:
        """Yield the caller's events in order, and None as a heartbeat.

        Begins behind ``last_event_id``; when that is no longer kept, with the oldest
        event that is; without one, with the next event.

        Raises:
            Overloaded: too many streams are open, of all or of this tenant.
        """
        self._stop.check_room(principal.tenant)
        waiting = asyncio.Event()
        self._stop.followers[waiting] = principal.tenant
        try:
            position = await self._start(last_event_id)
            silent_since = self._clock.monotonic()
            yield None  # the stream is open
            while not self._stop.requested:
                waiting.clear()
                found = await self._journal.after(position, limit=EVENTS_READ)
                for entry in found:
                    position = entry.position
                    if concerns(principal, entry.event, types):
                        silent_since = self._clock.monotonic()
                        yield entry.event
                if found:
                    continue
                if self._clock.monotonic() - silent_since >= HEARTBEAT_SECONDS:
                    silent_since = self._clock.monotonic()
                    yield None
                await _woken(waiting)
        finally:
            del self._stop.followers[waiting]

    async def _start(self, last_event_id: str | None) -> int:
        if last_event_id is None:
            return await self._journal.last_position()
        return await self._journal.position_of(last_event_id) or 0


async def _woken(waiting: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await waiting.wait()
    except TimeoutError:
        return


def concerns(principal: Principal, event: Event, types: Collection[str] | None) -> bool:
    """Return whether the caller may see the event, and asked for its type."""
    if event.tenant != principal.tenant or (types and event.type not in types):
        return False
    name = event.data.get("namespace")
    if not isinstance(name, str):
        return True
    try:
        principal.namespace(name)
    except PermissionDenied:
        return False
    return True
