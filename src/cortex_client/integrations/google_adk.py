"""The memory service of Google's Agent Development Kit on Cortex.

::

    runner = Runner(..., memory_service=CortexMemoryService())

Each event that says something is one memory of its user and application. Adding a
session again adds what is new in it.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, Unpack

from cortex_client.calls import memory
from cortex_client.errors import NotFoundError
from cortex_client.integrations import kept
from cortex_client.integrations.link import Link, Manner, Script, as_query, missing
from cortex_client.wire import Hit, Memory, Recalled

try:
    from google.adk.events.event import Event
    from google.adk.memory.base_memory_service import (
        BaseMemoryService,
        SearchMemoryResponse,
    )
    from google.adk.memory.memory_entry import MemoryEntry
    from google.adk.sessions.session import Session
    from google.genai import types
except ImportError as error:
    raise missing("google_adk", "google-adk", error) from None

TOP_K = 10
"""Memories of one search, as many as the kit's own service gives."""

STORED_MAX = 100
"""Events of one request: with ordinary ones, well below the body's limit."""

SENT_REMEMBERED_MAX = 10_000
"""Keys of events that are known to be stored, so that they are not sent again."""

NAME_CHARACTERS_MAX = 200
"""Characters of a name; the server takes no more."""

_ADK = "adk:"
_KIND = "adk"
_DELETED = "adk-deleted"


class CortexMemoryService(BaseMemoryService):
    """Memories of all users and applications of one namespace."""

    def __init__(
        self,
        base_url: str | None = None,
        *,
        namespace: str = "google-adk",
        top_k: int = TOP_K,
        min_confidence: float = 0.0,
        **manner: Unpack[Manner],
    ) -> None:
        """Settle where and how; nothing is opened before the first call.

        What is found with less than ``min_confidence`` (0..1) is left out.
        """
        self._place: Any = {"namespace": namespace}
        self._top_k = top_k
        self._min_confidence = min_confidence
        self._sent: OrderedDict[str, None] = OrderedDict()
        self._link = Link(base_url, manner)

    async def __aenter__(self) -> Self:
        """Return the service itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections of this event loop; what is kept stays."""
        await self._link.aclose()

    async def add_session_to_memory(self, session: Session) -> None:
        """Remember the events of a session that are not remembered yet."""
        await self.add_events_to_memory(
            app_name=session.app_name,
            user_id=session.user_id,
            events=session.events,
            session_id=session.id,
        )

    async def add_events_to_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        events: Sequence[Event],
        session_id: str | None = None,
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Remember events; ``custom_metadata`` is kept with each of them."""
        whose = _whose(app_name, user_id)
        items: dict[str, dict[str, Any]] = {}
        for event in events:
            content = event.content
            if content is None or not _text(content):
                continue
            key = _key(app_name, user_id, session_id or "", event.id)
            if key not in self._sent:
                items[key] = {
                    **_item(content, event.author, custom_metadata, key),
                    **whose,
                    **({} if session_id is None else {"session_id": _name(session_id)}),
                    "occurred_at": event.timestamp,
                }
        await self._store(items)

    async def add_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        memories: Sequence[MemoryEntry],
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Remember explicit memories; one with an id is remembered once."""
        whose = _whose(app_name, user_id)
        items: dict[str, dict[str, Any]] = {}
        for number, entry in enumerate(memories):
            more = {**entry.custom_metadata, **(custom_metadata or {})}
            item = {**_item(entry.content, entry.author, more, None), **whose}
            if entry.timestamp is not None:
                item["occurred_at"] = entry.timestamp
            name = str(number)
            if entry.id is not None:
                name = item["idempotency_key"] = _key(app_name, user_id, "", entry.id)
            items[name] = item
        await self._store(items)

    async def search_memory(
        self, *, app_name: str, user_id: str, query: str
    ) -> SearchMemoryResponse:
        """Return what answers a query, best first."""
        text = as_query(query)
        if not text:
            return SearchMemoryResponse()
        hits = await self._link.arun(self._find(text, _whose(app_name, user_id)))
        return SearchMemoryResponse(memories=[_entry(hit) for hit in hits])

    async def delete_memory(
        self, *, app_name: str, user_id: str, memory_id: str | None = None
    ) -> None:
        """Forget one memory; adding its session again does not bring it back."""
        if memory_id:
            whose = _whose(app_name, user_id)
            await self._link.arun(self._delete(memory_id, whose))

    async def _store(self, items: Mapping[str, Mapping[str, Any]]) -> None:
        keys = list(items)
        for start in range(0, len(keys), STORED_MAX):
            part = keys[start : start + STORED_MAX]
            await self._link.arun(self._remember([items[key] for key in part]))
            self._sent.update((key, None) for key in part if key.startswith(_ADK))
        while len(self._sent) > SENT_REMEMBERED_MAX:
            self._sent.popitem(last=False)

    def _remember(self, items: Sequence[Mapping[str, Any]]) -> Script[None]:
        yield memory.remember(items, **self._place)

    def _find(self, query: str, whose: Mapping[str, str]) -> Script[list[Hit]]:
        scope: Any = {**self._place, **whose, "kind": _KIND}
        found: Recalled = yield memory.recall(query, self._top_k, **scope)
        return [hit for hit in found.hits if hit.confidence >= self._min_confidence]

    def _delete(self, memory_id: str, whose: Mapping[str, str]) -> Script[None]:
        """Forget it, and keep its key taken by a memory that says nothing."""
        try:
            found: Memory = yield memory.get_memory(memory_id, **self._place)
        except NotFoundError:
            return
        if (found.agent_id, found.user_id) != (whose["agent_id"], whose["user_id"]):
            return  # another user's: to this one it is not there
        try:
            yield memory.forget(memory_id, **self._place)
        except NotFoundError:
            return
        key = found.metadata.get("key")
        if isinstance(key, str):
            emptied: dict[str, object] = {"content": "-", "kind": _DELETED, **whose}
            emptied["idempotency_key"] = key
            yield memory.remember(emptied, **self._place)


def _item(
    content: types.Content,
    author: str | None,
    more: Mapping[str, object] | None,
    key: str | None,
) -> dict[str, Any]:
    raw = content.model_dump(mode="json", exclude_none=True)
    facts: dict[str, Any] = {"custom": dict(more or {})}
    said_by = author or content.role or ""
    item: dict[str, Any] = {
        "kind": _KIND,
        "author": said_by,
        "source_kind": "user" if said_by == "user" else "agent",
    }
    if key is not None:
        facts["key"] = item["idempotency_key"] = key
    return {**kept.body("content", raw, _text(content), facts), **item}


def _text(content: types.Content) -> str:
    parts = [part.text for part in content.parts or () if part.text]
    return "\n".join(parts).strip()


def _whose(app_name: str, user_id: str) -> dict[str, str]:
    return {"agent_id": _name(app_name), "user_id": _name(user_id)}


def _name(text: str) -> str:
    """Return a name as the server takes it: one too long by its hash."""
    if 0 < len(text) <= NAME_CHARACTERS_MAX and text.isprintable():
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _key(*parts: str) -> str:
    text = json.dumps(parts)
    return f"{_ADK}{hashlib.sha256(text.encode()).hexdigest()}"


def _entry(hit: Hit) -> MemoryEntry:
    raw = kept.value("content", hit) or {"parts": [{"text": hit.content}]}
    custom = hit.metadata.get("custom")
    when = None
    if hit.occurred_at is not None:
        when = datetime.fromtimestamp(hit.occurred_at, UTC).isoformat()
    return MemoryEntry(
        id=hit.id,
        content=types.Content.model_validate(raw),
        author=hit.author or None,
        timestamp=when,
        custom_metadata={
            **(dict(custom) if isinstance(custom, Mapping) else {}),
            "cortex": {"confidence": hit.confidence, "session_id": hit.session_id},
        },
    )
