"""What of a memory is sealed before it is stored, and how it is opened again.

A sealed row holds ciphertext where its words were: the content, the private fields
together in ``sealed``, the terms and the vectors. What SQL compares for equality
(author, tags and such) is kept as a keyed hash of the tenant's, so that lists can still
select by it. Times, sizes, kinds, tiers and the ids of rows and conversations stay as
they are. Without a seal nothing is changed.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import orjson

from cortex.memory.ports import ProjectedRow
from cortex.memory.rows import RecordRow, SqlValue
from cortex.storage.sqlite import Connection

BLIND_CHARACTERS: Final = 32
"""Hexadecimal digits of a keyed hash: 128 bits, so that no two texts share one."""

DEDUPE_BYTES: Final = 16

_TEXTS: Final = ("author", "user_id", "agent_id", "run_id", "source")
_PLAIN: Final = b"\0"
_FRAME: Final = b"\1"
_PROJECTED: Final = len(ProjectedRow._fields)


class Seal(Protocol):
    """One tenant's keys, for the length of one unit or query."""

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Return ciphertext that opens in this context only."""
        ...

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return what was sealed; raises ``DecryptionFailed``."""
        ...

    def blind(self, plain: bytes) -> bytes:
        """Return a keyed hash of 32 bytes, the same each time."""
        ...


class Seals(Protocol):
    """Finds a tenant's keys in the database that a unit or query runs in."""

    def reading(self, connection: Connection, tenant: str) -> Seal | None:
        """Return the seal for a query; None where nothing is sealed."""
        ...

    def writing(self, connection: Connection, tenant: str) -> Seal | None:
        """Return the seal for a unit, its key made in the same transaction."""
        ...


class NoSeals:
    """Leaves everything as it is."""

    def reading(self, connection: Connection, tenant: str) -> None:
        """Return no seal."""

    def writing(self, connection: Connection, tenant: str) -> None:
        """Return no seal."""


def sealed_row(seal: Seal | None, values: Mapping[str, SqlValue]) -> dict[str, Any]:
    """Return the parameters of ``insert_memory`` as they are stored."""
    if seal is None:
        return {**values, "sealed": None}
    memory_id = str(values["id"])
    return {
        **values,
        **sealed_fields(seal, memory_id, values),
        **_sealed_content(seal, memory_id, values),
    }


def sealed_fields(
    seal: Seal | None, memory_id: str, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the private fields of a row as they are stored."""
    if seal is None:
        return {"sealed": None}
    digest, dedupe = values["content_sha256"], values["dedupe"]
    private = {name: values[name] for name in (*_TEXTS, "tags", "metadata")}
    private["sha256"] = digest.hex()
    private["dedupe"] = None if dedupe is None else dedupe.hex()
    tags = [_blind(seal, tag) for tag in orjson.loads(values["tags"])]
    return {
        **{name: _blind(seal, values[name]) for name in _TEXTS},
        "tags": orjson.dumps(tags).decode(),
        "metadata": "{}",
        "content_sha256": seal.blind(digest),
        "dedupe": blinded_key(seal, dedupe),
        "sealed": seal.seal(orjson.dumps(private), _place(memory_id, b"fields")),
    }


def _sealed_content(
    seal: Seal, memory_id: str, values: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "terms": seal.seal(values["terms"], _place(memory_id, b"terms")),
        **sealed_words(seal, memory_id, values["content"], values["content_z"]),
    }


def sealed_words(
    seal: Seal | None, memory_id: str, content: str | None, frame: bytes | None
) -> dict[str, Any]:
    """Return plain or compressed content as it is stored."""
    if seal is None:
        return {"content": content, "content_z": frame}
    plain = _PLAIN + (content or "").encode() if frame is None else _FRAME + frame
    place = _place(memory_id, b"content")
    return {"content": None, "content_z": seal.seal(plain, place)}


def opened_words(
    seal: Seal | None, memory_id: str, content: str | None, frame: bytes | None
) -> tuple[str | None, bytes | None]:
    """Return plain content or its compressed frame; the other is None."""
    if seal is None or frame is None:
        return content, frame
    plain = seal.open(frame, _place(memory_id, b"content"))
    if plain.startswith(_FRAME):
        return None, plain[1:]
    return plain[1:].decode(), None


def opened_record(seal: Seal | None, row: RecordRow) -> RecordRow:
    """Return a row with its words."""
    if seal is None or row.sealed is None:
        return row
    private = _opened_fields(seal, row.id, row.sealed)
    content, frame = opened_words(seal, row.id, row.content, row.content_z)
    dedupe = private["dedupe"]
    return row._replace(
        content=content,
        content_z=frame,
        tags=private["tags"],
        metadata=private["metadata"],
        content_sha256=bytes.fromhex(private["sha256"]),
        dedupe=None if dedupe is None else bytes.fromhex(dedupe),
        sealed=None,
        **{name: private[name] for name in _TEXTS},
    )


def opened_digest(seal: Seal | None, memory_id: str, row: tuple[Any, Any]) -> str:
    """Return the SHA-256 of a content; ``row`` is (stored digest, sealed fields)."""
    digest, sealed = row
    if seal is None or sealed is None:
        return str(digest.hex())
    return str(_opened_fields(seal, memory_id, sealed)["sha256"])


def opened_projection(seal: Seal | None, row: tuple[Any, ...]) -> ProjectedRow:
    """Return what a shard keeps of a row; the id and the sealed fields come last."""
    shown = ProjectedRow._make(row[:_PROJECTED])
    memory_id, sealed = row[_PROJECTED:]
    if seal is None or sealed is None:
        return shown
    private = _opened_fields(seal, memory_id, sealed)
    return shown._replace(
        author=private["author"],
        user_id=private["user_id"],
        agent_id=private["agent_id"],
        tags=private["tags"],
        metadata=private["metadata"],
        terms=seal.open(shown.terms, _place(memory_id, b"terms")),
        vectors=opened_vectors(seal, shown.seq, shown.vectors),
    )


def sealed_vectors(seal: Seal | None, seq: int, vectors: bytes) -> bytes:
    """Return a row's vectors as they are stored."""
    return vectors if seal is None else seal.seal(vectors, b"vectors/%d" % seq)


def opened_vectors(seal: Seal, seq: int, vectors: bytes | None) -> bytes | None:
    """Return a row's vectors; None while there are none."""
    return None if vectors is None else seal.open(vectors, b"vectors/%d" % seq)


def blinded(seal: Seal | None, values: Mapping[str, SqlValue]) -> dict[str, SqlValue]:
    """Return the parameters of a listing as stored rows compare to them."""
    if seal is None:
        return dict(values)
    found = {**values}
    for name in (*_TEXTS, "tag"):
        found[name] = _blind(seal, values[name])
    dedupe = values.get("dedupe")
    if isinstance(dedupe, bytes):
        found["dedupe"] = blinded_key(seal, dedupe)
    return found


def blinded_text(seal: Seal | None, text: str | None) -> str | None:
    """Return a name as stored rows compare to it."""
    return text if seal is None or not text else str(_blind(seal, text))


def blinded_key(seal: Seal | None, dedupe: bytes | None) -> bytes | None:
    """Return a dedupe key as stored rows compare to it."""
    if seal is None or dedupe is None:
        return dedupe
    return seal.blind(dedupe)[:DEDUPE_BYTES]


def blinded_digest(seal: Seal | None, digest: bytes) -> bytes:
    """Return a content's SHA-256 as stored rows compare to it."""
    return digest if seal is None else seal.blind(digest)


def sealed_session(
    seal: Seal | None, session_id: str, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a conversation's private fields as they are stored.

    ``values`` are ``title``, ``user_id``, ``agent_id`` and ``metadata`` (JSON text).
    """
    if seal is None:
        return {**values, "sealed": None}
    private = orjson.dumps(dict(values))
    return {
        "title": "",
        "user_id": _blind(seal, values["user_id"]),
        "agent_id": _blind(seal, values["agent_id"]),
        "metadata": "{}",
        "sealed": seal.seal(private, b"sessions/" + session_id.encode()),
    }


def opened_session(
    seal: Seal | None, session_id: str, sealed: bytes | None
) -> dict[str, Any]:
    """Return a conversation's private fields; empty where they are not sealed."""
    if seal is None or sealed is None:
        return {}
    opened = seal.open(sealed, b"sessions/" + session_id.encode())
    fields: dict[str, Any] = orjson.loads(opened)
    return fields


def opening(seal: Seal | None) -> Callable[[tuple[Any, ...]], RecordRow]:
    """Return what makes records of rows."""
    if seal is None:
        return RecordRow._make
    return lambda row: opened_record(seal, RecordRow._make(row))


def _opened_fields(seal: Seal, memory_id: str, sealed: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = orjson.loads(
        seal.open(sealed, _place(memory_id, b"fields"))
    )
    return fields


def _place(memory_id: str, part: bytes) -> bytes:
    return b"memories/" + memory_id.encode() + b"/" + part


def _blind(seal: Seal, text: Any) -> Any:
    """Return a keyed hash in the place of a text; none for None or nothing."""
    if not text:
        return text
    return seal.blind(str(text).encode()).hex()[:BLIND_CHARACTERS]
