"""Dead letters on the wire."""

from typing import Annotated, Any

from pydantic import Field

from cortex.service.fields import Integer, Name, Wire
from cortex.usecases.dead_letters import Letter, Redelivery

LETTERS_MAX = 100
"""Letters in one answer, and of one retry: each may take a subscriber seconds."""


class LettersQuery(Wire):
    """GET /events/dead-letters."""

    subscriber: Name | None = None
    limit: int = Field(LETTERS_MAX, ge=1, le=LETTERS_MAX)


class RetryBody(Wire):
    """POST /events/dead-letters/retry: all given conditions hold."""

    subscriber: Name | None = None
    event_id: Name | None = None
    limit: Annotated[Integer, Field(ge=1, le=LETTERS_MAX)] = LETTERS_MAX


class LetterAnswer(Wire):
    """An event that a subscriber refused too often."""

    subscriber: str
    event_id: str
    type: str
    error: str
    tries: int
    failed_at: float
    event: dict[str, Any]


class LettersAnswer(Wire):
    """The oldest failures first."""

    dead_letters: list[LetterAnswer]


class RedeliveryAnswer(Wire):
    """What became of one letter; ``error`` is empty when it was delivered."""

    subscriber: str
    event_id: str
    delivered: bool
    error: str


class RetriedAnswer(Wire):
    """What became of the letters."""

    delivered: int
    failed: int
    results: list[RedeliveryAnswer]


def letter(value: Letter) -> dict[str, object]:
    """Shape a letter."""
    return {
        "subscriber": value.subscriber,
        "event_id": value.event_id,
        "type": value.event.type,
        "error": value.error,
        "tries": value.tries,
        "failed_at": value.failed_at,
        "event": value.event.cloud_event(),
    }


def redelivery(value: Redelivery) -> dict[str, object]:
    """Shape what became of a letter."""
    return {
        "subscriber": value.letter.subscriber,
        "event_id": value.letter.event_id,
        "delivered": not value.error,
        "error": value.error,
    }
