"""From a thing to remember to a row ready to be written: analysed and embedded.

Embedding happens here, before any transaction is open. When the embedder is down the
memory is stored all the same, found by its words, and embedded later.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cortex.foundation.canonical import JsonValue, canonical_json
from cortex.foundation.errors import PayloadTooLarge, Unavailable, ValidationError
from cortex.foundation.limits import (
    CONTENT_CHARACTERS_MAX,
    JSON_DEPTH_MAX,
    METADATA_BYTES_MAX,
    NAME_CHARACTERS_MAX,
    TAG_CHARACTERS_MAX,
    TAGS_MAX,
)
from cortex.inference.media.description import labels_of, mixed
from cortex.inference.media.kinds import Label
from cortex.inference.model import normalised
from cortex.inference.ports import Embedder, Vector
from cortex.memory.chunking import Span, chunks
from cortex.memory.lexical import encode_terms
from cortex.memory.model import Modality, NewMemory
from cortex.memory.ports import ChunkVector, Prepared, Restored
from cortex.memory.terms import TermAnalyser
from cortex.memory.trust import SOURCE_CHARACTERS_MAX, TRUST_CEILINGS, SourceKind

REFLECTION_KIND: Final = "reflection"
"""Kind of the memories in which judgements are kept."""


@dataclass(frozen=True, slots=True)
class Preparing:
    """Analyses and embeds; the one way content becomes a row."""

    embedder: Embedder
    analyser: TermAnalyser
    count_tokens: Callable[[str], int]

    async def __call__(
        self,
        items: Sequence[NewMemory],
        restored: Sequence[Restored | None] | None = None,
    ) -> list[Prepared]:
        """Return one row an item, in order.

        Raises:
            ValidationError: an item breaks a limit; ``field`` names it with its index.
        """
        for index, item in enumerate(items):
            check_item(item, f"items[{index}].")
        spans = [_spans(item, self.count_tokens) for item in items]
        vectors = await self._embedded(items, spans)
        space = self.embedder.info.space
        past = restored or [None] * len(items)
        return [
            Prepared(
                item,
                encode_terms(self.analyser.counts(embedded_text(item, item.content))),
                vectors=found,
                space=None if found is None else space,
                restored=former,
            )
            for item, found, former in zip(items, vectors, past, strict=True)
        ]

    async def vectors(self, item: NewMemory) -> tuple[ChunkVector, ...]:
        """Return the vectors of one item in the embedder's space.

        Raises:
            Unavailable: the embedder is down.
        """
        spans = _spans(item, self.count_tokens)
        found = iter(await self.embedder.embed(_texts(item, spans)))
        return _placed(item, spans, found)

    async def _embedded(
        self, items: Sequence[NewMemory], spans: Sequence[Sequence[Span]]
    ) -> list[tuple[ChunkVector, ...] | None]:
        texts = [
            text
            for item, parts in zip(items, spans, strict=True)
            for text in _texts(item, parts)
        ]
        try:
            vectors = iter(await self.embedder.embed(texts))
        except Unavailable:
            return [None] * len(items)
        return [
            _placed(item, parts, vectors)
            for item, parts in zip(items, spans, strict=True)
        ]


def _spans(item: NewMemory, count_tokens: Callable[[str], int]) -> list[Span]:
    """Return the parts of an item that get a vector each.

    A reflection's is its heading, which says what was judged: attempts at one goal
    share it, so that it is embedded once. Its issues are found by their words.
    """
    if item.kind == REFLECTION_KIND and item.source_kind is SourceKind.AGENT:
        heading = item.content.partition("\n")[0]
        return chunks(heading, count_tokens) or chunks(item.content, count_tokens)
    return chunks(item.content, count_tokens)


def _texts(item: NewMemory, spans: Sequence[Span]) -> list[str]:
    """Return what of an item is embedded: its parts, then what its file shows."""
    parts = [embedded_text(item, span.of(item.content)) for span in spans]
    return parts + [label.name for label in _labels(item)]


def _placed(
    item: NewMemory, spans: Sequence[Span], vectors: Iterator[Vector]
) -> tuple[ChunkVector, ...]:
    """Return the vectors of ``_texts`` with the places they stand for.

    What a file shows is one vector (see ``cortex.inference.media.description``) that
    stands for the whole.
    """
    placed = [ChunkVector(span.start, span.end, next(vectors)) for span in spans]
    labels = _labels(item)
    if labels:
        weights = [label.probability for label in labels]
        seen = normalised(mixed([next(vectors) for _ in labels], weights))
        placed.append(ChunkVector(0, len(item.content), seen))
    return tuple(placed)


def _labels(item: NewMemory) -> tuple[Label, ...]:
    return () if item.modality is Modality.TEXT else labels_of(item.metadata)


def embedded_text(item: NewMemory, part: str) -> str:
    """Return what recall understands of a part: who said it, and what."""
    return f"{item.author}: {part}" if item.author else part


def check_item(item: NewMemory, prefix: str) -> None:
    """Raise ``ValidationError`` naming the field and the limit an item breaks.

    ``prefix`` stands before each field's name, such as ``items[0].``.
    """
    if not item.content.strip():
        field = f"{prefix}content"
        raise ValidationError(f"{field} must not be empty", field=field)
    _check_length(item.content, CONTENT_CHARACTERS_MAX, f"{prefix}content")
    for name in ("author", "kind", "session_id", "agent_id", "user_id"):
        _check_length(getattr(item, name) or "", NAME_CHARACTERS_MAX, f"{prefix}{name}")
    check_origin(item, prefix)
    if not 0.0 <= item.importance <= 1.0:
        field = f"{prefix}importance"
        raise ValidationError(f"{field} must be between 0 and 1", field=field)
    _check_tags(item.tags, f"{prefix}tags")
    check_metadata(item.metadata, f"{prefix}metadata")
    if item.ttl_seconds is not None and not item.ttl_seconds > 0:
        field = f"{prefix}ttl_seconds"
        raise ValidationError(f"{field} must be above 0", field=field)
    _check_validity(item, prefix)


def check_origin(item: NewMemory, prefix: str) -> None:
    """Raise ``ValidationError`` for an overlong origin or a claim of too much trust."""
    _check_length(item.source, SOURCE_CHARACTERS_MAX, f"{prefix}source")
    _check_length(item.run_id or "", SOURCE_CHARACTERS_MAX, f"{prefix}run_id")
    ceiling = TRUST_CEILINGS[item.source_kind]
    if item.trust is not None and not 0.0 <= item.trust <= ceiling:
        field = f"{prefix}trust"
        kind = item.source_kind.value
        message = f"{field} must be between 0 and {ceiling:g} for source_kind {kind}"
        hint = "Leave trust out to take what the kind allows; it can only be lowered."
        raise ValidationError(message, hint=hint, field=field, limit=ceiling)


def check_metadata(metadata: Mapping[str, JsonValue], field: str) -> None:
    """Raise ``ValidationError`` when metadata is too deep or too large."""
    if _depth(dict(metadata)) > JSON_DEPTH_MAX:
        message = f"{field} must not be nested deeper than {JSON_DEPTH_MAX}"
        raise ValidationError(message, field=field, limit=JSON_DEPTH_MAX)
    size = len(canonical_json(dict(metadata)))
    if size > METADATA_BYTES_MAX:
        message = f"{field} has {size} bytes; the limit is {METADATA_BYTES_MAX}"
        raise PayloadTooLarge(message, field=field, limit=METADATA_BYTES_MAX)


def _check_tags(tags: Sequence[str], field: str) -> None:
    if len(tags) > TAGS_MAX:
        message = f"{field} has {len(tags)} tags; the limit is {TAGS_MAX}"
        raise ValidationError(message, field=field, limit=TAGS_MAX)
    for tag in tags:
        _check_length(tag, TAG_CHARACTERS_MAX, field)


def _check_validity(item: NewMemory, prefix: str) -> None:
    start, end = item.valid_from, item.valid_to
    if start is not None and end is not None and end <= start:
        field = f"{prefix}valid_to"
        raise ValidationError(f"{field} must be after valid_from", field=field)


def _check_length(text: str, limit: int, field: str) -> None:
    if len(text) > limit:
        message = f"{field} has {len(text)} characters; the limit is {limit}"
        raise PayloadTooLarge(message, field=field, limit=limit)
    if "\0" in text:
        raise ValidationError(f"{field} must not hold a NUL character", field=field)
    # A lone surrogate is not a character: no file could carry it.
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise ValidationError(f"{field} is not valid Unicode text", field=field)


def _depth(value: JsonValue) -> int:
    """Return the nesting depth, counted without recursion and cut above the limit."""
    level: list[JsonValue] = [value]
    depth = 0
    while level and depth <= JSON_DEPTH_MAX:
        inner: list[JsonValue] = []
        for part in level:
            if isinstance(part, dict):
                inner.extend(part.values())
            elif isinstance(part, list):
                inner.extend(part)
        level = inner
        depth += 1
    return depth
