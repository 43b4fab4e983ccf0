"""LlamaIndex's memory on Cortex: a long-term block, and the store of the short term.

::

    memory = Memory.from_defaults(
        session_id="ana-1",
        chat_store=CortexChatStore(),
        memory_blocks=[CortexMemoryBlock()],
    )

``CortexMemoryBlock`` keeps what leaves the short term and brings back what answers the
last messages. ``CortexChatStore`` keeps the short term itself, so that a conversation
outlives its process.
"""

from collections.abc import Sequence
from typing import Any

from cortex_client.calls import memory, sessions
from cortex_client.integrations.link import Link, Script, as_query, missing
from cortex_client.integrations.transcript import Transcript, Turn, key_of, raw_of
from cortex_client.wire import Hit, Memory, NewMemory, Recalled, SessionPage

try:
    from llama_index.core.base.llms.types import ChatMessage
    from llama_index.core.bridge.pydantic import Field, PrivateAttr
    from llama_index.core.memory import BaseMemoryBlock
    from llama_index.core.storage.chat_store.base_db import (
        AsyncDBChatStore,
        MessageStatus,
    )
except ImportError as error:
    raise missing("llamaindex", "llama-index", error) from None

PAGE_MAX = 500
"""Conversations of one page; the server gives no more."""

_SESSION = "session_id"
_SOURCES = {"user": "user", "assistant": "agent", "tool": "tool", "function": "tool"}


class CortexMemoryBlock(BaseMemoryBlock[str]):
    """What was said before and answers what is said now.

    ``search`` takes what ``recall`` takes beside the query: ``user_id``, ``filter``,
    ``min_trust`` …; what is below ``min_confidence`` (0..1) is left out.
    """

    name: str = Field(default="CortexMemory", description="Name of the block.")
    base_url: str | None = Field(default=None, description="Address of the server.")
    token: str | None = Field(default=None, repr=False, exclude=True)
    namespace: str = Field(default="llamaindex", description="Where it is kept.")
    user_id: str | None = Field(default=None, description="Whose memories these are.")
    top_k: int = Field(default=5, description="Memories brought back at most.")
    min_confidence: float = Field(default=0.0, description="0..1, of one memory.")
    query_messages: int = Field(default=1, description="Last messages that ask.")
    search: dict[str, Any] = Field(default_factory=dict)
    _link: Link = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Settle where the server is; nothing is opened before the first use."""
        super().model_post_init(context)
        self._link = Link(self.base_url, {"token": self.token})

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        await self._link.aclose()

    async def _aget(
        self, messages: list[ChatMessage] | None = None, **block_kwargs: Any
    ) -> str:
        del block_kwargs  # a conversation also remembers what was said in others
        asked = [_text(one) for one in (messages or [])[-self.query_messages :]]
        query = as_query("\n".join(filter(None, asked)))
        if not query:
            return ""
        hits = await self._link.arun(self._find(query))
        return "\n".join(f"- {_shown(hit)}" for hit in hits)

    async def _aput(self, messages: list[ChatMessage]) -> None:
        items = [self._item(one) for one in messages if _text(one)]
        if items:
            await self._link.arun(self._store(items))

    async def atruncate(self, content: str, tokens_to_truncate: int) -> str | None:
        """Leave out the least of what was found, line by line."""
        lines = content.split("\n")
        spare = tokens_to_truncate * _CHARACTERS_A_TOKEN
        while lines and spare > 0:
            spare -= len(lines.pop()) + 1
        return "\n".join(lines) or None

    def _find(self, query: str) -> Script[list[Hit]]:
        scope: dict[str, Any] = {"namespace": self.namespace, **self.search}
        if self.user_id is not None:
            scope["user_id"] = self.user_id
        found: Recalled = yield memory.recall(query, self.top_k, **scope)
        return [hit for hit in found.hits if hit.confidence >= self.min_confidence]

    def _store(self, items: Sequence[NewMemory]) -> Script[None]:
        yield memory.remember(items, namespace=self.namespace)

    def _item(self, message: ChatMessage) -> NewMemory:
        # The framework writes the conversation's id into the message it hands over.
        session_id = message.additional_kwargs.pop(_SESSION, None)
        role = message.role.value
        return NewMemory(
            _text(message),
            author=role,
            kind="message",
            session_id=session_id,
            user_id=self.user_id,
            source_kind=_SOURCES.get(role, "unknown"),
        )


_CHARACTERS_A_TOKEN = 4
"""About what a token of English holds; the caller counts anew afterwards."""


class CortexChatStore(AsyncDBChatStore):
    """The messages of all conversations of one namespace."""

    base_url: str | None = None
    token: str | None = Field(default=None, repr=False, exclude=True)
    namespace: str = "llamaindex-chats"
    user_id: str | None = None
    _link: Link = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Settle where the server is; nothing is opened before the first use."""
        super().model_post_init(context)
        self._link = Link(self.base_url, {"token": self.token})

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        await self._link.aclose()

    async def get_messages(
        self,
        key: str,
        status: MessageStatus | None = MessageStatus.ACTIVE,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[ChatMessage]:
        """Return messages of a conversation, oldest first."""
        found = await self._messages(key, status)
        start = offset or 0
        end = None if limit is None else start + limit
        return [_message(one) for one in found[start:end]]

    async def count_messages(
        self, key: str, status: MessageStatus | None = MessageStatus.ACTIVE
    ) -> int:
        """Return how many messages a conversation has."""
        return len(await self._messages(key, status))

    async def add_message(
        self,
        key: str,
        message: ChatMessage,
        status: MessageStatus = MessageStatus.ACTIVE,
    ) -> None:
        """Add a message at the end."""
        await self.add_messages(key, [message], status)

    async def add_messages(
        self,
        key: str,
        messages: list[ChatMessage],
        status: MessageStatus = MessageStatus.ACTIVE,
    ) -> None:
        """Add messages at the end, in order."""
        turns = [_turn(one, status) for one in messages]
        await self._link.arun(self._transcript(key).append(turns))

    async def set_messages(
        self,
        key: str,
        messages: list[ChatMessage],
        status: MessageStatus = MessageStatus.ACTIVE,
    ) -> None:
        """Put messages in place of all there were."""
        await self.delete_messages(key)
        await self.add_messages(key, messages, status)

    async def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Forget the message at a place among the active ones, and return it."""
        found = await self._messages(key, MessageStatus.ACTIVE)
        if not -len(found) <= idx < len(found):
            return None
        await self._link.arun(self._transcript(key).remove(found[idx]))
        return _message(found[idx])

    async def delete_messages(
        self, key: str, status: MessageStatus | None = None
    ) -> None:
        """Forget a conversation, or its messages of one status."""
        if status is None:
            await self._link.arun(self._transcript(key).clear())
            return
        for one in await self._messages(key, status):
            await self._link.arun(self._transcript(key).remove(one))

    async def delete_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Forget the oldest active messages and return them."""
        oldest = (await self._messages(key, MessageStatus.ACTIVE))[:n]
        for one in oldest:
            await self._link.arun(self._transcript(key).remove(one))
        return [_message(one) for one in oldest]

    async def archive_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Take the oldest active messages out of the short term and return them."""
        oldest = (await self._messages(key, MessageStatus.ACTIVE))[:n]
        for one in oldest:
            await self._link.arun(self._archive(one))
        return [_message(one) for one in oldest]

    async def get_keys(self) -> list[str]:
        """Return the ids of all conversations."""
        return await self._link.arun(self._keys())

    def _transcript(self, key: str) -> Transcript:
        return Transcript(key, self.namespace, self.user_id)

    async def _messages(self, key: str, status: MessageStatus | None) -> list[Memory]:
        tag = None if status is None else status.value
        return await self._link.arun(self._transcript(key).newest(tag=tag))

    def _archive(self, message: Memory) -> Script[None]:
        yield memory.update_memory(
            message.id, tags=[MessageStatus.ARCHIVED.value], namespace=self.namespace
        )

    def _keys(self) -> Script[list[str]]:
        keys: list[str] = []
        cursor: str | None = None
        while True:
            page: SessionPage = yield sessions.list_sessions(
                namespace=self.namespace, cursor=cursor, limit=PAGE_MAX
            )
            keys += [key_of(one) for one in page.sessions]
            cursor = page.next_cursor
            if cursor is None:
                return keys


def _text(message: ChatMessage) -> str:
    return (message.content or "").strip()


def _shown(hit: Hit) -> str:
    return f"{hit.author}: {hit.content}" if hit.author else hit.content


def _turn(message: ChatMessage, status: MessageStatus) -> Turn:
    role = message.role.value
    raw = message.model_dump(mode="json")
    source = "tool" if role == "function" else role
    return Turn(raw, _text(message) or role, source, (status.value,))


def _message(stored: Memory) -> ChatMessage:
    return ChatMessage.model_validate(raw_of(stored))
