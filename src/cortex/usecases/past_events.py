"""Events of the past: a query over the journal, the newest first.

It reaches as far back as the journal does, which keeps events for streams that resume;
the ledger keeps for good.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from cortex.bus.events import Event
from cortex.foundation.tenancy import Principal
from cortex.storage.outbox import Entry, Sought
from cortex.usecases.follow import concerns

READ_AT_ONCE = 256
"""Events read from the journal in one go."""

LOOKED_AT_MAX = 4_096
"""Events looked at for one page, where most are in namespaces the caller cannot see."""


@dataclass(frozen=True, slots=True)
class EventQuestion:
    """Which events; what is empty or None leaves a condition out.

    Attributes:
        subject: the id of what they are about.
        since: epoch seconds; when they happened, or later.
        until: epoch seconds; when they happened, or earlier.
        cursor: what a page before this one ended with.
    """

    types: tuple[str, ...] = ()
    subject: str = ""
    since: float | None = None
    until: float | None = None
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, the newest first; ``next_cursor`` is None when there are no more."""

    events: Sequence[Event]
    next_cursor: str | None


class Past(Protocol):
    """Where events are kept, in the order of their commits."""

    async def position_of(self, event_id: str) -> int | None:
        """Return where an event stands, or None when it is no longer kept."""
        ...

    async def before(self, sought: Sought, *, limit: int) -> list[Entry[Event]]:
        """Return up to ``limit`` events that are sought, the newest first."""
        ...


class PastEvents:
    """The kept events of the caller's tenant; nobody sees another's."""

    def __init__(self, journal: Past) -> None:
        """Read from a journal."""
        self._journal = journal

    async def __call__(
        self, principal: Principal, asked: EventQuestion, /
    ) -> EventPage:
        """Return a page of events in namespaces that the caller may see."""
        position = None
        if asked.cursor is not None:
            position = await self._journal.position_of(asked.cursor)
            if position is None:
                return EventPage((), None)  # as old as what is no longer kept
        sought = Sought(
            principal.tenant,
            types=asked.types,
            subject=asked.subject or None,
            since=asked.since,
            until=asked.until,
            before=position,
        )
        return await self._page(principal, sought, asked.limit)

    async def _page(
        self, principal: Principal, sought: Sought, limit: int
    ) -> EventPage:
        shown: list[Event] = []
        for _ in range(LOOKED_AT_MAX // READ_AT_ONCE):
            found = await self._journal.before(sought, limit=READ_AT_ONCE)
            if not found:
                return EventPage(shown, None)
            for entry in found:
                if len(shown) == limit:
                    return EventPage(shown, shown[-1].id)
                if concerns(principal, entry.event, None):
                    shown.append(entry.event)
            last = found[-1]
            sought = replace(sought, before=last.position)
        return EventPage(shown, last.event.id)
