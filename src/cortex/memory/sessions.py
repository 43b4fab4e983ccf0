"""Conversations: a record of its own for each, its messages being memories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError
from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import Namespace
from cortex.memory.errors import SessionExists, SessionNotFound
from cortex.memory.model import Page, Selection, Session, Stored
from cortex.memory.ports import MemoryStore, Prepared, WriteContext
from cortex.memory.rows import dump, load_object
from cortex.memory.sealing import (
    NoSeals,
    Seal,
    Seals,
    opened_session,
    sealed_session,
)
from cortex.memory.writes import SQL, find_namespace, make_namespace
from cortex.storage.sqlite import Connection, Database

MESSAGE_KIND: Final = "message"
"""Kind of a memory that is a message of a conversation."""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A conversation to begin; without an id it is given one."""

    id: str | None = None
    title: str = ""
    user_id: str | None = None
    agent_id: str | None = None
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    created_at: float | None = None


class Sessions:
    """The conversations of one database."""

    def __init__(
        self,
        database: Database,
        store: MemoryStore,
        *,
        clock: Clock,
        ids: IdSource,
        seals: Seals | None = None,
    ) -> None:
        """Keep messages in ``store`` and the records beside them, sealed alike."""
        self._seals: Seals = NoSeals() if seals is None else seals
        self._database = database
        self._store = store
        self._clock = clock
        self._ids = ids

    async def create(self, ns: Namespace, new: NewSession) -> Session:
        """Begin a conversation.

        Raises:
            SessionExists: one with this id is there already.
        """
        now = self._clock.now() if new.created_at is None else new.created_at
        session_id = self._ids.new() if new.id is None else new.id
        values = {
            "title": new.title,
            "user_id": new.user_id,
            "agent_id": new.agent_id,
            "metadata": dump(new.metadata),
        }

        def unit(connection: Connection) -> bool:
            ns_id = make_namespace(connection, ns)
            seal = self._seals.writing(connection, ns.tenant)
            row = {
                **sealed_session(seal, session_id, values),
                "ns_id": ns_id,
                "id": session_id,
                "created_at": now,
            }
            return bool(connection.execute(SQL["insert_session"], row).rowcount)

        if not await self._database.write(unit):
            raise SessionExists(
                "a conversation with this id exists",
                hint="Leave the id out to be given a fresh one.",
                id=session_id,
            )
        return await self.get(ns, session_id)

    async def get(self, ns: Namespace, session_id: str) -> Session:
        """Return a conversation with the number of its messages.

        Raises:
            SessionNotFound: none with this id here.
        """

        def query(connection: Connection) -> Sequence[Session]:
            ns_id = find_namespace(connection, ns)
            rows = connection.execute(SQL["session"], (ns_id, session_id))
            seal = self._seals.reading(connection, ns.tenant)
            return [_session(row, ns, seal) for row in rows]

        found = self._database.read_inline(query)
        if not found:
            raise _missing(session_id)
        return found[0]

    async def list(
        self, ns: Namespace, *, after: str = "", limit: int
    ) -> Sequence[Session]:
        """Return conversations in the order of their ids, after one."""

        def query(connection: Connection) -> Sequence[Session]:
            ns_id = find_namespace(connection, ns)
            rows = connection.execute(SQL["sessions_after"], (ns_id, after, limit))
            seal = self._seals.reading(connection, ns.tenant)
            return [_session(row, ns, seal) for row in rows]

        return await self._database.read(query)

    async def append(
        self,
        ns: Namespace,
        session_id: str,
        prepared: Sequence[Prepared],
        *,
        context: WriteContext,
    ) -> Sequence[Stored]:
        """Add messages at the end of a conversation and return their ids, in order.

        Raises:
            SessionNotFound: none with this id here.
            ValidationError: an item names another conversation.
        """
        await self.get(ns, session_id)
        messages = [_in_session(one, session_id) for one in prepared]
        stored = await self._store.add(ns, messages, context=context)
        now = self._clock.now()

        def unit(connection: Connection) -> None:
            ns_id = find_namespace(connection, ns)
            connection.execute(SQL["touch_session"], (now, ns_id, session_id))

        await self._database.write(unit)
        return stored

    async def messages(
        self, ns: Namespace, session_id: str, *, cursor: str | None, limit: int
    ) -> Page:
        """Return a page of a conversation's messages, oldest first.

        Raises:
            SessionNotFound: none with this id here.
        """
        await self.get(ns, session_id)
        selection = Selection(session_id=session_id)
        return await self._store.list(
            ns, selection, cursor=cursor, limit=limit, oldest_first=True
        )


def _in_session(prepared: Prepared, session_id: str) -> Prepared:
    named = prepared.item.session_id
    if named not in (None, session_id):
        message = "the message names another conversation"
        raise ValidationError(message, field="session_id")
    item = replace(prepared.item, session_id=session_id)
    return replace(prepared, item=item)


def _session(row: Sequence[Any], ns: Namespace, seal: Seal | None) -> Session:
    session_id, *stored, created_at, updated_at, count, sealed = row
    names = ("title", "user_id", "agent_id", "metadata")
    fields = dict(zip(names, stored, strict=True))
    fields |= opened_session(seal, session_id, sealed)
    user_id, agent_id = fields["user_id"], fields["agent_id"]
    return Session(
        id=str(session_id),
        namespace=ns,
        title=str(fields["title"]),
        user_id=None if user_id is None else str(user_id),
        agent_id=None if agent_id is None else str(agent_id),
        metadata=load_object(str(fields["metadata"])),
        created_at=float(created_at),
        updated_at=float(updated_at),
        message_count=int(count),
    )


def _missing(session_id: str) -> SessionNotFound:
    return SessionNotFound(
        "no conversation with this id in this namespace",
        hint="Begin it with POST /sessions.",
        id=session_id,
    )
