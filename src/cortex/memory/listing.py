"""Listing by keyset: which rows a selection names, and where the next page begins."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Final

import orjson

from cortex.foundation.errors import ValidationError
from cortex.memory.errors import InvalidCursor
from cortex.memory.model import Origin, Quarantine, Selection
from cortex.memory.rows import SqlValue, keyed_dedupe

LIST_LIMIT_MAX: Final = 500
"""Memories on one page, as many as one request may store."""

ROWS_EXAMINED_MAX: Final = 20_000
"""Rows a metadata filter looks at for one page; then the page is short, not late."""

SEQ_MAX: Final = 2**63 - 1
"""The greatest row number that SQLite gives."""

_QUARANTINED: Final = {
    Quarantine.EXCLUDED: 0,
    Quarantine.INCLUDED: None,
    Quarantine.ONLY: 1,
}

_CURSOR_CHARACTERS_MAX: Final = 200
_MARK_CHARACTERS: Final = 12


def check_limit(limit: int) -> None:
    """Raise ``ValidationError`` unless a page may have so many memories."""
    if not 1 <= limit <= LIST_LIMIT_MAX:
        message = f"limit must be 1 to {LIST_LIMIT_MAX}"
        raise ValidationError(message, field="limit", limit=LIST_LIMIT_MAX)


def encode_cursor(seq: int, selection: Selection, *, oldest_first: bool) -> str:
    """Return the opaque text that continues this listing after a row."""
    parts = [seq, _mark(selection, oldest_first=oldest_first)]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def decode_cursor(
    cursor: str | None, selection: Selection, *, oldest_first: bool
) -> int:
    """Return the row that a listing continues after; without a cursor, its start.

    Raises:
        InvalidCursor: it is malformed, or from a listing with other filters.
    """
    if cursor is None:
        return 0 if oldest_first else SEQ_MAX
    if len(cursor) > _CURSOR_CHARACTERS_MAX:
        raise _invalid()
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = orjson.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    except (binascii.Error, UnicodeError, orjson.JSONDecodeError) as error:
        raise _invalid() from error
    mark = _mark(selection, oldest_first=oldest_first)
    match parts:
        case [int(seq), str(given)] if 0 <= seq <= SEQ_MAX and given == mark:
            return seq
    raise _invalid()


def query_name(selection: Selection, *, oldest_first: bool) -> str:
    """Return which named query lists this selection."""
    if selection.idempotency_key is not None:
        return "list_keyed"
    order = "oldest" if oldest_first else "newest"
    return f"list_{order}" if selection.session_id is None else f"list_session_{order}"


def parameters(selection: Selection) -> Mapping[str, SqlValue]:
    """Return the selection as parameters of the listing queries.

    ``where`` is not among them: it is evaluated by `cortex.memory.filters`.
    """
    span = selection.time_range
    tiers = selection.tiers
    modality = selection.modality
    kinds = selection.source_kinds
    origin = selection.origin or Origin()
    key = selection.idempotency_key
    return {
        "session_id": selection.session_id,
        "user_id": selection.user_id,
        "agent_id": selection.agent_id,
        "author": selection.author,
        "kind": selection.kind,
        "modality": None if modality is None else modality.value,
        "start": None if span is None else span.start,
        "end": None if span is None else span.end,
        "tiers": None if tiers is None else orjson.dumps(sorted(tiers)).decode(),
        "tag": selection.tag,
        "min_trust": selection.min_trust,
        "kinds": None if kinds is None else orjson.dumps(sorted(kinds)).decode(),
        "source": origin.source,
        "run_id": origin.run_id,
        "written_by": origin.written_by,
        "quarantined": _QUARANTINED[selection.quarantine],
        "dedupe": None if key is None else keyed_dedupe(key),
    }


def _mark(selection: Selection, *, oldest_first: bool) -> str:
    """Return a short mark of what is listed, so that a cursor fits its listing only."""
    values = {**parameters(selection), "dedupe": selection.idempotency_key}
    content = [values, selection.where, oldest_first]
    encoded = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(encoded).hexdigest()[:_MARK_CHARACTERS]


def _invalid() -> InvalidCursor:
    return InvalidCursor(
        "this cursor was not given out by this listing",
        hint="Begin again without a cursor, with the same filters on every page.",
        field="cursor",
    )
