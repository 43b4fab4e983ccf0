"""Kept log lines on the wire."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from cortex.foundation.limits import CORRELATION_ID_CHARACTERS_MAX, MOMENT_MAX
from cortex.service.fields import Wire
from cortex.telemetry.log_search import LogGroup, LogPage, LogQuestion

LINES_PAGE = 100
LINES_PAGE_MAX = 1_000

TEXT_CHARACTERS_MAX = 200

PLACE_PATTERN = r"^[0-9]{13}-[0-9]{1,10}:[0-9]{1,12}$"

_Time = Annotated[float, Field(ge=0, le=MOMENT_MAX, allow_inf_nan=False)]
_Place = Annotated[str, StringConstraints(pattern=PLACE_PATTERN)]


class Severity(StrEnum):
    """Levels of log lines, the least severe first."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class SummaryQuery(Wire):
    """GET /performance/logs/summary."""

    level: Severity = Field(Severity.DEBUG, description="The least severe told.")
    since: _Time | None = Field(None, description="Epoch seconds; not before.")
    until: _Time | None = Field(None, description="Epoch seconds; not after.")
    correlation_id: Annotated[
        str, StringConstraints(max_length=CORRELATION_ID_CHARACTERS_MAX)
    ] = Field("", description="Only lines of this request.")
    text: Annotated[str, StringConstraints(max_length=TEXT_CHARACTERS_MAX)] = Field(
        "", description="Stands somewhere in the line, in upper or lower case."
    )

    def domain(self) -> LogQuestion:
        """Return the question."""
        return LogQuestion(**self.model_dump(mode="json"))


class LogsQuery(SummaryQuery):
    """GET /performance/logs."""

    limit: Annotated[int, Field(ge=1, le=LINES_PAGE_MAX)] = LINES_PAGE
    cursor: _Place | None = Field(None, description="next_cursor of the page before.")
    after: _Place | None = Field(
        None, description="newest of an earlier answer: lines since, oldest first."
    )


class LogsAnswer(Wire):
    """Lines with their fields, the newest first; with ``after`` the oldest first."""

    lines: list[dict[str, Any]]
    next_cursor: str | None
    newest: str


class GroupAnswer(Wire):
    """All lines of one event and level."""

    level: str
    event: str
    count: int
    first: float
    last: float


class LogSummaryAnswer(Wire):
    """Events with their counts, the most severe first, then the most frequent."""

    lines: int
    groups: list[GroupAnswer]


def page(value: LogPage) -> dict[str, Any]:
    """Shape a page."""
    return {
        "lines": [dict(line) for line in value.lines],
        "next_cursor": value.next_cursor,
        "newest": value.newest,
    }


def summary(groups: Sequence[LogGroup]) -> dict[str, Any]:
    """Shape a summary."""
    return {
        "lines": sum(group.count for group in groups),
        "groups": [
            {
                "level": group.level,
                "event": group.event,
                "count": group.count,
                "first": group.first,
                "last": group.last,
            }
            for group in groups
        ],
    }
