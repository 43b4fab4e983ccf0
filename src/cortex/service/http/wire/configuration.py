"""Settings at run time on the wire."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from cortex.operations.configuration.model import ORIGIN, Change, Revision, Setting
from cortex.service.fields import Integer, Name, Wire
from cortex.usecases.configuration import Changed, Configuration

REASON_CHARACTERS_MAX = 200
"""Characters of a reason: it is kept in an event and in the ledger."""

REVISION_MAX = 2**53
"""Largest number of a revision: JSON numbers are exact as far as that."""

LISTED_DEFAULT = 50
LISTED_MAX = 200
"""Revisions told at once."""

RESET_MAX = 100
"""Settings reset at once: more than there are."""

Reason = Annotated[str, StringConstraints(max_length=REASON_CHARACTERS_MAX)]
Number = Annotated[Integer, Field(ge=ORIGIN, le=REVISION_MAX)]


class ConfigBody(Wire):
    """PATCH /config: all of it is put in force, or nothing."""

    set: dict[str, Any] = Field(
        default_factory=dict, description="Values, nested as in cortex.toml."
    )
    reset: Annotated[list[Name], Field(max_length=RESET_MAX)] = Field(
        default_factory=list,
        description="Dotted names that go back to file, environment or default.",
    )
    reason: Reason = Field("", description="Why, for history and ledger.")


class RollbackBody(Wire):
    """POST /config/rollback: a new revision that sets what an earlier one did."""

    revision: Number | None = Field(
        None, description="Which one; 0 sets nothing. The one before, if not given."
    )
    reason: Reason = Field("", description="Why, for history and ledger.")


class HistoryQuery(Wire):
    """GET /config/history."""

    before: Annotated[int, Field(ge=1, le=REVISION_MAX)] | None = Field(
        None, description="Number of the last revision seen."
    )
    limit: int = Field(LISTED_DEFAULT, ge=1, le=LISTED_MAX)


class SettingAnswer(Wire):
    """One setting, in effect now; the value of a secret is null."""

    name: str
    value: Any
    secret: bool
    given: bool = Field(description="Whether it has a value: all a secret tells.")
    source: str = Field(
        description="default, file, environment, secrets, override (command line) or "
        "runtime."
    )
    changeable: bool = Field(description="Whether PATCH /config takes it.")
    limits: dict[str, Any] = Field(
        description="minimum, maximum, above, below, max_length, choices."
    )
    variable: str
    description: str


class ConfigAnswer(Wire):
    """Every setting; the revision is the ``ETag`` too, quoted."""

    revision: int
    settings: list[SettingAnswer]
    ignored: dict[str, str] = Field(
        description="Stored settings that are not in force, with the reason."
    )


class ChangeAnswer(Wire):
    """What one setting was and is, in effect."""

    name: str
    before: Any
    after: Any


class ChangedAnswer(Wire):
    """What changed; nothing, if all was so before."""

    revision: int
    changed: list[ChangeAnswer]


class RevisionAnswer(Wire):
    """One change in the past."""

    revision: int
    kind: str = Field(description="changed or rolledback")
    target: int | None = Field(description="The revision that was gone back to.")
    at: float
    actor: str
    reason: str
    changed: list[ChangeAnswer]
    set: dict[str, Any] = Field(description="All that was set at run time then.")


class HistoryAnswer(Wire):
    """A page of revisions, newest first."""

    revisions: list[RevisionAnswer]
    next: int | None = Field(description="What to give as before; null at the end.")


def config(configuration: Configuration) -> dict[str, object]:
    """Shape every setting."""
    return {
        "revision": configuration.revision,
        "settings": [_setting(one) for one in configuration.settings()],
        "ignored": dict(configuration.ignored),
    }


def changed(made: Changed) -> dict[str, object]:
    """Shape what came of a change."""
    return {"revision": made.revision, "changed": _changes(made.changes)}


def history(found: Sequence[Revision], limit: int) -> dict[str, object]:
    """Shape a page of revisions."""
    full = len(found) == limit and found[-1].number > ORIGIN + 1
    return {
        "revisions": [_revision(one) for one in found],
        "next": found[-1].number if full else None,
    }


def _setting(one: Setting) -> dict[str, object]:
    return {**asdict(one), "limits": dict(one.limits)}


def _revision(one: Revision) -> dict[str, object]:
    return {
        "revision": one.number,
        "kind": one.kind.value,
        "target": one.target,
        "at": one.at,
        "actor": one.actor,
        "reason": one.reason,
        "changed": _changes(one.changes),
        "set": dict(one.layer),
    }


def _changes(changes: Sequence[Change]) -> list[dict[str, object]]:
    return [asdict(change) for change in changes]
