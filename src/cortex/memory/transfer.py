"""Memories as JSON lines: an export that streams, and the reading of an import.

One object a line. An exported line has every field of the memory (not its vectors:
they belong to a model) and ``row``, by which an export that broke off is resumed. An
imported line needs ``content`` alone; a broken one is answered with its number, the
field and the reason, and harms no other.

A line says where it came from, and that is kept; who wrote it here is whoever imports
it, and its trust is never above what an import is allowed. A quarantine travels along.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import ValidationError
from cortex.foundation.limits import (
    CONTENT_CHARACTERS_MAX,
    IMPORT_LINE_BYTES_MAX,
    JSON_DEPTH_MAX,
    JSON_INTEGER_MAX,
    MEMORY_TTL_SECONDS_MAX,
    METADATA_BYTES_MAX,
    MOMENT_MAX,
    MOMENT_MIN,
    NAME_CHARACTERS_MAX,
    TAG_CHARACTERS_MAX,
    TAGS_MAX,
)
from cortex.foundation.tenancy import Namespace
from cortex.memory.model import Modality, NewMemory, Session, Tier
from cortex.memory.ports import Exported, MemoryStore, Restored
from cortex.memory.rows import DEDUPE_BYTES, restored_dedupe_key
from cortex.memory.sessions import NewSession, Sessions
from cortex.memory.trust import SOURCE_CHARACTERS_MAX, SourceKind, imported_trust

EXPORT_ROWS: Final = 200
"""Memories read at once: bounds an export at about 20 MB of the longest contents."""

KEY_CHARACTERS_MAX: Final = NAME_CHARACTERS_MAX
"""Characters of an idempotency key, as everywhere."""

IMPORTED: Final = "quarantined where it was exported"
"""Reason of an imported quarantine whose line gives none."""

_TIMES: Final = ("occurred_at", "valid_from", "valid_to", "expires_at")
_PAST_TIMES: Final = ("created_at", "updated_at", "accessed_at")
_MAY_BE_EMPTY: Final = frozenset(
    {"author", "content", "source", "title", "quarantine_reason"}
)
_NAMES: Final = ("author", "kind", "session_id", "agent_id", "user_id", "namespace")
_KNOWN: Final = frozenset(
    (
        *_TIMES,
        *_PAST_TIMES,
        *_NAMES,
        "type",
        "row",
        "id",
        "content",
        "importance",
        "tags",
        "metadata",
        "ttl_seconds",
        "modality",
        "idempotency_key",
        "access_count",
        "tier",
        "dedupe",
        "content_sha256",
        "embedding",
        "space",
        "run_id",
        "source",
        "source_kind",
        "trust",
        "written_by",
        "quarantined_at",
        "quarantine_reason",
    )
)
_SESSION_KNOWN: Final = frozenset(
    (
        "type",
        "id",
        "title",
        "user_id",
        "agent_id",
        "metadata",
        "created_at",
        "updated_at",
        "message_count",
        "namespace",
    )
)


@dataclass(frozen=True, slots=True)
class ImportedMemory:
    """A good line; ``namespace`` is what it names, for the caller to authorize."""

    line: int
    item: NewMemory
    restored: Restored | None
    namespace: str | None


@dataclass(frozen=True, slots=True)
class ImportedSession:
    """A line that holds a conversation's record."""

    line: int
    session: NewSession
    namespace: str | None


@dataclass(frozen=True, slots=True)
class LineError:
    """A line that was not taken; lines count from 1."""

    line: int
    field: str
    reason: str


async def export_lines(
    store: MemoryStore,
    sessions: Sessions,
    ns: Namespace,
    *,
    after: int = 0,
    quarantined: bool = False,
) -> AsyncIterator[bytes]:
    """Yield the lines of a namespace, conversations first, each with its newline.

    ``after`` is the ``row`` of the last line received, to resume; 0 for all. Memory
    use is bounded by `EXPORT_ROWS`. Quarantined memories are left out unless asked for.
    """
    if not after:
        last = ""
        while page := await sessions.list(ns, after=last, limit=EXPORT_ROWS):
            for session in page:
                yield _session_line(session)
            last = page[-1].id
    while rows := await store.exported(
        ns, after=after, limit=EXPORT_ROWS, quarantined=quarantined
    ):
        for one in rows:
            yield _memory_line(one)
        after = rows[-1].seq


def parse_line(raw: bytes, line: int) -> ImportedMemory | ImportedSession | LineError:
    """Read one line of an import; ``line`` is its number, for errors."""
    try:
        record = _record(raw)
        if record.get("type") == "session":
            _refuse_unknown(record, _SESSION_KNOWN)
            return ImportedSession(line, _new_session(record), _namespace(record))
        _refuse_unknown(record, _KNOWN)
        return ImportedMemory(
            line, _new_memory(record), _restored(record), _namespace(record)
        )
    except ValidationError as error:
        return LineError(line, str(error.data.get("field", "line")), error.message)


def _memory_line(one: Exported) -> bytes:
    memory = one.memory
    record: dict[str, JsonValue] = {
        "type": "memory",
        "row": one.seq,
        "id": memory.id,
        "content": memory.content,
        "author": memory.author,
        "kind": memory.kind,
        "session_id": memory.session_id,
        "agent_id": memory.agent_id,
        "user_id": memory.user_id,
        "importance": memory.importance,
        "tags": list(memory.tags),
        "metadata": dict(memory.metadata),
        "occurred_at": memory.occurred_at,
        "valid_from": memory.valid_from,
        "valid_to": memory.valid_to,
        "expires_at": memory.expires_at,
        "created_at": memory.created_at,
        "updated_at": memory.updated_at,
        "accessed_at": memory.accessed_at,
        "access_count": memory.access_count,
        "tier": memory.tier.value,
        "modality": memory.modality.value,
        "content_sha256": memory.content_sha256,
        "dedupe": None if one.dedupe is None else one.dedupe.hex(),
        "written_by": memory.provenance.written_by,
        "run_id": memory.provenance.run_id,
        "source": memory.provenance.source,
        "source_kind": memory.provenance.source_kind.value,
        "trust": memory.trust,
        "quarantined_at": memory.quarantined_at,
        "quarantine_reason": memory.quarantine_reason,
    }
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def _session_line(session: Session) -> bytes:
    record: dict[str, JsonValue] = {
        "type": "session",
        "id": session.id,
        "title": session.title,
        "user_id": session.user_id,
        "agent_id": session.agent_id,
        "metadata": dict(session.metadata),
        "created_at": session.created_at,
        "updated_at": session.updated_at,
        "message_count": session.message_count,
    }
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def _record(raw: bytes) -> Mapping[str, Any]:
    if len(raw) > IMPORT_LINE_BYTES_MAX:
        raise _wrong("line", f"is longer than {IMPORT_LINE_BYTES_MAX} bytes")
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _wrong("line", f"is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise _wrong("line", "must be a JSON object")
    return record


def _new_memory(record: Mapping[str, Any]) -> NewMemory:
    times = {name: _time(record, name) for name in _TIMES[:3]}
    start, end = times["valid_from"], times["valid_to"]
    if start is not None and end is not None and end < start:
        raise _wrong("valid_to", "must not be before valid_from")
    importance = _number(record, "importance")
    kind = _choice(record, "source_kind", SourceKind) or SourceKind.IMPORT
    trust = _number(record, "trust")
    return NewMemory(
        content=_content(record),
        author=_name(record, "author") or "",
        kind=_name(record, "kind") or "message",
        session_id=_name(record, "session_id"),
        agent_id=_name(record, "agent_id"),
        user_id=_name(record, "user_id"),
        importance=0.5 if importance is None else _unit(importance, "importance"),
        tags=_tags(record),
        metadata=_metadata(record),
        occurred_at=times["occurred_at"],
        valid_from=times["valid_from"],
        valid_to=times["valid_to"],
        ttl_seconds=_positive(record, "ttl_seconds"),
        modality=_choice(record, "modality", Modality) or Modality.TEXT,
        idempotency_key=_text(record, "idempotency_key", KEY_CHARACTERS_MAX),
        run_id=_text(record, "run_id", SOURCE_CHARACTERS_MAX),
        source=_text(record, "source", SOURCE_CHARACTERS_MAX) or "",
        source_kind=kind,
        trust=imported_trust(kind, None if trust is None else _unit(trust, "trust")),
    )


def _restored(record: Mapping[str, Any]) -> Restored | None:
    """Return the past of an exported line; a line without one begins anew."""
    memory_id = _id(record)
    tier = _choice(record, "tier", Tier)
    since = _time(record, "quarantined_at")
    reason = _text(record, "quarantine_reason", SOURCE_CHARACTERS_MAX) or IMPORTED
    if memory_id is None:
        if since is None:
            return None
        return Restored(quarantined_at=since, quarantine_reason=reason)
    count = record.get("access_count")
    if count is not None and not (
        type(count) is int and 0 <= count <= JSON_INTEGER_MAX
    ):
        message = f"must be a whole number from 0 to {JSON_INTEGER_MAX}"
        raise _wrong("access_count", message)
    times = {name: _time(record, name) for name in (*_PAST_TIMES, "expires_at")}
    dedupe = _dedupe(record)
    if dedupe is None and "dedupe" in record:
        # It was a memory of its own whatever it says; its id stands for it.
        dedupe = restored_dedupe_key(memory_id)
    return Restored(
        id=memory_id,
        dedupe=dedupe,
        tier=tier,
        created_at=times["created_at"],
        updated_at=times["updated_at"],
        accessed_at=times["accessed_at"],
        access_count=count or 0,
        expires_at=times["expires_at"],
        quarantined_at=since,
        quarantine_reason="" if since is None else reason,
    )


def _new_session(record: Mapping[str, Any]) -> NewSession:
    return NewSession(
        id=_id(record),
        title=_text(record, "title", NAME_CHARACTERS_MAX) or "",
        user_id=_name(record, "user_id"),
        agent_id=_name(record, "agent_id"),
        metadata=_metadata(record),
        created_at=_time(record, "created_at"),
    )


def _refuse_unknown(record: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in record:
        if name not in known:
            raise _wrong(name[:NAME_CHARACTERS_MAX], "is not a known field")


def _content(record: Mapping[str, Any]) -> str:
    content = _text(record, "content", CONTENT_CHARACTERS_MAX)
    if not content or not content.strip():
        raise _wrong("content", "is required and must not be empty")
    return content


def _text(record: Mapping[str, Any], name: str, limit: int) -> str | None:
    value = record.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _wrong(name, "must be a text")
    if len(value) > limit:
        raise _wrong(name, f"is longer than {limit} characters")
    if "\0" in value:
        raise _wrong(name, "must not hold NUL characters")
    if name != "content" and any(c < " " or c == "\x7f" for c in value):
        raise _wrong(name, "must not hold control characters")
    if not value and name not in _MAY_BE_EMPTY:
        raise _wrong(name, "must not be empty")
    return value


def _name(record: Mapping[str, Any], name: str) -> str | None:
    return _text(record, name, NAME_CHARACTERS_MAX)


def _id(record: Mapping[str, Any]) -> str | None:
    """Read an id; an empty one could be neither listed nor asked for."""
    return _name(record, "id")


def _namespace(record: Mapping[str, Any]) -> str | None:
    return _name(record, "namespace")


def _number(record: Mapping[str, Any], name: str) -> float | None:
    value = record.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name, "must be a number")
    return float(value)


def _unit(value: float, name: str) -> float:
    if not 0 <= value <= 1:
        raise _wrong(name, "must be from 0 to 1")
    return value


def _positive(record: Mapping[str, Any], name: str) -> float | None:
    value = _number(record, name)
    if value is not None and not 0 < value <= MEMORY_TTL_SECONDS_MAX:
        raise _wrong(name, f"must be above 0 and at most {MEMORY_TTL_SECONDS_MAX}")
    return value


def _time(record: Mapping[str, Any], name: str) -> float | None:
    """Read epoch seconds, or an ISO 8601 time; without a zone it is UTC."""
    value = record.get(name)
    if not isinstance(value, str):
        return _bounded_time(_number(record, name), name)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise _wrong(name, "must be epoch seconds or an ISO 8601 time") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _bounded_time(moment.timestamp(), name)


def _bounded_time(value: float | None, name: str) -> float | None:
    if value is not None and not MOMENT_MIN <= value <= MOMENT_MAX:
        raise _wrong(name, "must lie between the years 1 and 9999")
    return value


def _tags(record: Mapping[str, Any]) -> tuple[str, ...]:
    tags = record.get("tags")
    if tags is None:
        return ()
    if not isinstance(tags, list) or len(tags) > TAGS_MAX:
        raise _wrong("tags", f"must be a list of {TAGS_MAX} texts at most")
    for tag in tags:
        if not isinstance(tag, str) or not 0 < len(tag) <= TAG_CHARACTERS_MAX:
            limit = TAG_CHARACTERS_MAX
            raise _wrong("tags", f"must hold texts of 1 to {limit} characters")
        if any(c < " " or c == "\x7f" for c in tag):
            raise _wrong("tags", "must not hold control characters")
    return tuple(tags)


def _metadata(record: Mapping[str, Any]) -> dict[str, JsonValue]:
    metadata = record.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise _wrong("metadata", "must be an object")
    if _widest(metadata) > JSON_INTEGER_MAX:
        raise _wrong("metadata", f"must not hold integers beyond ±{JSON_INTEGER_MAX}")
    if _depth(metadata) > JSON_DEPTH_MAX:
        raise _wrong("metadata", f"is nested deeper than {JSON_DEPTH_MAX} levels")
    if len(orjson.dumps(metadata)) > METADATA_BYTES_MAX:
        raise _wrong("metadata", f"is longer than {METADATA_BYTES_MAX} bytes")
    return metadata


def _widest(value: object) -> int:
    """Return the greatest absolute value of the integers in a JSON value."""
    widest, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, int):
            widest = max(widest, abs(one))
    return widest


def _depth(value: object) -> int:
    """Return how deep a JSON value is nested, without recursion."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        current, depth = waiting.pop()
        deepest = max(deepest, depth)
        inner: list[object] = []
        if isinstance(current, dict):
            inner = list(current.values())
        elif isinstance(current, list):
            inner = current
        waiting.extend((one, depth + 1) for one in inner)
    return deepest


def _choice(record: Mapping[str, Any], name: str, known: Any) -> Any:
    value = record.get(name)
    if value is None:
        return None
    allowed = [one.value for one in known]
    if value not in allowed:
        raise _wrong(name, f"must be one of {', '.join(allowed)}")
    return known(value)


def _dedupe(record: Mapping[str, Any]) -> bytes | None:
    text = record.get("dedupe")
    if text is None:
        return None
    try:
        key = bytes.fromhex(text)
    except (TypeError, ValueError):
        key = b""
    if len(key) != DEDUPE_BYTES:
        raise _wrong("dedupe", f"must be {2 * DEDUPE_BYTES} hexadecimal digits")
    return key


def _wrong(field: str, reason: str) -> ValidationError:
    return ValidationError(reason, field=field)
