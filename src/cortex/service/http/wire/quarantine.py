"""Quarantine and release on the wire."""

from typing import Self

from pydantic import model_validator

from cortex.memory.model import Quarantined, Selection, TimeRange
from cortex.memory.trust import SourceKind
from cortex.service.fields import (
    Moment,
    Name,
    NamespaceName,
    Reason,
    RunId,
    Source,
    Wire,
)
from cortex.service.http.wire.selection import check_interval, origin


class ReasonBody(Wire):
    """POST /memory/{id}/quarantine."""

    reason: Reason


class SuspectsBody(Wire):
    """Which memories: all given conditions hold, at least one is needed."""

    namespace: NamespaceName | None = None
    source: Source | None = None
    source_kind: SourceKind | None = None
    run_id: RunId | None = None
    written_by: Name | None = None
    session_id: Name | None = None
    user_id: Name | None = None
    start: Moment | None = None
    end: Moment | None = None

    @model_validator(mode="after")
    def _conditioned(self) -> Self:
        check_interval("start", self.start, "end", self.end)
        if self.domain() == Selection():
            message = (
                "must name at least one of source, source_kind, run_id, written_by, "
                "session_id, user_id, start, end"
            )
            raise ValueError(message)
        return self

    def domain(self) -> Selection:
        """Return what to take out of answers."""
        bounded = self.start is not None or self.end is not None
        kind = self.source_kind
        return Selection(
            session_id=self.session_id,
            user_id=self.user_id,
            time_range=TimeRange(self.start, self.end) if bounded else None,
            source_kinds=None if kind is None else frozenset({kind}),
            origin=origin(self.source, self.run_id, self.written_by),
        )


class QuarantineBody(SuspectsBody, ReasonBody):
    """POST /memory/quarantine: all given conditions hold, at least one is needed."""


class ReleaseBody(SuspectsBody):
    """POST /memory/release: all given conditions hold, at least one is needed."""


class ReleasedAnswer(Wire):
    """What is answered again from now on."""

    released: int
    ids: list[str]


class QuarantinedAnswer(Wire):
    """What is kept out of answers from now on; what was already is not named."""

    quarantined: int
    ids: list[str]
    reason: str
    quarantined_at: float


def quarantined(value: Quarantined) -> dict[str, object]:
    """Shape the answer of a quarantine."""
    return {
        "quarantined": len(value.ids),
        "ids": value.ids,
        "reason": value.reason,
        "quarantined_at": value.quarantined_at,
    }
