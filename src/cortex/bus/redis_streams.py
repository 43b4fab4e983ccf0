"""Events beyond one process and one machine: Redis Streams, where Redis is already.

As with NATS the outbox stays the source of truth and its relay waits for the answer:
at least once, in the order of commits, and the server drops a repeat within
``DUPLICATE_SECONDS``. How durable the stream is, Redis's own configuration decides
(appendfsync, replicas); where that matters most, NATS JetStream is the better carrier.
"""

import asyncio
from importlib.resources import files
from typing import Any, Final, cast

from cortex.bus.errors import TransportUnreachable
from cortex.bus.events import Event

try:
    from redis.asyncio import Redis
    from redis.exceptions import RedisError
except ImportError as error:
    message = "events over Redis need the extra: pip install 'cortex-context[redis]'"
    raise ImportError(message) from error

STREAM: Final = "{cortex:events}"
"""Key of the stream. The braces keep it and its marks on one node of a cluster."""

CONNECT_SECONDS: Final = 1.0
"""Longest wait for a connection: health looks within two seconds."""

ACKNOWLEDGE_SECONDS: Final = 5.0
"""Longest wait for the server to say that it has an event."""

KEPT_EVENTS: Final = 50_000
"""About as many events as the outbox keeps; older ones go."""

DUPLICATE_SECONDS: Final = 600
"""Seconds within which the server drops an id that it has seen."""


class RedisStreamsLink:
    """Connections to one server, made when they are needed."""

    def __init__(self, url: str) -> None:
        """Take ``redis://…``, ``rediss://…`` or ``unix://…``."""
        self.client: Redis = Redis.from_url(
            url,
            socket_timeout=ACKNOWLEDGE_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
        )

    async def ping(self) -> None:
        """Raise ``TransportUnreachable`` unless the server answers."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await cast("Any", self.client.ping())
        except (RedisError, OSError) as error:
            raise unreachable(error) from error

    async def close(self) -> None:
        """Close the connections; the next use makes new ones."""
        await self.client.aclose()


class RedisStreamsPublisher:
    """A subscriber of the outbox's relay that hands events on to the stream."""

    def __init__(self, link: RedisStreamsLink) -> None:
        """Publish over ``link``."""
        script = files("cortex.bus").joinpath("lua", "add_event.lua").read_text()
        self._add = link.client.register_script(script)

    async def publish(self, event: Event) -> None:
        """Return when the server has the event; the same one twice is kept once.

        Raises:
            TransportUnreachable: it does not take events now; try again.
        """
        keys = [STREAM, f"{STREAM}:seen:{event.id}"]
        marks: list[str | int | bytes] = [DUPLICATE_SECONDS, KEPT_EVENTS]
        told = [*marks, event.id, event.type, event.carried()]
        try:
            await cast("Any", self._add(keys=keys, args=told))
        except (RedisError, OSError) as error:
            raise unreachable(error) from error


def unreachable(error: Exception) -> TransportUnreachable:
    """Return what to raise instead; it names no address, which may hold a password."""
    return TransportUnreachable(
        f"the Redis server does not take events ({type(error).__name__})",
        hint="Events wait in the outbox; see that the server runs and has memory.",
    )
