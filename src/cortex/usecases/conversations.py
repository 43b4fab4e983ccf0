"""Conversations for callers: open, look at, list, and append messages."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cortex.foundation.errors import PayloadTooLarge, ValidationError
from cortex.foundation.limits import (
    MEMORY_ITEMS_PER_REQUEST_MAX,
    NAME_CHARACTERS_MAX,
)
from cortex.foundation.tenancy import Namespace
from cortex.memory import sessions
from cortex.memory.errors import InvalidCursor
from cortex.memory.model import NewMemory, Session, Stored
from cortex.usecases.model import CallContext, NewSession, SessionPage
from cortex.usecases.preparing import Preparing, check_metadata
from cortex.usecases.remember import write_context

CURSOR_CHARACTERS_MAX = 4 * -(-4 * NAME_CHARACTERS_MAX // 3)
"""Characters of a cursor: the longest id, four bytes a character, as Base64."""


@dataclass(frozen=True, slots=True)
class Conversations:
    """The conversations of a store."""

    sessions: sessions.Sessions
    prepare: Preparing

    async def create(self, namespace: Namespace, new: NewSession, /) -> Session:
        """Open a conversation.

        Raises:
            SessionExists: one with this id is there already.
        """
        check_metadata(new.metadata, "metadata")
        record = sessions.NewSession(
            id=new.id,
            title=new.title,
            user_id=new.user_id,
            agent_id=new.agent_id,
            metadata=new.metadata,
        )
        return await self.sessions.create(namespace, record)

    async def get(self, namespace: Namespace, session_id: str, /) -> Session:
        """Return a conversation; ``SessionNotFound`` when there is none."""
        return await self.sessions.get(namespace, session_id)

    async def page(
        self, namespace: Namespace, cursor: str | None, limit: int, /
    ) -> SessionPage:
        """Return one page in the order of ids."""
        after = "" if cursor is None else _read_cursor(cursor)
        found = await self.sessions.list(namespace, after=after, limit=limit + 1)
        page = tuple(found[:limit])
        more = len(found) > limit
        return SessionPage(page, _cursor(page[-1].id) if more else None)

    async def append(
        self,
        namespace: Namespace,
        session_id: str,
        items: Sequence[NewMemory],
        context: CallContext,
        /,
    ) -> list[Stored]:
        """Add messages at the end; durable when returned.

        Raises:
            SessionNotFound: no such conversation.
            ValidationError: a message breaks a rule; nothing was stored.
        """
        if not items:
            raise ValidationError("items must hold at least one item", field="items")
        if len(items) > MEMORY_ITEMS_PER_REQUEST_MAX:
            limit = MEMORY_ITEMS_PER_REQUEST_MAX
            message = f"items has {len(items)} items; the limit is {limit}"
            raise PayloadTooLarge(message, field="items", limit=limit)
        await self.sessions.get(namespace, session_id)
        named = [replace(i, session_id=i.session_id or session_id) for i in items]
        prepared = await self.prepare(named)
        where = write_context(context)
        stored = await self.sessions.append(
            namespace, session_id, prepared, context=where
        )
        return list(stored)


def _cursor(session_id: str) -> str:
    return base64.urlsafe_b64encode(session_id.encode()).decode("ascii")


def _read_cursor(cursor: str) -> str:
    try:
        data = base64.b64decode(cursor[:CURSOR_CHARACTERS_MAX], b"-_", validate=True)
        return data.decode()
    except (ValueError, binascii.Error) as error:
        message = "this cursor is not from this listing"
        hint = "Begin again without a cursor."
        raise InvalidCursor(message, hint=hint, field="cursor") from error
