"""Events that a handler of this process did not take: kept, shown, offered again.

The same for whoever carries events, the in-process bus, NATS or Redis Streams. What
the outbox's relay gives up on lies in the database instead (``cortex.storage.outbox``).
"""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from cortex.bus.events import Event
from cortex.foundation.clock import Clock
from cortex.foundation.errors import NotFound

DEAD_LETTERS_MAX: Final = 1_000
"""Refused events kept for inspection; the oldest go first."""

Handler: TypeAlias = Callable[[Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class DeadEvent:
    """An event that a handler did not take, and why.

    Attributes:
        reason: the last error, or that the subscriber's queue was full.
        failed_at: epoch seconds.
    """

    subscriber: str
    event: Event
    reason: str
    tries: int
    failed_at: float


class DeadEvents:
    """The dead letters of some subscribers; for one event loop."""

    def __init__(self, clock: Clock, most: int = DEAD_LETTERS_MAX) -> None:
        """Begin with none."""
        self._clock = clock
        self._kept: deque[DeadEvent] = deque(maxlen=most)

    def all(self) -> tuple[DeadEvent, ...]:
        """Return refused events, the oldest first."""
        return tuple(self._kept)

    def bury(self, subscriber: str, event: Event, reason: str, tries: int) -> None:
        """Keep an event that was not taken."""
        now = self._clock.now()
        self._kept.append(DeadEvent(subscriber, event, reason, tries, now))

    async def retry(
        self, subscriber: str, event_id: str, handler: Handler | None
    ) -> None:
        """Offer a dead letter once more; ``handler`` None is one that is gone.

        Raises:
            NotFound: no such dead letter, or no such subscriber.
            Exception: whatever the handler raised; the letter stays.
        """
        for letter in self.all():
            same = letter.subscriber == subscriber and letter.event.id == event_id
            if same and handler is not None:
                await handler(letter.event)
                # Another retry may have been faster, or newer letters pushed it out.
                if letter in self._kept:
                    self._kept.remove(letter)
                return
        raise NotFound(
            "no such dead letter, or its subscriber is not running",
            subscriber=subscriber,
            event_id=event_id,
        )
