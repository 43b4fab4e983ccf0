"""Remember, recall, list, change, forget, import, export."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Unpack

from cortex_client.call import Call, Flow, Param, Retry, Traced, segment, traced
from cortex_client.calls.bodies import Item, compact, memory_items
from cortex_client.decoding import decode
from cortex_client.lines import TextLines, read_progress
from cortex_client.wire import (
    Forgotten,
    Imported,
    Memory,
    MemoryPage,
    MemoryStats,
    Quarantined,
    Recalled,
    Remembered,
)


class MemoryFields(Traced, total=False):
    """What may be said of a memory beside its content; see ``NewMemory``."""

    author: str
    kind: str
    namespace: str
    session_id: str
    agent_id: str
    user_id: str
    importance: float
    tags: Sequence[str]
    metadata: Mapping[str, object]
    occurred_at: float | str
    valid_from: float | str
    valid_to: float | str
    ttl_seconds: float
    modality: str
    idempotency_key: str
    run_id: str
    source: str
    source_kind: str
    trust: float


class RecallOptions(Traced, total=False):
    """How to search.

    ``mode`` is hybrid, semantic or keyword; ``filter`` a filter tree over fields,
    tags and metadata; ``time_range`` an object with ``start`` and ``end``; ``tiers``
    of hot, warm, cold; ``explain`` asks for each signal's part in the score.
    ``min_trust`` (0..1) and ``source_kinds`` narrow by where memories came from;
    ``include_quarantined`` needs the scope admin.
    """

    namespace: str
    mode: str
    filter: Mapping[str, object]
    time_range: Mapping[str, object]
    tiers: Sequence[str]
    explain: bool
    session_id: str
    user_id: str
    agent_id: str
    author: str
    kind: str
    tag: str
    modality: str
    min_trust: float
    source_kinds: Sequence[str]
    include_quarantined: bool


class Selection(Traced, total=False):
    """Which memories of a namespace: all the given conditions hold.

    ``start`` and ``end`` bound the time they happened, end excluded.
    """

    namespace: str
    session_id: str
    user_id: str
    agent_id: str
    author: str
    kind: str
    tag: str
    start: float | str
    end: float | str
    tier: str
    modality: str
    source: str
    source_kind: str
    run_id: str
    written_by: str


class Chosen(Selection, total=False):
    """A selection; ``idempotency_key`` names the one memory stored under it."""

    idempotency_key: str


class Reading(Selection, total=False):
    """A selection by trust; ``quarantined`` is excluded, included or only.

    Others than excluded need the scope admin.
    """

    min_trust: float
    quarantined: str


class Suspects(Traced, total=False):
    """What to take out of answers: all the given conditions hold."""

    namespace: str
    source: str
    source_kind: str
    run_id: str
    written_by: str
    session_id: str
    user_id: str
    start: float | str
    end: float | str


class Listing(Reading, total=False):
    """A selection, page by page; ``idempotency_key`` as in ``Chosen``."""

    idempotency_key: str
    cursor: str | None
    limit: int


class Patch(Traced, total=False):
    """Fields to change; absent ones stay."""

    namespace: str
    content: str
    author: str
    kind: str
    importance: float
    tags: Sequence[str]
    metadata: Mapping[str, object]
    valid_from: float | str
    valid_to: float | str
    ttl_seconds: float


class InNamespace(Traced, total=False):
    """Where: the default namespace when not said."""

    namespace: str | None


def remember(
    items: Item | Iterable[Item], **fields: Unpack[MemoryFields]
) -> Call[Remembered]:
    """Store one item or up to 500; ``fields`` apply to each that lacks them.

    The same text without a time or a key is one memory, however often it is stored
    (see ``created`` of the answer); only a message of a conversation is a new one each
    time. A failed call is sent again without doubling anything.
    """
    correlation_id = fields.pop("correlation_id", None)
    return Call(
        "POST",
        "/memory",
        lambda answer: decode(Remembered, answer.body),
        body={"items": memory_items(items, fields)},
        headers=traced(correlation_id),
        keyed="items",
        keyed_where="session_id",
    )


def recall(
    query: str, top_k: int = 10, **options: Unpack[RecallOptions]
) -> Call[Recalled]:
    """Find what answers ``query``, best first."""
    correlation_id = options.pop("correlation_id", None)
    return Call(
        "POST",
        "/memory/search",
        lambda answer: decode(Recalled, answer.body),
        body={"query": query, "top_k": top_k, **compact(options)},
        headers=traced(correlation_id),
    )


def get_memory(memory_id: str, **options: Unpack[InNamespace]) -> Call[Memory]:
    """Return one memory."""
    return Call(
        "GET",
        _one(memory_id),
        lambda answer: decode(Memory, answer.body),
        params={"namespace": options.get("namespace")},
        headers=traced(options.get("correlation_id")),
    )


def update_memory(memory_id: str, **changes: Unpack[Patch]) -> Call[Memory]:
    """Change the given fields and return the whole memory."""
    correlation_id = changes.pop("correlation_id", None)
    namespace = changes.pop("namespace", None)
    return Call(
        "PATCH",
        _one(memory_id),
        lambda answer: decode(Memory, answer.body),
        params={"namespace": namespace},
        body=compact(changes),
        headers=traced(correlation_id),
    )


def list_memories(**selection: Unpack[Listing]) -> Call[MemoryPage]:
    """Return one page; pass its ``next_cursor`` as ``cursor`` for the next."""
    correlation_id = selection.pop("correlation_id", None)
    return Call(
        "GET",
        "/memory",
        lambda answer: decode(MemoryPage, answer.body),
        params=_params(selection),
        headers=traced(correlation_id),
    )


def forget(
    memory_id: str | None = None, **selection: Unpack[Chosen]
) -> Call[Forgotten]:
    """Forget one memory by id, or all that the selection names: everywhere.

    Not sent again when the answer was lost: a second answer would tell of what was
    left to forget, not of what was forgotten.
    """
    correlation_id = selection.pop("correlation_id", None)
    return Call(
        "DELETE",
        "/memory" if memory_id is None else _one(memory_id),
        lambda answer: decode(Forgotten, answer.body),
        params=_params(selection),
        headers=traced(correlation_id),
        retry=Retry.UNSENT,
    )


def quarantine(
    memory_id: str | None = None, *, reason: str, **suspects: Unpack[Suspects]
) -> Call[Quarantined]:
    """Take one memory by id, or all that the conditions name, out of every answer."""
    correlation_id = suspects.pop("correlation_id", None)
    body: dict[str, object] = {"reason": reason, **compact(suspects)}
    place = None if memory_id is None else body.pop("namespace", None)
    return Call(
        "POST",
        "/memory/quarantine" if memory_id is None else f"{_one(memory_id)}/quarantine",
        lambda answer: decode(Quarantined, answer.body),
        params={"namespace": None if place is None else str(place)},
        body=body,
        headers=traced(correlation_id),
        retry=Retry.UNSENT,
    )


def release(memory_id: str, **options: Unpack[InNamespace]) -> Call[Memory]:
    """Let a quarantined memory into answers again; needs the scope admin."""
    return Call(
        "POST",
        f"{_one(memory_id)}/release",
        lambda answer: decode(Memory, answer.body),
        params={"namespace": options.get("namespace")},
        headers=traced(options.get("correlation_id")),
    )


def stats(**options: Unpack[InNamespace]) -> Call[MemoryStats]:
    """Return counts and bytes, of one namespace or of all."""
    return Call(
        "GET",
        "/memory/stats",
        lambda answer: decode(MemoryStats, answer.body),
        params={"namespace": options.get("namespace")},
        headers=traced(options.get("correlation_id")),
    )


def import_lines(
    lines: Sequence[bytes], start_line: int = 0, **options: Unpack[InNamespace]
) -> Call[Imported]:
    """Store one batch of JSONL lines; ``start_line`` lines of the file came before.

    The answer's line numbers are those of the file. A line sent twice is one memory,
    so a batch may be sent again. For a whole file see ``cortex_client.lines.batches``.
    """
    return Call(
        "POST",
        "/memory/import",
        lambda answer: read_progress(answer.body, start_line),
        params={"namespace": options.get("namespace")},
        body=b"\n".join(lines) + b"\n",
        headers={
            "Content-Type": "application/x-ndjson",
            **traced(options.get("correlation_id")),
        },
    )


def export_lines(**selection: Unpack[Reading]) -> Flow[str]:
    """Stream the selection as JSONL, without line ends."""
    correlation_id = selection.pop("correlation_id", None)
    return Flow("/memory/export", TextLines, _params(selection), traced(correlation_id))


def _one(memory_id: str) -> str:
    return f"/memory/{segment(memory_id)}"


def _params(values: Mapping[str, object]) -> dict[str, Param]:
    return {name: value for name, value in values.items() if value is not None}  # type: ignore[misc]
