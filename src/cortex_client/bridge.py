"""Carries a server's events to an event bus of the caller's.

The stream is resumed behind the last event that the bus took (``Last-Event-ID``), so
none is missed while either side is away, as long as the server still keeps it; an event
that comes again is not carried again.
"""

import asyncio
import inspect
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Protocol, Self

from cortex_client.call import Answer
from cortex_client.calls.operations import events
from cortex_client.client import CortexClient
from cortex_client.errors import (
    AuthError,
    ConfigurationError,
    CortexError,
    NotFoundError,
    RequestError,
)
from cortex_client.wire import Event

RECONNECT_SECONDS_MIN = 1.0
"""Wait before the first try to reconnect; doubled for each further one."""

RECONNECT_SECONDS_MAX = 60.0
"""Longest wait between two tries."""

IDS_REMEMBERED_MAX = 10_000
"""Ids of carried events that are known again: more than a server sends in a minute."""

FROM_THE_OLDEST = "0"
"""An id that no event has: the server begins with the oldest event that it keeps."""

_LASTING = (AuthError, ConfigurationError, NotFoundError, RequestError)
"""What will not be better at the next try."""


class EventBus(Protocol):
    """What events are carried to; ``emit`` may be asynchronous."""

    def emit(
        self,
        event_type: str,
        payload: Mapping[str, Any],
        source: str,
        correlation_id: str | None,
        wait_for_handlers: bool,  # noqa: FBT001  the bus's own signature
    ) -> object:
        """Hand an event to its handlers."""


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """How a bridge carries events.

    Attributes:
        types: names of the events wanted; empty for all.
        last_event_id: go on behind this event; None begins with the next one.
        prefix: put before each event's name.
        source: who emits, as the bus is told.
        wait_for_handlers: passed on to the bus.
        sleep: how to wait, in seconds.
    """

    types: tuple[str, ...] = ()
    last_event_id: str | None = None
    prefix: str = "cortex."
    source: str = "cortex"
    wait_for_handlers: bool = False
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class BridgeStats:
    """What a bridge did since it was made.

    Attributes:
        carried: events the bus took.
        failed: events whose ``emit`` raised; they are not carried again.
        repeated: events that came again and were not carried.
        connections: times the stream was opened.
        last_event_id: keep it to go on here in another process.
        last_error: what went wrong last; empty when nothing did.
    """

    carried: int = 0
    failed: int = 0
    repeated: int = 0
    connections: int = 0
    last_event_id: str | None = None
    last_error: str = ""


@dataclass(slots=True)
class _Seen:
    """Where in the stream a bridge is."""

    last_event_id: str | None
    ids: OrderedDict[str, None] = field(default_factory=OrderedDict)
    since: datetime | None = None

    def resume_at(self) -> str | None:
        """Return what to resume behind; before the first event, all since the start."""
        if self.last_event_id is None and self.since is not None:
            return FROM_THE_OLDEST
        return self.last_event_id

    def is_new(self, event: Event) -> bool:
        if event.id in self.ids:
            return False
        begun = self.last_event_id is not None or self.since is None
        return begun or _time(event) >= self.since  # type: ignore[operator]

    def keep(self, event_id: str) -> None:
        self.last_event_id = event_id
        self.ids[event_id] = None
        if len(self.ids) > IDS_REMEMBERED_MAX:
            self.ids.popitem(last=False)


class CortexEventBridge:
    """Carries ``/events/stream`` to an event bus until it is stopped.

    Each event arrives as ``emit("cortex.<type>", payload, source, correlation_id,
    wait_for_handlers)``; the payload is the event's data with ``event_id`` and
    ``event_time``. The token needs the scope ``state``.
    """

    def __init__(
        self,
        cortex_url: str | None,
        event_bus: EventBus,
        token: str | None = None,
        config: BridgeConfig | None = None,
    ) -> None:
        """Settle from where to where; nothing runs before ``start``."""
        self._url = cortex_url
        self._bus = event_bus
        self._token = token
        self._config = config or BridgeConfig()
        self._seen = _Seen(self._config.last_event_id)
        self._stats = BridgeStats(last_event_id=self._config.last_event_id)
        self._task: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()

    @property
    def is_running(self) -> bool:
        """Return whether events are being carried, or are waited for."""
        return self._task is not None and not self._task.done()

    @property
    def is_connected(self) -> bool:
        """Return whether the stream is open now."""
        return self._connected.is_set()

    @property
    def stats(self) -> BridgeStats:
        """Return what was done so far."""
        return self._stats

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Begin to carry events, in a task of the bridge; no matter if it does."""
        if not self.is_running:
            client = CortexClient(self._url, token=self._token)
            run = self._run(client)
            # Owned by the bridge: ``stop`` ends it and waits for it.
            self._task = asyncio.get_running_loop().create_task(run)

    async def stop(self) -> None:
        """Stop carrying; what ended the bridge before is raised."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def connected(self) -> None:
        """Return when the stream is open."""
        await self._connected.wait()

    async def _run(self, client: CortexClient) -> None:
        delay = RECONNECT_SECONDS_MIN
        async with client:
            while True:
                before, asked = self._stats.connections, 0.0
                try:
                    await self._follow(client)
                    self._note("the server ended the stream")
                except _LASTING as error:
                    self._note(str(error))
                    raise
                except CortexError as error:
                    self._note(str(error))
                    asked = getattr(error, "retry_after", None) or 0.0
                finally:
                    self._connected.clear()
                if self._stats.connections > before:
                    delay = RECONNECT_SECONDS_MIN
                await self._config.sleep(min(max(delay, asked), RECONNECT_SECONDS_MAX))
                delay = min(delay * 2, RECONNECT_SECONDS_MAX)

    async def _follow(self, client: CortexClient) -> None:
        flow = events(
            last_event_id=self._seen.resume_at(), types=self._config.types or None
        )
        async with aclosing(client.follow(flow, self._opened)) as stream:  # type: ignore[type-var]
            async for event in stream:
                await self._carry(event)

    def _opened(self, answer: Answer) -> None:
        if self._seen.last_event_id is None and self._seen.since is None:
            self._seen.since = _date(answer)
        self._stats = replace(self._stats, connections=self._stats.connections + 1)
        self._connected.set()

    async def _carry(self, event: Event) -> None:
        if not self._seen.is_new(event):
            self._stats = replace(self._stats, repeated=self._stats.repeated + 1)
            return
        config = self._config
        envelope = event.data if isinstance(event.data, Mapping) else {}
        payload = {
            **(envelope.get("data") or {}),
            "event_id": event.id,
            "event_time": envelope.get("time"),
        }
        try:
            done = self._bus.emit(
                f"{config.prefix}{event.type}",
                payload,
                config.source,
                envelope.get("correlationid"),
                config.wait_for_handlers,
            )
            if inspect.isawaitable(done):
                await done
            self._stats = replace(self._stats, carried=self._stats.carried + 1)
        except Exception as error:  # noqa: BLE001  the bus's handlers are not ours
            self._note(f"{event.type}: {type(error).__name__}: {error}")
            self._stats = replace(self._stats, failed=self._stats.failed + 1)
        self._seen.keep(event.id)
        self._stats = replace(self._stats, last_event_id=event.id)

    def _note(self, error: str) -> None:
        self._stats = replace(self._stats, last_error=error)


def _time(event: Event) -> datetime:
    """Return when an event happened; one that does not say counts as just now."""
    envelope = event.data if isinstance(event.data, Mapping) else {}
    try:
        time = datetime.fromisoformat(str(envelope.get("time")))
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _date(answer: Answer) -> datetime | None:
    """Return the server's time when it answered, in whole seconds."""
    try:
        date = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
