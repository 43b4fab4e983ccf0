"""LangChain's retriever and chat history on Cortex.

``CortexRetriever`` is a ``BaseRetriever``: a runnable from a question to documents.
``CortexChatMessageHistory`` is a ``BaseChatMessageHistory``, which LangChain itself
calls deprecated (removal in its 2.0) in favour of LangGraph's persistence; for new
work see ``cortex_client.integrations.langgraph``.
"""

import json
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from cortex_client.calls import memory
from cortex_client.integrations.link import Link, Manner, Script, as_query, missing
from cortex_client.integrations.transcript import (
    WITHHELD,
    Raw,
    Transcript,
    Turn,
    mended,
    raw_of,
)
from cortex_client.wire import Hit, Recalled

try:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.documents import Document
    from langchain_core.messages import (
        BaseMessage,
        message_to_dict,
        messages_from_dict,
    )
    from langchain_core.retrievers import BaseRetriever
    from pydantic import Field, PrivateAttr
except ImportError as error:
    raise missing("langchain", "langchain", error) from None

_ROLES = {"human": "user", "ai": "assistant"}


class CortexRetriever(BaseRetriever):
    """Finds memories as documents, best first.

    ``search`` takes what ``recall`` takes beside the query: ``namespace``, ``user_id``,
    ``filter``, ``min_trust`` …; documents below ``min_confidence`` (0..1) are left out.
    A document's metadata is the memory's own, and what Cortex knows of it under
    ``cortex``.
    """

    base_url: str | None = None
    token: str | None = Field(default=None, repr=False, exclude=True)
    k: int = 4
    min_confidence: float = 0.0
    search: dict[str, Any] = Field(default_factory=dict)
    _link: Link = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Settle where the server is; nothing is opened before the first question."""
        super().model_post_init(context)
        self._link = Link(self.base_url, {"token": self.token})

    def close(self) -> None:
        """Close the connections of synchronous calls."""
        self._link.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop and of synchronous calls."""
        await self._link.aclose()

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        del run_manager  # there is nothing between the question and its answer to tell
        return self._link.run(self._find(query))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        del run_manager
        return await self._link.arun(self._find(query))

    def _find(self, query: str) -> Script[list[Document]]:
        text = as_query(query)
        if not text:
            return []
        found: Recalled = yield memory.recall(text, self.k, **self.search)
        return [
            _document(hit)
            for hit in found.hits
            if hit.confidence >= self.min_confidence
        ]


def _document(hit: Hit) -> Document:
    known = {
        "score": hit.score,
        "confidence": hit.confidence,
        "author": hit.author,
        "kind": hit.kind,
        "session_id": hit.session_id,
        "user_id": hit.user_id,
        "occurred_at": hit.occurred_at,
        "tags": list(hit.tags),
        "source": hit.provenance.source,
        "trust": hit.trust,
    }
    return Document(hit.content, id=hit.id, metadata={**hit.metadata, "cortex": known})


class CortexChatMessageHistory(BaseChatMessageHistory):
    """The messages of one conversation."""

    def __init__(
        self,
        session_id: str,
        base_url: str | None = None,
        *,
        namespace: str | None = None,
        user_id: str | None = None,
        **manner: Unpack[Manner],
    ) -> None:
        """Name the conversation; it begins with its first message."""
        self._transcript = Transcript(session_id, namespace, user_id)
        self._link = Link(base_url, manner)

    def __enter__(self) -> Self:
        """Return the history itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections of synchronous calls."""
        self._link.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop and of synchronous calls."""
        await self._link.aclose()

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """Return all messages, oldest first."""
        return messages_from_dict(self._link.run(self._read()))

    async def aget_messages(self) -> list[BaseMessage]:
        """Return all messages, oldest first."""
        return messages_from_dict(await self._link.arun(self._read()))

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Add messages at the end; they are durable when this returns."""
        self._link.run(self._transcript.append([_turn(one) for one in messages]))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Add messages at the end; they are durable when this returns."""
        turns = [_turn(one) for one in messages]
        await self._link.arun(self._transcript.append(turns))

    def clear(self) -> None:
        """Forget all messages."""
        self._link.run(self._transcript.clear())

    async def aclear(self) -> None:
        """Forget all messages."""
        await self._link.arun(self._transcript.clear())

    def _read(self) -> Script[list[Raw]]:
        found = yield from self._transcript.newest()
        raws = [raw for raw in map(raw_of, found) if raw is not None]
        return mended(raws, asks=_asks, answers=_answers, stand_in=_stand_in)


def _turn(message: BaseMessage) -> Turn:
    raw = message_to_dict(message)
    calls = getattr(message, "tool_calls", None) or ()
    asked = [f"{call['name']}({json.dumps(call['args'])})" for call in calls]
    text = "\n".join(filter(None, [str(message.text), *asked]))
    return Turn(raw, text, _ROLES.get(message.type, message.type))


def _asks(raw: Raw) -> Sequence[str]:
    calls = raw.get("data", {}).get("tool_calls") or ()
    return [call["id"] for call in calls if call.get("id")]


def _answers(raw: Raw) -> str | None:
    if raw.get("type") != "tool":
        return None
    answered: str | None = raw.get("data", {}).get("tool_call_id")
    return answered


def _stand_in(_: Raw, call: str) -> Raw:
    data = {"content": WITHHELD, "tool_call_id": call, "type": "tool"}
    return {"type": "tool", "data": {**data, "status": "error"}}
