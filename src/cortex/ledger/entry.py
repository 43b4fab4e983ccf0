"""What one leaf of the log is, byte for byte (pure).

A leaf is canonical JSON (RFC 8785) of two members::

    {"chain":{"index":7,"prev":"…","time":"2026-01-02T03:04:05.000006Z","v":1},
     "event":{"actor":…,"correlation_id":…,"data":…,"id":…,"kind":…,"subject":…,
              "tenant":…}}

``prev`` is the leaf hash of the entry before, so that a local edit shows at once
without a tree. The bytes are stored and hashed as they are; nothing is ever
serialized anew.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import gmtime
from typing import Any

import orjson

from cortex.foundation.canonical import JsonValue, canonical_json, sha256_hex
from cortex.foundation.errors import ValidationError
from cortex.ledger.merkle import leaf_hash
from cortex.ledger.model import AGENT_CALL, AgentCall, Outcome, SystemEvent
from cortex.ledger.tiles import ENTRY_BYTES_MAX

FORMAT_VERSION = 1
NO_PREVIOUS = "0" * 64
"""The ``prev`` of the first entry."""

CHAIN_BYTES = 200
"""Bytes kept free for the chain member when deciding whether a body is too long."""

NESTED_MAX = 128
"""Lists and objects within one another: a verifier of any stack depth reads that."""

TIME_CHARACTERS = 27

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS = 1_000_000
_INTEGER_MAX = 2**53 - 1
_FLOAT_PLAIN_MIN = 1e-4
_FLOAT_PLAIN_MAX = 1e15
_DEPTH_MAX = 64
_CALL_KEPT = ("agent", "latency_ms", "method", "outcome", "run_id", "sealed")
_PLAIN_KINDS = frozenset((str, bool, type(None)))
_OUTCOMES = frozenset(Outcome)
_EVENT_MEMBERS = frozenset(
    ("actor", "correlation_id", "data", "id", "kind", "subject", "tenant")
)


@dataclass(frozen=True, slots=True)
class Commitments:
    """What an entry says of content that is kept encrypted elsewhere.

    Attributes:
        key: number of the subject's key.
        sha256: hash of the ciphertext, which also names it.
        fields: for each field a salted commitment, hexadecimal.
    """

    key: int
    sha256: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry that has no place in the log yet.

    Attributes:
        event: canonical bytes of the ``event`` member.
        indexed: what searches go by: id, tenant, kind, run, correlation, agent,
            outcome and latency, None where there is none.
        blobs: bodies kept beside the log, by SHA-256.
    """

    event: bytes
    indexed: tuple[str, str, str, *tuple[str | float | None, ...]]
    blobs: tuple[tuple[str, bytes], ...] = ()

    @property
    def id(self) -> str:
        """Return the entry's id."""
        return self.indexed[0]

    @property
    def tenant(self) -> str:
        """Return whose it is."""
        return self.indexed[1]


@dataclass(frozen=True, slots=True)
class Entry:
    """A parsed leaf.

    Attributes:
        index: place in the log.
        prev: leaf hash of the entry before, hexadecimal.
        time: when it was recorded.
        event: the rest.
    """

    index: int
    prev: str
    time: str
    event: Mapping[str, Any]


def canonical_bytes(value: JsonValue, free: Sequence[JsonValue] | None = None) -> bytes:
    """Return canonical JSON; values of the common kind take a fast path.

    Args:
        value: what to write.
        free: the parts of it that a caller gave; what is beside them is text, with
            keys in ASCII. None: all of it.

    Raises:
        ValidationError: the value has no canonical form.
    """
    parts = (value,) if free is None else free
    if all(_is_plain(part, _DEPTH_MAX) for part in parts):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except TypeError as error:
            message = f"this value has no JSON form: {error}"
            raise ValidationError(message, field="body") from error
    if not _is_flat(parts):
        message = f"values are nested {NESTED_MAX} deep at most"
        raise ValidationError(message, field="body", limit=NESTED_MAX)
    return canonical_json(value)


def is_canonical(data: bytes) -> bool:
    """Return whether bytes are JSON in its one canonical spelling."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    if orjson.dumps(value, option=orjson.OPT_SORT_KEYS) == data:
        return True
    # What differs may still be canonical: numbers of extreme size, keys beyond ASCII.
    try:
        exact = json.loads(data, parse_int=_parse_integer, parse_constant=_refuse)
        return canonical_json(exact) == data
    except (ValidationError, ValueError, RecursionError):
        return False


def time_text(microseconds: int) -> str:
    """Return epoch microseconds as RFC 3339 text in UTC of fixed length."""
    seconds, rest = divmod(microseconds, _MICROSECONDS)
    year, month, day, hour, minute, second = gmtime(seconds)[:6]
    date = f"{year:04}-{month:02}-{day:02}"
    return f"{date}T{hour:02}:{minute:02}:{second:02}.{rest:06}Z"


def time_microseconds(text: str) -> int:
    """Return epoch microseconds of such a text.

    Raises:
        ValueError: the text is not such a time.
    """
    passed = datetime.fromisoformat(text) - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * _MICROSECONDS + passed.microseconds


def call_draft(
    call: AgentCall, entry_id: str, commitments: Commitments, ciphertext: bytes
) -> Draft:
    """Return the entry of an agent call; its content is only committed to."""
    outcome = call.outcome.value
    confidence, latency = _whole(call.parse_confidence), _whole(call.latency_ms)
    refs, decisions = list(call.context_refs), list(call.policy_decisions)
    usage = None if call.usage is None else dict(call.usage)
    data: dict[str, JsonValue] = {
        "agent": call.agent_name,
        "context_refs": refs,
        "latency_ms": latency,
        "method": call.method_name,
        "model": call.model_name,
        "outcome": outcome,
        "parse": {
            "confidence": confidence,
            "ok": call.parse_ok,
            "strategy": call.parse_strategy,
        },
        "policy_decisions": decisions,
        "provider": call.provider_name,
        "run_id": call.run_id,
        "sealed": {
            "commitments": dict(commitments.fields),
            "key": commitments.key,
            "sha256": commitments.sha256,
        },
        "usage": usage,
    }
    header = _header(entry_id, AGENT_CALL, call.correlation_id, call.actor, call.tenant)
    free = (refs, latency, decisions, usage, confidence)
    event, blobs = _event(header, data, kept=_CALL_KEPT, free=free)
    indexed = (
        entry_id,
        call.tenant,
        AGENT_CALL,
        call.run_id or None,
        call.correlation_id or None,
        call.agent_name or None,
        outcome,
        call.latency_ms,
    )
    return Draft(event, indexed, (*blobs, (commitments.sha256, ciphertext)))


def event_draft(event: SystemEvent) -> Draft:
    """Return the entry of a system event."""
    header = _header(
        event.id, event.kind, event.correlation_id, event.actor, event.tenant
    )
    header["subject"] = event.subject
    data = dict(event.data)
    encoded, blobs = _event(header, data)
    run_id, agent, outcome = (data.get(k) for k in ("run_id", "agent", "outcome"))
    indexed = (
        event.id,
        event.tenant,
        event.kind,
        run_id if isinstance(run_id, str) and run_id else None,
        event.correlation_id or None,
        agent if isinstance(agent, str) and agent else None,
        outcome if isinstance(outcome, str) and outcome in _OUTCOMES else None,
        None,
    )
    return Draft(encoded, indexed, blobs)


def chain_prefix(index: int, prev: str) -> bytes:
    """Return how a leaf at this place must begin, up to its time."""
    return b'{"chain":{"index":%d,"prev":"%b","time":"' % (index, prev.encode())


CHAIN_END = b'","v":%d},"event":' % FORMAT_VERSION
"""What stands between the time and the event of a leaf."""


def leaf_bytes(index: int, prev: str, time: str, event: bytes) -> bytes:
    """Return the leaf, given the canonical bytes of its event."""
    return chain_prefix(index, prev) + time.encode() + CHAIN_END + event + b"}"


def parse_leaf(data: bytes) -> Entry:
    """Read a leaf.

    Raises:
        ValidationError: it is not a canonical entry of a known version.
    """
    if not is_canonical(data):
        raise ValidationError("an entry is canonical JSON", field="entry")
    leaf = orjson.loads(data)
    try:
        chain, event = leaf["chain"], leaf["event"]
        entry = Entry(chain["index"], chain["prev"], chain["time"], event)
        time_microseconds(entry.time)
        start = chain_prefix(entry.index, entry.prev)
        known = data.startswith(start + entry.time.encode() + CHAIN_END)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"an entry lacks a member: {error}"
        raise ValidationError(message, field="entry") from error
    if not known or not isinstance(event, dict) or set(event) != _EVENT_MEMBERS:
        raise ValidationError("an entry has other members", field="entry")
    return entry


def entry_hash(data: bytes) -> str:
    """Return the leaf hash as the next entry's ``prev`` and as receipts name it."""
    return leaf_hash(data).hex()


def _parse_integer(text: str) -> int | float:
    """Read digits as the number JSON means: beyond 2**53 that is a double."""
    number = int(text)
    return number if abs(number) <= _INTEGER_MAX else float(text)


def _refuse(text: str) -> object:
    message = f"{text} is no JSON"
    raise ValueError(message)


def _whole(value: float | None) -> float | int | None:
    """Return a whole number as an integer: JSON has one spelling for both."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _INTEGER_MAX:
        return int(value)
    return value


def _header(
    entry_id: str, kind: str, correlation_id: str, actor: str, tenant: str
) -> dict[str, JsonValue]:
    return {
        "actor": actor,
        "correlation_id": correlation_id,
        "id": entry_id,
        "kind": kind,
        "subject": "",
        "tenant": tenant,
    }


def _event(
    header: dict[str, JsonValue],
    data: dict[str, JsonValue],
    kept: tuple[str, ...] = (),
    free: Sequence[JsonValue] | None = None,
) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    """Return the event's bytes; long data moves to a blob but for what is ``kept``."""
    event = canonical_bytes({**header, "data": data}, [data] if free is None else free)
    if len(event) + CHAIN_BYTES <= ENTRY_BYTES_MAX:
        return event, ()
    body = canonical_bytes(data)
    name = sha256_hex(body)
    reference: dict[str, JsonValue] = {key: data[key] for key in kept if key in data}
    reference["blob"] = {"bytes": len(body), "sha256": name}
    event = canonical_bytes({**header, "data": reference})
    if len(event) + CHAIN_BYTES > ENTRY_BYTES_MAX:
        message = "the ids and names of an entry are too long"
        raise ValidationError(message, field="entry", limit=ENTRY_BYTES_MAX)
    return event, ((name, body),)


def _is_plain(value: object, depth: int) -> bool:
    """Return whether a plain sorted dump of the value is its canonical form.

    That holds for ASCII keys, safe integers and fractions of a middling size; text is
    escaped alike. The rest goes the slow way.
    """
    kind = type(value)
    if kind in _PLAIN_KINDS:
        return True
    if kind is int:
        return -_INTEGER_MAX <= value <= _INTEGER_MAX  # type: ignore[operator]
    if kind is float:
        return _is_plain_float(value)  # type: ignore[arg-type]
    if kind is dict and depth:
        return _are_plain_keys(value) and _are_plain(value.values(), depth - 1)  # type: ignore[attr-defined, arg-type]
    return kind is list and depth > 0 and _are_plain(value, depth - 1)  # type: ignore[arg-type]


def _are_plain(values: Iterable[object], depth: int) -> bool:
    for value in values:
        if type(value) is not str and not _is_plain(value, depth):
            return False
    return True


def _is_flat(values: Sequence[object]) -> bool:
    """Return whether nothing is nested deeper than any verifier can follow."""
    layer: list[object] = list(values)
    for _ in range(NESTED_MAX):
        below: list[object] = []
        for value in layer:
            if isinstance(value, dict):
                below += value.values()
            elif isinstance(value, list):
                below += value
        if not below:
            return True
        layer = below
    return False


def _are_plain_keys(keys: Iterable[object]) -> bool:
    return all(type(key) is str and key.isascii() for key in keys)


def _is_plain_float(value: float) -> bool:
    return _FLOAT_PLAIN_MIN <= abs(value) < _FLOAT_PLAIN_MAX and not value.is_integer()
