"""What mem0's verbs mean in Cortex, free of input and output.

Each verb is a generator: it yields calls and is sent their results. One driver waits
for the answers, the other awaits them.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypedDict, TypeVar, Unpack

from cortex_client.call import Answer, Call
from cortex_client.calls import memory
from cortex_client.mem0_filters import SCOPE_NAMES, split_filters
from cortex_client.wire import Hit, Memory, MemoryPage, NewMemory, Recalled, Remembered

T = TypeVar("T")

Record = dict[str, Any]
Messages = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]
Script = Generator[Call[Any], Any, T]

TOP_K_DEFAULT = 20
"""mem0's own default."""

SEARCH_MAX = 100
"""Hits of one search; the server gives no more."""

PAGE_MAX = 100
"""Memories asked for at once in a listing."""

_NOT_FOUND = 404
_OWN_METADATA = ("role", "actor_id")


class Scope(TypedDict, total=False):
    """Whose memories."""

    user_id: str | None
    agent_id: str | None
    run_id: str | None


class AddOptions(Scope, total=False):
    """``infer``, ``memory_type`` and ``prompt`` are accepted and change nothing."""

    metadata: Mapping[str, Any] | None
    infer: bool
    memory_type: str | None
    prompt: str | None
    timestamp: float | str | None
    version: str
    output_format: str


class SearchOptions(Scope, total=False):
    """``limit`` is mem0 1.x's name for ``top_k``; ``rerank`` changes nothing."""

    filters: Mapping[str, Any] | None
    top_k: int
    limit: int
    threshold: float | None
    rerank: bool
    explain: bool
    version: str
    output_format: str


class Scripts:
    """The verbs, for one namespace."""

    def __init__(self, namespace: str | None) -> None:
        """Take the namespace; None is the server's default one."""
        self._where: Any = {} if namespace is None else {"namespace": namespace}

    def add(
        self, messages: Messages, **options: Unpack[AddOptions]
    ) -> Script[dict[str, list[Record]]]:
        """Store each message that has text, system messages aside."""
        scope = _scope(options)
        metadata = dict(options.get("metadata") or {})
        said = [m for m in _messages(messages) if m.get("role") != "system"]
        items = [_item(m, scope, metadata, options.get("timestamp")) for m in said]
        items = [item for item in items if item.content]
        if not items:
            return {"results": []}
        stored: Remembered = yield memory.remember(items, **self._where)
        results = []
        for item, entry in zip(items, stored.items, strict=True):
            event = "ADD" if entry.created else "NONE"
            result = {"id": entry.id, "memory": item.content, "event": event}
            own = {k: item.metadata[k] for k in _OWN_METADATA if k in item.metadata}
            results.append({**result, **own})
        return {"results": results}

    def search(
        self, query: str, **options: Unpack[SearchOptions]
    ) -> Script[dict[str, list[Record]]]:
        """Find what answers ``query`` within the scope."""
        scope, filters = _split(options)
        wanted: Any = {**self._where, **_fields(scope)}
        if filters is not None:
            wanted["filter"] = filters
        if options.get("explain"):
            wanted["explain"] = True
        top_k = min(_top_k(options), SEARCH_MAX)
        found: Recalled = yield memory.recall(query, top_k, **wanted)
        threshold = options.get("threshold") or 0.0
        hits = [hit for hit in found.hits if hit.confidence >= threshold]
        return {"results": [_found(hit) for hit in hits]}

    def get(self, memory_id: str) -> Script[Record | None]:
        """Return one memory, or None."""
        found: Memory | None = yield self._get(memory_id)
        return None if found is None else _record(found)

    def get_all(
        self, **options: Unpack[SearchOptions]
    ) -> Script[dict[str, list[Record]]]:
        """List the scope's memories, at most ``top_k``."""
        scope, filters = _split(options)
        if filters is not None:
            message = "get_all filters by user_id, agent_id and run_id; search by more"
            raise ValueError(message)
        wanted = _top_k(options)
        results: list[Record] = []
        cursor: str | None = None
        while len(results) < wanted:
            limit = min(wanted - len(results), PAGE_MAX)
            page: MemoryPage = yield memory.list_memories(
                cursor=cursor, limit=limit, **self._where, **_fields(scope)
            )
            results += [_record(found) for found in page.memories]
            cursor = page.next_cursor
            if cursor is None:
                break
        return {"results": results}

    def update(
        self, memory_id: str, text: str | None, metadata: Mapping[str, Any] | None
    ) -> Script[dict[str, str]]:
        """Change the text, add to the metadata, or both."""
        if text is None and metadata is None:
            message = "give text, metadata or both"
            raise ValueError(message)
        found: Memory | None = yield self._get(memory_id)
        if found is None:
            raise _unknown(memory_id)
        changes: Any = dict(self._where)
        if text is not None:
            changes["content"] = text
        if metadata is not None:
            changes["metadata"] = {**found.metadata, **metadata}
        yield memory.update_memory(memory_id, **changes)
        return {"message": "Memory updated successfully!"}

    def delete(self, memory_id: str) -> Script[dict[str, str]]:
        """Forget one memory."""
        gone: bool = yield _or_none(
            memory.forget(memory_id, **self._where).then(lambda _: True)
        )
        if not gone:
            raise _unknown(memory_id)
        return {"message": "Memory deleted successfully!"}

    def delete_all(self, **scope: Unpack[Scope]) -> Script[dict[str, str]]:
        """Forget all of a user, agent or run."""
        yield memory.forget(None, **self._where, **_fields(_scope(scope)))
        return {"message": "Memories deleted successfully!"}

    def history(self, memory_id: str) -> Script[list[Record]]:
        """Return the events the record itself knows; none for an unknown id."""
        found: Memory | None = yield self._get(memory_id)
        return [] if found is None else list(_events(found))

    def _get(self, memory_id: str) -> Call[Memory | None]:
        return _or_none(memory.get_memory(memory_id, **self._where))


def _unknown(memory_id: str) -> ValueError:
    return ValueError(f"Memory with id {memory_id} not found")


def _or_none(call: Call[T]) -> Call[T | None]:
    def read(answer: Answer) -> T | None:
        return None if answer.status == _NOT_FOUND else call.decode(answer)

    return replace(call, decode=read, accept=frozenset({_NOT_FOUND}))  # type: ignore[return-value,arg-type]


def _messages(messages: Messages) -> list[Mapping[str, Any]]:
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    if isinstance(messages, Mapping):
        return [messages]
    if not all(isinstance(m, Mapping) for m in messages):
        message = "messages must be str, dict, or list[dict]"
        raise ValueError(message)
    return list(messages)


def _item(
    message: Mapping[str, Any],
    scope: Mapping[str, str],
    metadata: dict[str, Any],
    timestamp: float | str | None,
) -> NewMemory:
    role = str(message.get("role", "user"))
    name = message.get("name")
    own = {"role": role} | ({"actor_id": name} if name else {})
    by_role = "agent_id" if role == "assistant" else "user_id"
    return NewMemory(
        content=_text(message.get("content")),
        author=str(name or scope.get(by_role) or role),
        session_id=scope.get("run_id"),
        user_id=scope.get("user_id"),
        agent_id=scope.get("agent_id"),
        metadata={**metadata, **own},
        occurred_at=timestamp,
    )


def _text(content: object) -> str:
    """Return the text of a message, also of one made of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [p.get("text", "") for p in parts if isinstance(p, Mapping)]
    return "\n".join(text for text in texts if text)


def _scope(options: Mapping[str, Any]) -> dict[str, str]:
    scope = {name: str(options[name]) for name in SCOPE_NAMES if options.get(name)}
    if not scope:
        message = "one of user_id, agent_id, run_id is required"
        raise ValueError(message)
    return scope


def _split(options: SearchOptions) -> tuple[dict[str, str], dict[str, Any] | None]:
    """Return whose memories, and what else they must satisfy."""
    scope, rest = split_filters(options.get("filters") or {})
    return _scope({**options, **scope}), rest


def _fields(scope: Mapping[str, str]) -> Any:
    names = {"run_id": "session_id"}
    return {names.get(name, name): value for name, value in scope.items()}


def _top_k(options: SearchOptions) -> int:
    return int(options.get("top_k") or options.get("limit") or TOP_K_DEFAULT)


def _record(found: Memory | Hit) -> Record:
    metadata = dict(found.metadata)
    own = {name: metadata.pop(name) for name in _OWN_METADATA if name in metadata}
    scope = {
        "user_id": found.user_id,
        "agent_id": found.agent_id,
        "run_id": found.session_id,
    }
    return {
        "id": found.id,
        "memory": found.content,
        "hash": found.content_sha256 or None,
        "metadata": metadata or None,
        "created_at": _iso(found.created_at),
        "updated_at": _iso(found.updated_at),
        **{name: value for name, value in scope.items() if value is not None},
        **own,
    }


def _found(hit: Hit) -> Record:
    record = {**_record(hit), "score": hit.confidence}
    if hit.signals:
        record["score_details"] = dict(hit.signals)
    return record


def _events(found: Memory) -> Iterator[Record]:
    changed = found.updated_at is not None and found.updated_at != found.created_at
    added = {
        "id": f"{found.id}:add",
        "memory_id": found.id,
        "old_memory": None,
        "new_memory": None if changed else found.content,
        "event": "ADD",
        "created_at": _iso(found.created_at),
        "updated_at": None,
        "is_deleted": False,
        "actor_id": found.metadata.get("actor_id"),
        "role": found.metadata.get("role"),
    }
    yield added
    if changed:
        yield {
            **added,
            "id": f"{found.id}:update",
            "new_memory": found.content,
            "event": "UPDATE",
            "updated_at": _iso(found.updated_at),
        }


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat()
