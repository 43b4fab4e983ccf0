"""A session of the OpenAI Agents SDK on Cortex.

``CortexSession`` is an ``agents.memory.Session``::

    session = CortexSession("trip-to-rome", user_id="ana")
    result = await Runner.run(agent, "Where did we want to go?", session=session)

The items come back as they were given. What was said in them is also found by
``recall``, from any conversation of the namespace.
"""

import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from cortex_client.integrations.link import Link, Manner, Script, missing
from cortex_client.integrations.transcript import (
    WITHHELD,
    Raw,
    Transcript,
    Turn,
    mended,
    raw_of,
)

try:
    from agents.items import TResponseInputItem
    from agents.memory import SessionABC, SessionSettings
except ImportError as error:
    raise missing("openai_agents", "openai-agents", error) from None


class Belongs(Manner, total=False):
    """To whom and what a conversation belongs; recall can select by it."""

    namespace: str | None
    user_id: str | None
    agent_id: str | None


class _Scope(TypedDict):
    namespace: str | None
    user_id: str | None
    agent_id: str | None


class CortexSession(SessionABC):
    """The history of one conversation; usable from many tasks and event loops."""

    def __init__(
        self,
        session_id: str,
        base_url: str | None = None,
        *,
        session_settings: SessionSettings | None = None,
        **belongs: Unpack[Belongs],
    ) -> None:
        """Name the conversation; it begins with its first items."""
        self.session_id = session_id
        self.session_settings = session_settings or SessionSettings()
        scope = _Scope(
            namespace=belongs.pop("namespace", None),
            user_id=belongs.pop("user_id", None),
            agent_id=belongs.pop("agent_id", None),
        )
        self._transcript = Transcript(session_id, **scope)
        self._link = Link(base_url, belongs)

    async def __aenter__(self) -> Self:
        """Return the session itself."""
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
        """Close the connections; what is kept stays."""
        await self._link.aclose()

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Return the newest items in the order they came; all without a limit."""
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        return await self._link.arun(self._items(limit))  # type: ignore[arg-type]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Add items at the end; they are durable when this returns."""
        turns = [_turn(dict(item)) for item in items]
        await self._link.arun(self._transcript.append(turns))

    async def pop_item(self) -> TResponseInputItem | None:
        """Forget the newest item and return it."""
        return await self._link.arun(self._transcript.pop())  # type: ignore[arg-type]

    async def clear_session(self) -> None:
        """Forget all items."""
        await self._link.arun(self._transcript.clear())

    def _items(self, limit: int | None) -> Script[list[Raw]]:
        found = yield from self._transcript.newest(limit)
        raws = [raw for raw in map(raw_of, found) if raw is not None]
        return mended(raws, asks=_asks, answers=_answers, stand_in=_stand_in)


def _turn(item: Raw) -> Turn:
    kind = item.get("type") or "message"
    if kind.endswith("_output"):
        role = "tool"
    elif kind == "message":
        role = str(item.get("role") or "user")
    else:
        role = "assistant"
    return Turn(item, _text(item, kind), role)


def _text(item: Raw, kind: str) -> str:
    if kind == "function_call":
        return f"{item.get('name')}({item.get('arguments')})"
    spoken = [*_spoken(item.get("content")), *_spoken(item.get("output"))]
    return "\n".join(spoken or _spoken(item.get("summary"))) or json.dumps(item)


def _spoken(content: object) -> Sequence[str]:
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, Sequence) else ()
    found = [part.get("text") for part in parts if isinstance(part, Mapping)]
    return [text for text in found if isinstance(text, str) and text]


def _asks(item: Raw) -> Sequence[str]:
    call: Any = item.get("call_id")
    return [call] if item.get("type") == "function_call" and call else []


def _answers(item: Raw) -> str | None:
    return item.get("call_id") if item.get("type") == "function_call_output" else None


def _stand_in(_: Raw, call: str) -> Raw:
    return {"type": "function_call_output", "call_id": call, "output": WITHHELD}
