"""How another framework's object lies in one memory: whole, and found by its text.

The object lies in the metadata, where filters reach it, and its text is the content.
An object too large for the metadata is the content itself, as JSON.
"""

import json
from collections.abc import Mapping
from typing import Any

from cortex_client.wire import Hit, Memory

Record = Memory | Hit

METADATA_BYTES_MAX = 15_000
"""Bytes of an object kept in the metadata; the server takes 16 384 with the rest."""

CONTENT_CHARACTERS_MAX = 500_000
"""Characters of a content; the server takes no more."""

_WHOLE, _IN_CONTENT = "whole", "content"


def body(
    name: str, value: Mapping[str, Any], text: str, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return content and metadata of a memory; ``facts`` lie beside the object.

    A fact under ``name`` is what stays in reach of filters when the object does not.
    """
    whole = json.dumps(value, ensure_ascii=False)
    if len(whole.encode()) <= METADATA_BYTES_MAX:
        content = text.replace("\0", " ").strip()[:CONTENT_CHARACTERS_MAX] or "-"
        return {"content": content, "metadata": {**facts, name: dict(value)}}
    return {"content": whole, "metadata": {**facts, _WHOLE: _IN_CONTENT}}


def value(name: str, record: Record) -> dict[str, Any] | None:
    """Return the object of a memory; None when it holds none."""
    if record.metadata.get(_WHOLE) == _IN_CONTENT:
        found = json.loads(record.content)
    else:
        found = record.metadata.get(name)
    return dict(found) if isinstance(found, Mapping) else None
