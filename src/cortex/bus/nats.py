"""Events beyond one process and one machine: NATS JetStream.

The outbox stays the source of truth. Its relay publishes each event, waits for the
acknowledgement of the stream, and only then moves its cursor: at least once, in the
order of commits. ``Nats-Msg-Id`` is the event's id, so that the server itself drops
what comes twice within ``DUPLICATE_SECONDS``; consumers go by the id after that.

A server that is away costs a publisher nothing but time: events wait in the outbox.
Bodies are CloudEvents in structured mode, so that programs without Cortex read them.
"""

import asyncio
from dataclasses import dataclass

from cortex.bus.errors import TransportUnreachable
from cortex.bus.events import Event

try:
    from nats.aio.client import Client
    from nats.errors import (
        BadHeaderError,
        BadSubjectError,
        MaxPayloadError,
    )
    from nats.errors import Error as NatsError
    from nats.js import JetStreamContext
    from nats.js.api import StorageType, StreamConfig
    from nats.js.errors import NotFoundError
except ImportError as error:
    message = "events over NATS need the extra: pip install 'cortex-context[nats]'"
    raise ImportError(message) from error

STREAM = "CORTEX_EVENTS"
"""Name of the stream; one that is there already is used as it is."""

SUBJECT = "cortex.events"
"""Prefix of subjects; the event's type follows: ``cortex.events.memory.stored``."""

CONTENT_TYPE = "application/cloudevents+json"

CONNECT_SECONDS = 1.0
"""Longest wait for a connection: health looks within two seconds."""

ACKNOWLEDGE_SECONDS = 5.0
"""Longest wait for the stream to say that it keeps an event."""

PING_SECONDS = 1.0
"""Longest wait for the answer to a ping."""

KEPT_SECONDS = 24 * 3600.0
"""Seconds that the stream keeps events: as long as the outbox does."""

DUPLICATE_SECONDS = 600.0
"""Seconds within which the server drops an id that it has seen."""

REFUSALS = (BadHeaderError, BadSubjectError, MaxPayloadError)
"""What is wrong with an event, not with the server."""


@dataclass(frozen=True, slots=True)
class NatsOptions:
    """How long to wait and to keep; see the constants above."""

    connect_seconds: float = CONNECT_SECONDS
    acknowledge_seconds: float = ACKNOWLEDGE_SECONDS
    kept_seconds: float = KEPT_SECONDS
    duplicate_seconds: float = DUPLICATE_SECONDS


class NatsLink:
    """One connection, made when it is needed and made again after a failure.

    The client's own reconnecting is off: it would queue what is published meanwhile,
    and an event counts only when the stream has it.
    """

    def __init__(self, url: str, options: NatsOptions | None = None) -> None:
        """Take ``nats://[USER:PASSWORD@]HOST:PORT``, or several by commas."""
        self._servers = [part.strip() for part in url.split(",") if part.strip()]
        self.options = options or NatsOptions()
        self._client: Client | None = None
        self._stream: JetStreamContext | None = None
        self._connecting = asyncio.Lock()

    async def stream(self) -> JetStreamContext:
        """Return the stream's context of a live connection.

        Raises:
            TransportUnreachable: no server answers, or it runs without JetStream.
        """
        async with self._connecting:
            if self._stream is None or not self._is_live():
                await self._drop()
                try:
                    async with asyncio.timeout(self.options.connect_seconds * 2):
                        self._stream = await self._connected()
                except (NatsError, OSError, ValueError) as error:
                    await self._drop()
                    raise unreachable(error) from error
            return self._stream

    async def ping(self) -> None:
        """Raise ``TransportUnreachable`` unless the server answers."""
        await self.stream()
        client = self._client
        try:
            if client is not None:
                await client.flush(timeout=PING_SECONDS)  # type: ignore[arg-type]
        except (NatsError, OSError) as error:
            raise unreachable(error) from error

    async def close(self) -> None:
        """Close the connection; the next use makes a new one."""
        async with self._connecting:
            await self._drop()

    def _is_live(self) -> bool:
        return self._client is not None and self._client.is_connected

    async def _connected(self) -> JetStreamContext:
        self._client = client = Client()
        await client.connect(
            self._servers,
            name="cortex",
            allow_reconnect=False,
            connect_timeout=self.options.connect_seconds,  # type: ignore[arg-type]
            error_cb=_ignored,
        )
        stream = client.jetstream(timeout=self.options.acknowledge_seconds)
        try:
            await stream.stream_info(STREAM)
        except NotFoundError:
            await stream.add_stream(
                StreamConfig(
                    name=STREAM,
                    subjects=[f"{SUBJECT}.>"],
                    storage=StorageType.FILE,
                    max_age=self.options.kept_seconds,
                    duplicate_window=self.options.duplicate_seconds,
                )
            )
        return stream

    async def _drop(self) -> None:
        client, self._client, self._stream = self._client, None, None
        if client is None or client.is_closed:
            return
        try:
            await client.close()
        except (NatsError, OSError):
            # It is gone already; there is nothing left to close.
            return


class NatsPublisher:
    """A subscriber of the outbox's relay that hands events on to the stream."""

    def __init__(self, link: NatsLink) -> None:
        """Publish over ``link``."""
        self._link = link

    async def publish(self, event: Event) -> None:
        """Return when the stream keeps the event; the same one twice is kept once.

        Raises:
            TransportUnreachable: it does not take events now; try again.
            NatsError: it will never take this one.
        """
        stream = await self._link.stream()
        headers = {"Nats-Msg-Id": event.id, "Content-Type": CONTENT_TYPE}
        try:
            await stream.publish(
                f"{SUBJECT}.{event.type}",
                event.carried(),
                timeout=self._link.options.acknowledge_seconds,
                stream=STREAM,
                headers=headers,
            )
        except REFUSALS:
            raise
        except (NatsError, OSError) as error:
            raise unreachable(error) from error


def unreachable(error: Exception) -> TransportUnreachable:
    """Return what to raise instead; it names no address, which may hold a password."""
    return TransportUnreachable(
        f"the NATS server does not take events ({type(error).__name__})",
        hint="Events wait in the outbox; see that nats-server runs with -js.",
    )


async def _ignored(_: Exception) -> None:
    """Drop what the client would log: each failure is raised where it matters."""
