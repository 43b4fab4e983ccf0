"""A conversation, message by message, each kept as its framework wrote it.

The messages are a Cortex session, so that they are also found by meaning, from this
conversation or another. Who said what decides how far it is trusted: what a tool
answered is screened, and kept out of all answers when it gives orders (see
``docs/explanation/memory-safety.md``).
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cortex_client.calls import memory, sessions
from cortex_client.errors import ConflictError, NotFoundError
from cortex_client.integrations import kept
from cortex_client.integrations.link import Script
from cortex_client.wire import Memory, MemoryPage, Session

Raw = dict[str, Any]

APPENDED_MAX = 100
"""Messages of one request: with ordinary ones, well below the body's limit."""

PAGE_MAX = 500
"""Messages of one page; the server gives no more."""

WITHHELD = "[withheld: this tool's answer is in quarantine]"
"""Stands for the answer of a tool that nobody may read."""

SESSION_ID_CHARACTERS_MAX = 200
"""Characters of the id of a conversation; the server takes no more."""

_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+\-]*")
_KEY = "key"
_KIND = "message"
_SOURCES = {"user": "user", "assistant": "agent", "tool": "tool"}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message.

    Attributes:
        raw: the message as its framework writes it in JSON.
        text: what it is found by.
        role: user, assistant, tool or another.
        tags: labels to list by.
    """

    raw: Mapping[str, Any]
    text: str
    role: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """Scripts over one conversation of a namespace.

    ``key`` is what the framework calls it: any text.
    """

    key: str
    namespace: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str = field(init=False)
    _place: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Settle the namespace; None is the server's default one."""
        place = {} if self.namespace is None else {"namespace": self.namespace}
        object.__setattr__(self, "_place", place)
        object.__setattr__(self, "session_id", session_id_of(self.key))

    def append(self, turns: Sequence[Turn]) -> Script[None]:
        """Add messages at the end, in order; opens the conversation when it is new."""
        for start in range(0, len(turns), APPENDED_MAX):
            part = [self._item(turn) for turn in turns[start : start + APPENDED_MAX]]
            call = sessions.append_messages(self.session_id, part, **self._place)
            try:
                yield call
            except NotFoundError:
                yield from self._open()
                yield call

    def newest(
        self, limit: int | None = None, *, tag: str | None = None
    ) -> Script[list[Memory]]:
        """Return the newest messages in the order they were said; None: all."""
        found: list[Memory] = []
        cursor: str | None = None
        tagged: Any = {} if tag is None else {"tag": tag}
        while limit is None or len(found) < limit:
            wanted = PAGE_MAX if limit is None else min(limit - len(found), PAGE_MAX)
            page: MemoryPage = yield memory.list_memories(
                session_id=self.session_id,
                kind=_KIND,
                limit=wanted,
                cursor=cursor,
                **tagged,
                **self._place,
            )
            found += [one for one in page.memories if raw_of(one) is not None]
            cursor = page.next_cursor
            if cursor is None:
                break
        return found[::-1]

    def remove(self, message: Memory) -> Script[None]:
        """Forget one message; no matter if it is gone."""
        try:
            yield memory.forget(message.id, **self._place)
        except NotFoundError:
            return

    def pop(self) -> Script[Raw | None]:
        """Forget the newest message and return it; None when there is none."""
        found = yield from self.newest(1)
        if not found:
            return None
        yield from self.remove(found[0])
        return raw_of(found[0])

    def clear(self) -> Script[None]:
        """Forget the conversation: every message, and that it was."""
        yield memory.forget(session_id=self.session_id, **self._place)

    def _open(self) -> Script[None]:
        try:
            yield sessions.create_session(
                self.key[:SESSION_ID_CHARACTERS_MAX],
                id=self.session_id,
                metadata={_KEY: self.key},
                user_id=self.user_id,
                agent_id=self.agent_id,
                namespace=self.namespace,
            )
        except ConflictError:
            return  # somebody else opened it meanwhile

    def _item(self, turn: Turn) -> dict[str, Any]:
        item: dict[str, Any] = {
            **kept.body("message", turn.raw, turn.text, {"role": turn.role}),
            "author": turn.role,
            "kind": _KIND,
            "source_kind": _SOURCES.get(turn.role, "unknown"),
            "tags": list(turn.tags),
        }
        if self.user_id is not None:
            item["user_id"] = self.user_id
        if self.agent_id is not None:
            item["agent_id"] = self.agent_id
        return item


def session_id_of(key: str) -> str:
    """Return the id of a conversation: its key, or a hash of one that is no id."""
    if len(key) <= SESSION_ID_CHARACTERS_MAX and _SESSION_ID.fullmatch(key):
        return key
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def key_of(session: Session) -> str:
    """Return what the framework calls a conversation."""
    return str(session.metadata.get(_KEY, session.id))


def raw_of(message: Memory) -> Raw | None:
    """Return a message as its framework wrote it; None for another memory."""
    return kept.value("message", message)


def mended(
    messages: Sequence[Raw],
    *,
    asks: Callable[[Raw], Sequence[str]],
    answers: Callable[[Raw], str | None],
    stand_in: Callable[[Raw, str], Raw],
) -> list[Raw]:
    """Return messages with something in place of each answer that is not there.

    Models refuse a conversation in which a call of a tool is never answered. One at
    the end may still be, and stays as it is.

    Args:
        messages: in the order they were said.
        asks: the ids of the calls that a message makes.
        answers: the id of the call that a message answers, None if it answers none.
        stand_in: makes the answer to a call that a message made.
    """
    answered = {answers(one) for one in messages}
    spoken = [i for i, one in enumerate(messages) if _speaks(one, asks, answers)]
    last_spoken = spoken[-1] if spoken else -1
    whole: list[Raw] = []
    for place, one in enumerate(messages):
        whole.append(one)
        if place < last_spoken:
            open_calls = [call for call in asks(one) if call not in answered]
            whole += [stand_in(one, call) for call in open_calls]
    return whole


def _speaks(
    one: Raw, asks: Callable[[Raw], Sequence[str]], answers: Callable[[Raw], str | None]
) -> bool:
    return not asks(one) and answers(one) is None
