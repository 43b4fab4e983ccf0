"""Between the nouns of memory and the rows that hold them."""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum, auto
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import orjson

from cortex.foundation.canonical import JsonValue
from cortex.foundation.tenancy import Namespace
from cortex.memory.cold import compress, decompress
from cortex.memory.model import (
    Memory,
    MemoryPatch,
    Modality,
    NewMemory,
    Provenance,
    Tier,
)
from cortex.memory.ports import ChunkVector, Prepared
from cortex.memory.screening import screened
from cortex.memory.tiering import initial_heat
from cortex.memory.trust import SourceKind, allowed_trust

DEDUPE_BYTES: Final = 16
"""Bytes of SHA-256 that tell two memories of one namespace apart."""

READY: Final = "ready"
PENDING: Final = "pending"

_NOW: Final = b"now"
"""Stands in a dedupe key for the time of what came without one."""

_SPAN_DTYPE: Final = np.dtype("<i4")
_VECTOR_DTYPE: Final = np.dtype("<f2")

# Looked up, not constructed: calling an Enum class costs a microsecond a row.
_TIERS: Final = {tier.value: tier for tier in Tier}
_MODALITIES: Final = {modality.value: modality for modality in Modality}
_SOURCE_KINDS: Final = {kind.value: kind for kind in SourceKind}

SqlValue: TypeAlias = "int | float | str | bytes | None"


class RecordRow(NamedTuple):
    """One row of the view ``memory_records``, in its order of columns."""

    seq: int
    ns_id: int
    id: str
    content: str | None
    content_z: bytes | None
    author: str
    kind: str
    session_id: str | None
    agent_id: str | None
    user_id: str | None
    importance: float
    tags: str
    metadata: str
    occurred_at: float
    valid_from: float | None
    valid_to: float | None
    expires_at: float | None
    created_at: float
    updated_at: float
    accessed_at: float
    access_count: int
    heat: float
    tier: str
    modality: str
    space: str | None
    content_sha256: bytes
    dedupe: bytes | None
    written_by: str
    run_id: str | None
    source: str
    source_kind: str
    trust: float
    quarantined_at: float | None
    quarantine_reason: str
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class NewRow:
    """A memory in the form its tables take.

    Attributes:
        values: parameters of the query ``insert_memory``, by name; those that only the
            transaction knows (``ns_id``, ``space_id``) are missing.
        spare_id: id to take when the restored one is in use elsewhere.
        spans: stored form of the chunks' spans; empty while pending.
        vectors: stored form of the chunks' vectors; empty while pending.
        space: vector space name; None while pending.
        usage: (accessed_at, access_count, heat) of an imported memory.
        former: dedupe keys that releases before gave the same memory.
        aside: key for a row of someone's that stands under the key of this one, which
            is nobody's; None where that cannot be.
    """

    values: Mapping[str, SqlValue]
    spare_id: str
    spans: bytes
    vectors: bytes
    space: str | None
    usage: tuple[float, int, float] | None = None
    former: tuple[bytes, ...] = ()
    aside: bytes | None = None


def dedupe_key(item: NewMemory) -> bytes | None:
    """Return what makes two adds the same memory within a namespace.

    The caller's idempotency key if it gave one; else content, time, author, session,
    user, agent and kind of source (what the web said is not what a user said, and what
    two users said goes when one of them is forgotten). Only a message of a
    conversation that came without a time is a memory of its own each time: people do
    say "ok" twice.
    """
    if item.idempotency_key is not None:
        return keyed_dedupe(item.idempotency_key)
    if item.occurred_at is not None:
        return _said_dedupe(item, _at(item.occurred_at))
    return _said_dedupe(item, _NOW) if item.session_id is None else None


def former_keys(item: NewMemory) -> tuple[bytes, ...]:
    """Return the keys of the same memory in databases and exports of releases before.

    They told neither users and agents apart nor, at first, kinds of source: a row
    under such a key is the same memory only if it agrees in these.
    """
    if item.idempotency_key is not None:
        return ()
    if item.occurred_at is None and item.session_id is not None:
        return ()
    when = _NOW if item.occurred_at is None else _at(item.occurred_at)
    keys = []
    if item.user_id or item.agent_id:
        key = _said_dedupe(item, when, _Key.WITHOUT_OWNERS)
        keys += [key, _aside(key)]
    if item.source_kind is SourceKind.UNKNOWN:
        keys.append(_said_dedupe(item, when, _Key.WITHOUT_KINDS))
    return tuple(keys)


def _aside(key: bytes) -> bytes:
    """Return where a row goes whose former key is now another memory's."""
    return hashlib.sha256(b"aside\0" + key).digest()[:DEDUPE_BYTES]


def _aside_of(item: NewMemory, key: bytes | None) -> bytes | None:
    # A caller's key stands for whoever comes with it.
    if key is None or item.idempotency_key is not None:
        return None
    return None if item.user_id or item.agent_id else _aside(key)


def _at(occurred_at: float) -> bytes:
    return struct.pack("<d", occurred_at)


class _Key(Enum):
    """What a dedupe key is made of beside time, author, session and content."""

    WHOLE = auto()
    """The kind of source, and whose it is where it is someone's."""

    WITHOUT_OWNERS = auto()
    """The kind of source; as it was before these told memories apart."""

    WITHOUT_KINDS = auto()
    """Nothing; while memories had no kind of source yet."""


def _said_dedupe(
    said: "NewMemory | Memory", when: bytes, made: _Key = _Key.WHOLE
) -> bytes:
    """Return the dedupe key of what is said, by whom, to whom and when."""
    digest = hashlib.sha256(when)
    source_kind = (
        said.source_kind if isinstance(said, NewMemory) else said.provenance.source_kind
    )
    parts = [said.author, said.session_id or "", source_kind, said.content]
    if made is _Key.WITHOUT_KINDS:
        del parts[2]
    if made is _Key.WHOLE and (said.user_id or said.agent_id):
        parts += [said.user_id or "", said.agent_id or ""]
    for part in parts:
        encoded = part.encode()
        digest.update(struct.pack("<q", len(encoded)))
        digest.update(encoded)
    return digest.digest()[:DEDUPE_BYTES]


def renewed_dedupe(
    key: bytes | None, before: Memory, patch: MemoryPatch
) -> bytes | None:
    """Return the dedupe key of a memory that says something else now.

    One that its words made, in this release or before, is made of the new ones, so
    that the old ones are stored when they are said again. A caller's key stays.
    """
    after = replace(
        before,
        content=before.content if patch.content is None else patch.content,
        author=before.author if patch.author is None else patch.author,
    )
    for when in (_NOW, _at(before.occurred_at)):
        if any(key == _said_dedupe(before, when, made) for made in _Key):
            return _said_dedupe(after, when)
    return key


def keyed_dedupe(idempotency_key: str) -> bytes:
    """Return the dedupe key of what is stored under a caller's key."""
    key = b"key\0" + idempotency_key.encode()
    return hashlib.sha256(key).digest()[:DEDUPE_BYTES]


def restored_dedupe_key(memory_id: str) -> bytes:
    """Return the dedupe key of an import that had none of its own."""
    return hashlib.sha256(b"id\0" + memory_id.encode()).digest()[:DEDUPE_BYTES]


def new_row(
    prepared: Prepared, *, memory_id: str, now: float, writer: str = ""
) -> NewRow:
    """Return the row of a memory stored at ``now`` (epoch seconds) by ``writer``."""
    item, restored = prepared.item, prepared.restored
    content = item.content.encode()
    created_at = now
    expires_at = None if item.ttl_seconds is None else now + item.ttl_seconds
    dedupe = dedupe_key(item)
    tier, updated_at, usage = Tier.WARM, now, None
    if restored is not None:
        created_at = now if restored.created_at is None else restored.created_at
        updated_at = created_at if restored.updated_at is None else restored.updated_at
        expires_at = expires_at if restored.expires_at is None else restored.expires_at
        tier = restored.tier or tier
        if restored.dedupe is not None and restored.dedupe not in former_keys(item):
            dedupe = restored.dedupe
        if restored.access_count:
            accessed_at = restored.accessed_at or created_at
            heat = initial_heat(restored.access_count)
            usage = (accessed_at, restored.access_count, heat)
    frame = compress(item.content) if tier is Tier.COLD else None
    values: dict[str, SqlValue] = {
        "id": memory_id if restored is None else restored.id or memory_id,
        "tier": tier.value,
        "kind": item.kind,
        "session_id": item.session_id,
        "agent_id": item.agent_id,
        "user_id": item.user_id,
        "author": item.author,
        "importance": item.importance,
        "modality": item.modality.value,
        "occurred_at": now if item.occurred_at is None else item.occurred_at,
        "valid_from": item.valid_from,
        "valid_to": item.valid_to,
        "expires_at": expires_at,
        "created_at": created_at,
        "updated_at": updated_at,
        "bytes": len(frame or content),
        "content_sha256": hashlib.sha256(content).digest(),
        "dedupe": dedupe,
        "tags": dump(item.tags),
        "metadata": dump(item.metadata),
        "terms": prepared.terms,
        "content": item.content if frame is None else None,
        "content_z": frame,
        "written_by": writer,
        **_standing(prepared, now),
    }
    spans, vectors = encode_vectors(prepared.vectors or ())
    row = NewRow(values, memory_id, spans, vectors, prepared.space, usage)
    if restored is not None:
        return row
    return replace(row, former=former_keys(item), aside=_aside_of(item, dedupe))


def _standing(prepared: Prepared, now: float) -> dict[str, SqlValue]:
    """Return where a memory came from, how far it is trusted, and if it is let in.

    The last gate before the table: whatever door a memory came by, its trust is not
    above what its kind allows, and what the rules find is quarantined.
    """
    item, restored = prepared.item, prepared.restored
    since, reason = None, ""
    if restored is not None and restored.quarantined_at is not None:
        since, reason = restored.quarantined_at, restored.quarantine_reason
    else:
        reason = screened(item.source_kind, item.author, item.content)
        since = now if reason else None
    return {
        "run_id": item.run_id,
        "source": item.source,
        "source_kind": item.source_kind.value,
        "trust": allowed_trust(item.source_kind, item.trust),
        "quarantined_at": since,
        "quarantine_reason": reason,
    }


def to_memory(row: RecordRow, namespace: Namespace) -> Memory:
    """Return the memory of a row, its cold content unpacked."""
    content = row.content
    if content is None:
        content = decompress(row.content_z or b"")
    return Memory(
        id=row.id,
        namespace=namespace,
        content=content,
        author=row.author,
        kind=row.kind,
        session_id=row.session_id,
        agent_id=row.agent_id,
        user_id=row.user_id,
        importance=row.importance,
        tags=load_tags(row.tags),
        metadata=load_object(row.metadata),
        occurred_at=row.occurred_at,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        expires_at=row.expires_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        accessed_at=row.accessed_at,
        access_count=row.access_count,
        tier=_TIERS[row.tier],
        modality=_MODALITIES[row.modality],
        embedding=PENDING if row.space is None else READY,
        space=row.space,
        content_sha256=row.content_sha256.hex(),
        provenance=Provenance(
            row.written_by, row.run_id, row.source, _SOURCE_KINDS[row.source_kind]
        ),
        trust=row.trust,
        quarantined_at=row.quarantined_at,
        quarantine_reason=row.quarantine_reason,
    )


def dump(value: object) -> str:
    """Return a value as compact JSON text."""
    return orjson.dumps(value).decode()


def load_tags(text: str) -> tuple[str, ...]:
    """Return the tags of their stored form."""
    return () if text == "[]" else tuple(orjson.loads(text))


def load_object(text: str) -> dict[str, JsonValue]:
    """Return the JSON object of its stored form."""
    if text == "{}":
        return {}
    loaded: dict[str, JsonValue] = orjson.loads(text)
    return loaded


def encode_vectors(chunks: Sequence[ChunkVector]) -> tuple[bytes, bytes]:
    """Return (spans, vectors): int32 pairs and float16 rows, little-endian."""
    if not chunks:
        return b"", b""
    if len(chunks) == 1:
        (chunk,) = chunks
        spans = struct.pack("<ii", chunk.start, chunk.end)
        return spans, chunk.vector.astype(_VECTOR_DTYPE).tobytes()
    pairs = np.array([(c.start, c.end) for c in chunks], dtype=_SPAN_DTYPE)
    matrix = np.stack([c.vector for c in chunks])
    return pairs.tobytes(), matrix.astype(_VECTOR_DTYPE).tobytes()


def decode_spans(spans: bytes | None) -> tuple[tuple[int, int], ...]:
    """Return the (start, end) pairs that `encode_vectors` stored."""
    if not spans:
        return ()
    return tuple(struct.iter_unpack("<ii", spans))


def patched(row: RecordRow, patch: MemoryPatch, now: float) -> dict[str, SqlValue]:
    """Return the parameters of ``update_memory`` for a row and a patch, and its id.

    A new time to live counts from ``now``.
    """
    values: dict[str, SqlValue] = {
        "id": row.id,
        "kind": row.kind,
        "author": row.author,
        "user_id": row.user_id,
        "agent_id": row.agent_id,
        "run_id": row.run_id,
        "source": row.source,
        "content_sha256": row.content_sha256,
        "dedupe": row.dedupe,
        "importance": row.importance,
        "tags": row.tags,
        "metadata": row.metadata,
        "valid_from": row.valid_from,
        "valid_to": row.valid_to,
        "expires_at": row.expires_at,
        "updated_at": now,
    }
    plain = ("kind", "author", "importance", "valid_from", "valid_to")
    changed = {name: getattr(patch, name) for name in plain}
    values.update({name: value for name, value in changed.items() if value is not None})
    if patch.tags is not None:
        values["tags"] = dump(patch.tags)
    if patch.metadata is not None:
        values["metadata"] = dump(patch.metadata)
    if patch.ttl_seconds is not None:
        values["expires_at"] = now + patch.ttl_seconds
    return values


def patched_fields(patch: MemoryPatch) -> tuple[str, ...]:
    """Return the names of the fields that a patch changes."""
    names = (field.name for field in fields(patch))
    return tuple(name for name in names if getattr(patch, name) is not None)
