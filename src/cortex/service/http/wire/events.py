"""Events of the past on the wire."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from cortex.foundation.limits import MOMENT_MAX
from cortex.service.fields import Wire
from cortex.usecases.past_events import EventPage, EventQuestion

EVENTS_PAGE = 50
EVENTS_PAGE_MAX = 200

TYPES_CHARACTERS_MAX = 4_000
SUBJECT_CHARACTERS_MAX = 400
CURSOR_CHARACTERS_MAX = 200

_Time = Annotated[float, Field(ge=0, le=MOMENT_MAX, allow_inf_nan=False)]


class EventsQuery(Wire):
    """GET /events."""

    types: Annotated[str, StringConstraints(max_length=TYPES_CHARACTERS_MAX)] = Field(
        "", description="Names, as memory.stored,memory.forgotten; all when empty."
    )
    subject: Annotated[str, StringConstraints(max_length=SUBJECT_CHARACTERS_MAX)] = (
        Field("", description="Only events about this id.")
    )
    since: _Time | None = Field(None, description="Epoch seconds; not before.")
    until: _Time | None = Field(None, description="Epoch seconds; not after.")
    limit: Annotated[int, Field(ge=1, le=EVENTS_PAGE_MAX)] = EVENTS_PAGE
    cursor: (
        Annotated[
            str, StringConstraints(min_length=1, max_length=CURSOR_CHARACTERS_MAX)
        ]
        | None
    ) = Field(None, description="next_cursor of the page before.")

    def domain(self, types: frozenset[str] | None) -> EventQuestion:
        """Return the question, about these types of events."""
        return EventQuestion(
            types=tuple(sorted(types or ())),
            subject=self.subject,
            since=self.since,
            until=self.until,
            limit=self.limit,
            cursor=self.cursor,
        )


class EventsAnswer(Wire):
    """CloudEvents, the newest first; a page may hold fewer than asked for."""

    events: list[dict[str, Any]]
    next_cursor: str | None


def page(value: EventPage) -> dict[str, object]:
    """Shape a page."""
    return {
        "events": [event.cloud_event() for event in value.events],
        "next_cursor": value.next_cursor,
    }
