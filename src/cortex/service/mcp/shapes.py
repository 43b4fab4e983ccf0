"""Memories as agents read them: few fields, times as text, long contents cut."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from cortex.foundation.errors import PermissionDenied
from cortex.memory.model import Hit, Memory
from cortex.memory.trust import SourceKind
from cortex.service.fields import Wire
from cortex.service.mcp.addresses import address_of

HIT_CHARACTERS_MAX = 2_000
"""Characters of one hit: eight hits stay below 4 000 tokens; ``fetch`` has the rest."""

LEAD_CHARACTERS = 200
"""Characters kept before the passage that answers, where a content is cut."""

TITLE_CHARACTERS_MAX = 80


class MemoryShape(Wire):
    """One memory."""

    id: str
    uri: Annotated[str, Field(description="Readable as a resource and by fetch.")]
    namespace: str
    content: str
    author: str
    kind: str
    session_id: str | None
    tags: list[str]
    importance: float
    occurred_at: Annotated[str, Field(description="ISO 8601, UTC.")]
    metadata: dict[str, Any]
    source: str
    source_kind: SourceKind
    trust: Annotated[
        float, Field(ge=0, le=1, description="By its kind of source; web is lowest.")
    ]


class HitShape(MemoryShape):
    """One memory found."""

    score: Annotated[float, Field(description="Comparable within one answer only.")]
    confidence: Annotated[
        float, Field(ge=0, le=1, description="That this answers the query at all.")
    ]
    truncated: Annotated[bool, Field(description="fetch returns the whole content.")]


def memory_shape(memory: Memory) -> dict[str, Any]:
    """Return the memory with its whole content."""
    return {
        "id": memory.id,
        "uri": address_of(memory),
        "namespace": memory.namespace.name,
        "content": memory.content,
        "author": memory.author,
        "kind": memory.kind,
        "session_id": memory.session_id,
        "tags": list(memory.tags),
        "importance": memory.importance,
        "occurred_at": moment(memory.occurred_at),
        "metadata": dict(memory.metadata),
        "source": memory.provenance.source,
        "source_kind": memory.provenance.source_kind.value,
        "trust": memory.trust,
    }


def hit_shape(hit: Hit) -> dict[str, Any]:
    """Return the hit; a long content is cut around its best passage."""
    content = hit.memory.content
    cut = len(content) > HIT_CHARACTERS_MAX
    if cut:
        best = hit.excerpts[0][0] if hit.excerpts else 0
        start = max(0, min(best - LEAD_CHARACTERS, len(content) - HIT_CHARACTERS_MAX))
        content = content[start : start + HIT_CHARACTERS_MAX]
    return {
        **memory_shape(hit.memory),
        "content": content,
        "score": hit.score,
        "confidence": hit.confidence,
        "truncated": cut,
    }


def readable(memory: Memory) -> Memory:
    """Return the memory unless it is quarantined: an agent would act on its words.

    Raises:
        PermissionDenied: it is kept out of answers.
    """
    if memory.quarantined:
        raise PermissionDenied(
            f"this memory is quarantined: {memory.quarantine_reason}",
            hint="A person can look at it over HTTP, and let it in with "
            "'cortex release'.",
            id=memory.id,
        )
    return memory


def title_of(memory: Memory) -> str:
    """Return the beginning of the content on one line, with its author."""
    line = " ".join(memory.content[: TITLE_CHARACTERS_MAX * 2].split())
    if len(line) > TITLE_CHARACTERS_MAX:
        line = line[: TITLE_CHARACTERS_MAX - 1] + "…"
    return f"{memory.author}: {line}" if memory.author else line


def moment(seconds: float) -> str:
    """Return a time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
