"""What carries events beyond this machine, where it is named."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from cortex.app import nothing, opened
from cortex.bus.events import Event
from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import Unavailable, ValidationError
from cortex.foundation.lifecycle import Component
from cortex.settings import Settings


@dataclass(frozen=True, slots=True)
class Transport:
    """A transport; nothing is connected before the first event or look.

    Attributes:
        name: of the relay's cursor and of the health check; it stays over releases.
        ping: raises ``Unavailable`` when the server does not answer.
    """

    name: str
    publish: Callable[[Event], Awaitable[None]]
    ping: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]

    def component(self) -> Component:
        """Return what closes it at the end; a dead server holds up no start."""
        return opened(self.name, nothing, self.close)

    async def health(self, behind: int) -> Mapping[str, JsonValue]:
        """Return whether events go out; ``behind`` waits in the outbox."""
        try:
            await self.ping()
        except Unavailable as error:
            return {"degraded": True, "reason": error.message, "behind": behind}
        return {"behind": behind}


def transport_of(settings: Settings) -> Transport | None:
    """Return the transport that is named; None for none.

    Raises:
        ValidationError: its kind is not spoken here, or its extra is not installed.
    """
    if settings.events_url is None:
        return None
    url = settings.events_url.get_secret_value()
    scheme = url.partition("://")[0]
    made = _KINDS.get(scheme)
    if made is None:
        message = f"events are not carried over {scheme!r}"
        hint = f"Name one of: {', '.join(f'{one}://' for one in _KINDS)}"
        raise ValidationError(message, hint=hint, field="events_url")
    try:
        return made(url)
    except ImportError as error:
        message = f"CORTEX_EVENTS_URL is set, but {error}"
        raise ValidationError(message, field="events_url") from error


def _nats(url: str) -> Transport:
    from cortex.bus.nats import NatsLink, NatsPublisher  # noqa: PLC0415

    link = NatsLink(url)
    return Transport("nats", NatsPublisher(link).publish, link.ping, link.close)


def _redis(url: str) -> Transport:
    from cortex.bus.redis_streams import (  # noqa: PLC0415
        RedisStreamsLink,
        RedisStreamsPublisher,
    )

    link = RedisStreamsLink(url)
    publish = RedisStreamsPublisher(link).publish
    return Transport("redis-streams", publish, link.ping, link.close)


_KINDS: Mapping[str, Callable[[str], Transport]] = {
    "nats": _nats,
    "tls": _nats,
    "redis": _redis,
    "rediss": _redis,
    "unix": _redis,
}
