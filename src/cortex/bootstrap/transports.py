"""What carries events beyond this machine, where one is named."""

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


def transports_of(settings: Settings) -> tuple[Transport, ...]:
    """Return the transports that are set up.

    Raises:
        ValidationError: one is named and its extra is not installed.
    """
    if settings.nats_url is None:
        return ()
    try:
        from cortex.bus.nats import NatsLink, NatsPublisher  # noqa: PLC0415
    except ImportError as error:
        message = "CORTEX_NATS_URL is set, but the nats extra is not installed"
        hint = "Install it with: pip install 'cortex-context[nats]'"
        raise ValidationError(message, hint=hint, field="nats_url") from error
    link = NatsLink(settings.nats_url.get_secret_value())
    publish = NatsPublisher(link).publish
    return (Transport("nats", publish, link.ping, link.close),)
