"""A journal of events in memory."""

from dataclasses import dataclass, field

from cortex.bus.events import Event
from cortex.storage.outbox import Entry, Sought


@dataclass
class FakeJournal:
    """Events in the order they were put in."""

    kept: list[Event] = field(default_factory=list)

    async def position_of(self, event_id: str) -> int | None:
        """Return where an event stands."""
        ids = [event.id for event in self.kept]
        return ids.index(event_id) + 1 if event_id in ids else None

    async def before(self, sought: Sought, *, limit: int) -> list[Entry[Event]]:
        """Return those that meet the conditions, the newest first."""
        found = [
            Entry(position, event)
            for position, event in enumerate(self.kept, 1)
            if _meets(event, position, sought)
        ]
        return found[::-1][:limit]


def _meets(event: Event, position: int, sought: Sought) -> bool:
    since = 0.0 if sought.since is None else sought.since
    until = event.time if sought.until is None else sought.until
    return (
        event.tenant == sought.tenant
        and (not sought.types or event.type in sought.types)
        and sought.subject in (None, event.subject)
        and since <= event.time <= until
        and (sought.before is None or position < sought.before)
    )
