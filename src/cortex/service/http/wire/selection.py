"""Which memories a query selects, on the wire."""

from dataclasses import replace
from typing import Annotated, Self

from pydantic import Field, model_validator

from cortex.foundation.errors import ValidationError
from cortex.memory.model import (
    Modality,
    Origin,
    Quarantine,
    Selection,
    Tier,
    TimeRange,
)
from cortex.memory.trust import SourceKind
from cortex.service.fields import (
    Cursor,
    Moment,
    Name,
    NamespaceName,
    RunId,
    Source,
    Tag,
    Wire,
)

PAGE_LIMIT_MAX = 500
"""Memories of one page: about half a megabyte of ordinary messages."""

PAGE_LIMIT_DEFAULT = 50

IMPORT_LINE_MAX = 1_000_000_000
"""Greatest line an import can be resumed after."""


class InNamespace(Wire):
    """Query of a route that works in one namespace."""

    namespace: NamespaceName | None = None


class SelectionQuery(InNamespace):
    """Query that selects memories; all given conditions hold."""

    session_id: Name | None = None
    user_id: Name | None = None
    agent_id: Name | None = None
    author: Name | None = None
    kind: Name | None = None
    tag: Tag | None = None
    start: Moment | None = None
    end: Moment | None = None
    tier: Tier | None = None
    modality: Modality | None = None
    source: Source | None = None
    source_kind: SourceKind | None = None
    run_id: RunId | None = None
    written_by: Name | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_interval("start", self.start, "end", self.end)
        return self

    def domain(self) -> Selection:
        """Return the selection."""
        bounded = self.start is not None or self.end is not None
        kind = self.source_kind
        return Selection(
            session_id=self.session_id,
            user_id=self.user_id,
            agent_id=self.agent_id,
            author=self.author,
            kind=self.kind,
            tag=self.tag,
            time_range=TimeRange(self.start, self.end) if bounded else None,
            tiers=None if self.tier is None else frozenset({self.tier}),
            modality=self.modality,
            source_kinds=None if kind is None else frozenset({kind}),
            origin=origin(self.source, self.run_id, self.written_by),
        )


class TrustedQuery(SelectionQuery):
    """A selection for reading: by trust, and with or without quarantined memories."""

    # A query parameter is a text at first: it cannot be strict.
    min_trust: Annotated[
        float | None,
        Field(ge=0, le=1, description="Memories trusted less are left out."),
    ] = None
    quarantined: Annotated[
        Quarantine, Field(description="Other than excluded needs the scope admin.")
    ] = Quarantine.EXCLUDED

    def domain(self) -> Selection:
        """Return the selection."""
        return replace(
            super().domain(), min_trust=self.min_trust, quarantine=self.quarantined
        )


StoredUnder = Annotated[
    Name | None, Field(description="The one memory stored under this key.")
]


class ListQuery(TrustedQuery):
    """GET /memory."""

    idempotency_key: StoredUnder = None
    cursor: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT_MAX)] = PAGE_LIMIT_DEFAULT

    def domain(self) -> Selection:
        """Return the selection."""
        return replace(super().domain(), idempotency_key=self.idempotency_key)


class ForgetQuery(SelectionQuery):
    """DELETE /memory: at least one condition, so that nothing goes by accident."""

    idempotency_key: StoredUnder = None

    def domain(self) -> Selection:
        """Return the selection."""
        return replace(super().domain(), idempotency_key=self.idempotency_key)

    def require_condition(self) -> None:
        """Raise ``ValidationError`` when the request names no condition at all."""
        if not self.model_fields_set:
            raise ValidationError(
                "forgetting needs a condition",
                hint="Name at least one of namespace, session_id, user_id, agent_id, "
                "author, kind, tag, start, end, tier, modality, source, source_kind, "
                "run_id, written_by, idempotency_key.",
                field="query",
            )


class ImportQuery(InNamespace):
    """POST /memory/import."""

    start_line: Annotated[
        int,
        Field(
            ge=0,
            le=IMPORT_LINE_MAX,
            description="Lines to skip: the last line an earlier import dealt with.",
        ),
    ] = 0


def origin(
    source: str | None, run_id: str | None, written_by: str | None
) -> Origin | None:
    """Return the conditions on where memories came from, None when there are none."""
    made = Origin(source, run_id, written_by)
    return None if made == Origin() else made


class TimeRangeBody(Wire):
    """Half-open interval of the time things happened."""

    start: Moment | None = None
    end: Moment | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_interval("start", self.start, "end", self.end)
        return self


def check_interval(
    first: str, start: float | None, second: str, end: float | None
) -> None:
    """Raise ``ValueError`` when an interval ends before it starts."""
    if start is not None and end is not None and end < start:
        message = f"{second} must not be before {first}"
        raise ValueError(message)
