"""One handler and the events that a server offers it, some of them more than once.

What is the same whoever carries the events: how a body is read, which repeats are
passed over, how often a handler is called before its event is a dead letter.
"""

import asyncio
from enum import Enum, auto

from cortex.bus.dead_events import DeadEvent, DeadEvents, Handler
from cortex.bus.events import Event
from cortex.bus.memory import RETRY_SECONDS
from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError

TRIES_MAX = 5
"""Calls of a handler with one event before it is a dead letter."""

KNOWN_IDS_MAX = 10_000
"""Ids of handled events kept to recognise repeats: about 1 MB."""


class Outcome(Enum):
    """What became of an event that was offered."""

    DONE = auto()
    """It was handled, now or before: acknowledge it."""

    AGAIN = auto()
    """The handler failed: offer it again later."""

    REFUSED = auto()
    """It is no event, or was tried too often: never offer it again."""


class Inbox:
    """Offers events to a handler; for one event loop."""

    def __init__(
        self, name: str, handler: Handler, clock: Clock, tries_max: int = TRIES_MAX
    ) -> None:
        """Begin without having seen anything."""
        self._name = name
        self._handler = handler
        self._tries_max = tries_max
        self._known: dict[str, None] = {}
        self._dead = DeadEvents(clock)
        self.malformed = 0

    def dead_letters(self) -> tuple[DeadEvent, ...]:
        """Return refused events, the oldest first."""
        return self._dead.all()

    async def retry(self, event_id: str) -> None:
        """Offer a dead letter to the handler once more.

        Raises:
            NotFound: no such dead letter.
            Exception: whatever the handler raised; the letter stays.
        """
        await self._dead.retry(self._name, event_id, self._handler)
        self._remember(event_id)

    async def offer(self, body: bytes, tries: int) -> Outcome:
        """Call the handler, for the ``tries``-th time with this event."""
        try:
            event = Event.from_carried(body)
        except ValidationError:
            # Someone else's message, or one of a newer release: no try will help.
            self.malformed += 1
            return Outcome.REFUSED
        if event.id in self._known:
            return Outcome.DONE
        try:
            await self._handler(event)
        except Exception as error:  # noqa: BLE001 - worker loop: kept as dead letter
            return self._failed(event, f"{type(error).__name__}: {error}", tries)
        self._remember(event.id)
        return Outcome.DONE

    def _remember(self, event_id: str) -> None:
        self._known[event_id] = None
        if len(self._known) > KNOWN_IDS_MAX:
            del self._known[next(iter(self._known))]

    def _failed(self, event: Event, reason: str, tries: int) -> Outcome:
        if tries < self._tries_max:
            return Outcome.AGAIN
        self._dead.bury(self._name, event, reason, tries)
        return Outcome.REFUSED


def heed_cancellation() -> None:
    """Raise ``CancelledError`` if a client library swallowed it.

    ``asyncio.wait_for`` of Python 3.11 does when the answer comes in the same moment
    (CPython issue 86296); a loop that never ends must look for itself.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def pause_seconds(tries: int, first: float = RETRY_SECONDS) -> float:
    """Return how long to wait after a number of failed calls: it doubles."""
    return first * 2.0 ** (tries - 1)
