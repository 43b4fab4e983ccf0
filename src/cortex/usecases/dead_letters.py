"""Events that a subscriber refused too often: looking at them, offering them again."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from cortex.bus.events import Event
from cortex.foundation.errors import NotFound
from cortex.foundation.tenancy import Principal
from cortex.storage.outbox import DeadLetter, Letters

Letter: TypeAlias = DeadLetter[Event]

Redeliver: TypeAlias = Callable[[Letter], Awaitable[str]]
"""Offers a letter once more; returns why it stays, or an empty text."""


class LetterBox(Protocol):
    """Where dead letters are kept."""

    async def dead_letters(
        self, which: Letters | None = None, *, limit: int
    ) -> Sequence[Letter]:
        """Return letters, the oldest failure first."""
        ...


@dataclass(frozen=True, slots=True)
class Redelivery:
    """What became of one letter; ``error`` is empty when it was delivered."""

    letter: Letter
    error: str


class DeadLetters:
    """The dead letters of the caller's tenant; nobody sees another's."""

    def __init__(self, box: LetterBox, redeliver: Redeliver) -> None:
        """Read from ``box``; hand letters back by ``redeliver``."""
        self._box = box
        self._redeliver = redeliver

    async def list(
        self, principal: Principal, subscriber: str | None, limit: int, /
    ) -> Sequence[Letter]:
        """Return up to ``limit`` letters, the oldest failure first."""
        which = Letters(principal.tenant, subscriber)
        return await self._box.dead_letters(which, limit=limit)

    async def retry(
        self,
        principal: Principal,
        subscriber: str | None,
        event_id: str | None,
        limit: int,
        /,
    ) -> Sequence[Redelivery]:
        """Offer up to ``limit`` letters once more, one after the other.

        Raises:
            NotFound: an event is named that is no dead letter.
        """
        which = Letters(principal.tenant, subscriber, event_id)
        letters = await self._box.dead_letters(which, limit=limit)
        if event_id is not None and not letters:
            raise NotFound(
                "no such dead letter",
                hint="GET /events/dead-letters lists them.",
                event_id=event_id,
            )
        return [Redelivery(one, await self._redeliver(one)) for one in letters]
