"""Revisions of the run-time layer, each stored in one transaction with its event."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from cortex.bus.events import Event
from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import DEFAULT_TENANT
from cortex.operations.configuration.model import (
    ORIGIN,
    Change,
    Draft,
    Kind,
    Layer,
    Revision,
)
from cortex.operations.errors import RevisionMoved, RevisionNotFound
from cortex.storage import outbox
from cortex.storage.queries import Queries
from cortex.storage.sqlite import Connection, Database

REVISIONS_KEPT = 1_000
"""Revisions to look back on: years of changes by hand; the ledger names all."""

_SOURCE = "cortex/operations"
_SQL = Queries.load("cortex.operations", "configuration")
_Row = tuple[int, str, str, str, int | None, str, str, float]


class RevisionStore:
    """Keeps what was set at run time; shared by all processes over the same file."""

    def __init__(self, database: Database, *, clock: Clock, ids: IdSource) -> None:
        """Use an opened database with the migrations of this room."""
        self._database = database
        self._clock = clock
        self._ids = ids

    def newest(self) -> int:
        """Return the number of the revision in force; quick enough to ask often."""
        return self._database.read_inline(_newest)

    async def get(self, number: int) -> Revision:
        """Return one revision.

        Raises:
            RevisionNotFound: it was never made, or is no longer kept.
        """
        if number == ORIGIN:
            return Revision(ORIGIN)

        def query(connection: Connection) -> _Row | None:
            found: _Row | None = connection.execute(
                _SQL["revision"], {"number": number}
            ).fetchone()
            return found

        row = await self._database.read(query)
        if row is None:
            raise RevisionNotFound(
                f"there is no revision {number}",
                hint="`cortex config history` lists those that are kept.",
                field="revision",
            )
        return _revision(row)

    async def history(self, before: int, count: int) -> list[Revision]:
        """Return the newest revisions below a number, newest first."""

        def query(connection: Connection) -> list[_Row]:
            bounds = {"before": before, "count": count}
            return connection.execute(_SQL["history"], bounds).fetchall()

        return [_revision(row) for row in await self._database.read(query)]

    async def append(self, draft: Draft, *, on: int) -> Revision:
        """Store the next revision and its event, durable when returned.

        Raises:
            RevisionMoved: the revision in force is no longer ``on``.
        """
        revision = Revision(
            number=on + 1,
            layer=draft.layer,
            changes=draft.changes,
            kind=draft.kind,
            target=draft.target,
            actor=draft.actor,
            reason=draft.reason,
            at=self._clock.now(),
        )
        event = self._event(revision, draft.correlation_id)

        def unit(connection: Connection) -> None:
            newest = _newest(connection)
            if newest != on:
                raise RevisionMoved(f"the revision in force is {newest}, not {on}")
            connection.execute(_SQL["add"], _columns(revision))
            oldest = {"number": revision.number - REVISIONS_KEPT}
            connection.execute(_SQL["forget"], oldest)
            outbox.append(connection, event)

        await self._database.write(unit)
        return revision

    def _event(self, revision: Revision, correlation_id: str) -> Event:
        """Return the event: names and never values, which may be private."""
        keys: list[JsonValue] = [change.name for change in revision.changes]
        data: dict[str, JsonValue] = {
            "revision": str(revision.number),
            "keys": keys,
            "actor": revision.actor,
            "reason": revision.reason,
        }
        if revision.target is not None:
            data["target"] = str(revision.target)
        return Event(
            id=self._ids.new(),
            type=f"config.{revision.kind.value}",
            source=_SOURCE,
            time=revision.at,
            subject="settings",
            tenant=DEFAULT_TENANT,
            data=data,
            correlation_id=correlation_id,
        )


def _newest(connection: Connection) -> int:
    [number] = connection.execute(_SQL["newest"]).fetchone()
    return int(number)


def _columns(revision: Revision) -> dict[str, object]:
    return {
        "number": revision.number,
        "layer": json.dumps(dict(revision.layer), sort_keys=True),
        "changes": json.dumps([asdict(change) for change in revision.changes]),
        "kind": revision.kind.value,
        "target": revision.target,
        "actor": revision.actor,
        "reason": revision.reason,
        "at": revision.at,
    }


def _revision(row: _Row) -> Revision:
    number, layer, changes, kind, target, actor, reason, at = row
    found = _layer(layer)
    return Revision(
        number=number,
        layer={} if found is None else found,
        changes=_changes(changes),
        kind=Kind(kind),
        target=target,
        actor=actor,
        reason=reason,
        at=at,
        damaged=found is None,
    )


def _layer(text: str) -> Layer | None:
    """Return the layer; None where the text is none, which must stop nobody."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _changes(text: str) -> tuple[Change, ...]:
    try:
        found: Sequence[dict[str, JsonValue]] = json.loads(text)
        return tuple(
            Change(str(one["name"]), one["before"], one["after"]) for one in found
        )
    except (ValueError, TypeError, KeyError):
        return ()
