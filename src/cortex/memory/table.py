"""The columns of a shard, and the texts that they hold as numbers."""

from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np

from cortex.memory.columns import NONE, Column, Names
from cortex.memory.model import Modality, Tier
from cortex.memory.ports import ProjectedRow
from cortex.memory.terms import AuthorDirectory
from cortex.memory.trust import SourceKind, hundredths

NEVER: Final = float("inf")
"""Expiry of a memory without a time to live."""

TIER_NUMBERS: Final = {tier.value: number for number, tier in enumerate(Tier)}
MODALITY_NUMBERS: Final = {one.value: number for number, one in enumerate(Modality)}
SOURCE_NUMBERS: Final = {kind.value: number for number, kind in enumerate(SourceKind)}


class ShardNames:
    """Interned texts of one shard, by column."""

    __slots__ = ("agent", "author", "kind", "metadata", "session", "tags", "user")

    def __init__(self) -> None:
        """Start empty."""
        self.kind = Names()
        self.author = Names()
        self.session = Names()
        self.user = Names()
        self.agent = Names()
        self.metadata = Names()
        self.tags = Names()

    @property
    def bytes_held(self) -> int:
        """Return about how much memory the texts take."""
        return sum(getattr(self, name).bytes_held for name in self.__slots__)


class ShardTable:
    """The columns of one shard: by ordinal, and two by vector row."""

    __slots__ = (
        "agent",
        "alive",
        "author",
        "chunks",
        "content_key",
        "expires_at",
        "first_row",
        "following",
        "importance",
        "kind",
        "metadata",
        "modality",
        "occurred_at",
        "previous",
        "quarantined",
        "row_document",
        "row_live",
        "seq",
        "session",
        "source",
        "tags",
        "terms_key",
        "tier",
        "trust",
        "user",
        "words",
    )

    def __init__(self) -> None:
        """Start empty."""
        self.seq: Column[np.int64] = Column(np.int64)
        self.alive: Column[np.bool_] = Column(np.bool_)
        self.occurred_at: Column[np.float64] = Column(np.float64)
        self.expires_at: Column[np.float64] = Column(np.float64)
        self.importance: Column[np.float32] = Column(np.float32)
        self.words: Column[np.float32] = Column(np.float32)
        self.tier: Column[np.int8] = Column(np.int8)
        self.modality: Column[np.int8] = Column(np.int8)
        self.kind: Column[np.int32] = Column(np.int32)
        self.author: Column[np.int32] = Column(np.int32)
        self.session: Column[np.int32] = Column(np.int32)
        self.user: Column[np.int32] = Column(np.int32)
        self.agent: Column[np.int32] = Column(np.int32)
        self.metadata: Column[np.int32] = Column(np.int32)
        self.tags: Column[np.int32] = Column(np.int32)
        self.content_key: Column[np.uint64] = Column(np.uint64)
        # Tells within this process whether a row's terms changed; the terms themselves
        # are in the index, once.
        self.terms_key: Column[np.int64] = Column(np.int64)
        self.previous: Column[np.int32] = Column(np.int32)
        self.following: Column[np.int32] = Column(np.int32)
        self.chunks: Column[np.int32] = Column(np.int32)
        self.first_row: Column[np.int32] = Column(np.int32)
        self.row_document: Column[np.int32] = Column(np.int32)
        self.row_live: Column[np.bool_] = Column(np.bool_)
        # Three bytes a memory: trust in hundredths, kind of source, quarantine.
        self.trust: Column[np.uint8] = Column(np.uint8)
        self.source: Column[np.int8] = Column(np.int8)
        self.quarantined: Column[np.bool_] = Column(np.bool_)

    @property
    def bytes_held(self) -> int:
        """Return the size of all columns."""
        return sum(getattr(self, name).bytes_held for name in self.__slots__)

    def extend(
        self,
        rows: Sequence[ProjectedRow],
        names: ShardNames,
        authors: AuthorDirectory,
    ) -> None:
        """Append rows, without their words, links and vectors."""
        count = len(rows)
        none = np.full(count, NONE, np.int32)
        known = len(names.author)
        by_author = names.author.numbers(row.author or None for row in rows)
        if len(names.author) > known:
            for number, name in islice(enumerate(names.author), known, None):
                authors.add(number, name)
        self.seq.extend([row.seq for row in rows])
        self.alive.extend(np.ones(count, np.bool_))
        self.occurred_at.extend([row.occurred_at for row in rows])
        self.expires_at.extend([_expiry(row) for row in rows])
        self.importance.extend([row.importance for row in rows])
        self.words.extend(np.zeros(count, np.float32))
        self.tier.extend([TIER_NUMBERS[row.tier] for row in rows])
        self.modality.extend([MODALITY_NUMBERS[row.modality] for row in rows])
        self.kind.extend(names.kind.numbers(row.kind for row in rows))
        self.author.extend(by_author)
        self.session.extend(names.session.numbers(row.session_id for row in rows))
        self.user.extend(names.user.numbers(row.user_id for row in rows))
        self.agent.extend(names.agent.numbers(row.agent_id for row in rows))
        self.metadata.extend(names.metadata.numbers(row.metadata for row in rows))
        self.tags.extend(names.tags.numbers(row.tags for row in rows))
        self.content_key.extend([content_key_number(row.content_key) for row in rows])
        self.terms_key.extend([hash(row.terms) for row in rows])
        self.previous.extend(none)
        self.following.extend(none)
        self.chunks.extend(np.zeros(count, np.int32))
        self.first_row.extend(none)
        self.trust.extend([hundredths(row.trust) for row in rows])
        self.source.extend([SOURCE_NUMBERS[row.source_kind] for row in rows])
        self.quarantined.extend([row.quarantined for row in rows])

    def set(self, ordinal: int, row: ProjectedRow, names: ShardNames) -> None:
        """Write the fields of a row that may change while its content stays."""
        self.occurred_at.view[ordinal] = row.occurred_at
        self.expires_at.view[ordinal] = _expiry(row)
        self.importance.view[ordinal] = row.importance
        self.tier.view[ordinal] = TIER_NUMBERS[row.tier]
        self.kind.view[ordinal] = names.kind.number(row.kind)
        self.metadata.view[ordinal] = names.metadata.number(row.metadata)
        self.tags.view[ordinal] = names.tags.number(row.tags)
        self.quarantined.view[ordinal] = row.quarantined

    def link(self, before: int, after: int) -> None:
        """Make two ordinals neighbours in a session; `NONE` for an end."""
        if before != NONE:
            self.following.view[before] = after
        if after != NONE:
            self.previous.view[after] = before

    def ordinals_of(self, seqs: Sequence[int]) -> list[int]:
        """Return the live ordinals of row numbers; unknown ones are left out."""
        if not seqs:
            return []
        found = np.isin(self.seq.view, np.fromiter(seqs, np.int64, len(seqs)))
        ordinals: list[int] = np.flatnonzero(found & self.alive.view).tolist()
        return ordinals


def _expiry(row: ProjectedRow) -> float:
    return NEVER if row.expires_at is None else row.expires_at


def content_key_number(key: bytes) -> int:
    """Return the 8 bytes that tell contents apart as one number."""
    return int.from_bytes(key, "little")
