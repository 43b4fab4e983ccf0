"""Selections as masks over the documents of a shard, computed before ranking."""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import ValidationError
from cortex.memory.columns import NONE, Names
from cortex.memory.filters import Predicate, compile_filter
from cortex.memory.model import Quarantine, Selection
from cortex.memory.rows import load_object, load_tags
from cortex.memory.shard import Shard
from cortex.memory.table import MODALITY_NUMBERS, SOURCE_NUMBERS, TIER_NUMBERS
from cortex.memory.trust import hundredths_needed
from cortex.memory.vectors import Mask

FILTERS_REMEMBERED_MAX: Final = 32
"""Filters of one shard whose verdicts are kept: a page of a user interface's worth."""


_EVERYTHING: Final = (Selection(), Selection(quarantine=Quarantine.INCLUDED))


class Verdicts:
    """Which of a shard's distinct texts (metadata, tags) pass a test, remembered.

    A text is judged once: a memory added later with metadata seen before costs
    nothing.
    """

    __slots__ = ("_judged",)

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._judged: OrderedDict[tuple[str, bytes], NDArray[np.bool_]] = OrderedDict()

    def unjudged(self, shard: Shard, where: Mapping[str, JsonValue] | None) -> int:
        """Return how many metadata a filter has not judged yet."""
        if where is None:
            return 0
        known = self._judged.get(("where", _where_key(where)))
        return len(shard.names.metadata) - (0 if known is None else len(known))

    def of(
        self, key: tuple[str, bytes], texts: Names, passes: Callable[[str], bool]
    ) -> NDArray[np.bool_]:
        """Return one verdict a text, by its number."""
        known = self._judged.pop(key, None)
        judged = 0 if known is None else len(known)
        if judged < len(texts):
            fresh = [passes(text) for text in texts.since(judged)]
            more = np.array(fresh, np.bool_)
            known = more if known is None else np.concatenate((known, more))
        if known is None:
            known = np.zeros(0, np.bool_)
        self._judged[key] = known
        if len(self._judged) > FILTERS_REMEMBERED_MAX:
            self._judged.popitem(last=False)
        return known


def selection_mask(
    shard: Shard, selection: Selection, verdicts: Verdicts, now: float
) -> Mask | None:
    """Return which documents may be found, None when all live ones may.

    Raises:
        InvalidFilter: ``where`` is malformed.
        ValidationError: it asks for sources, runs or writers, which a shard does not
            hold.
    """
    if selection.origin is not None:
        message = "a search selects by source_kinds, not by source, run or writer"
        raise ValidationError(message, field="origin")
    if selection.idempotency_key is not None:
        message = "a memory with an idempotency key is listed, not searched for"
        raise ValidationError(message, field="idempotency_key")
    predicate = None if selection.where is None else compile_filter(selection.where)
    expired = shard.earliest_expiry <= now
    if not expired and not shard.has_quarantined and selection in _EVERYTHING:
        return None
    table = shard.table
    mask: Mask = table.alive.view.copy()
    if expired:
        mask &= table.expires_at.view > now
    _by_names(shard, selection, mask)
    _by_time_and_kind(shard, selection, mask)
    _by_trust(shard, selection, mask)
    if selection.tag is not None and len(mask):
        mask &= _tagged(shard, selection.tag, verdicts)
    if predicate is not None and len(mask):
        key = _where_key(selection.where or {})
        mask &= _passing(shard, key, predicate, verdicts)
    return mask


def _by_names(shard: Shard, selection: Selection, mask: Mask) -> None:
    table, names = shard.table, shard.names
    for wanted, texts, column in (
        (selection.session_id, names.session, table.session),
        (selection.user_id, names.user, table.user),
        (selection.agent_id, names.agent, table.agent),
        (selection.author, names.author, table.author),
        (selection.kind, names.kind, table.kind),
    ):
        if wanted is not None:
            # An empty text was never numbered: such a row holds NONE.
            number = texts.find(wanted)
            known = number != NONE or not wanted
            mask &= (column.view == number) if known else np.False_


def _by_time_and_kind(shard: Shard, selection: Selection, mask: Mask) -> None:
    table = shard.table
    span = selection.time_range
    if span is not None and span.start is not None:
        mask &= table.occurred_at.view >= span.start
    if span is not None and span.end is not None:
        mask &= table.occurred_at.view < span.end
    if selection.tiers is not None:
        numbers = [TIER_NUMBERS[tier.value] for tier in selection.tiers]
        mask &= np.isin(table.tier.view, numbers)
    if selection.modality is not None:
        mask &= table.modality.view == MODALITY_NUMBERS[selection.modality.value]


def _by_trust(shard: Shard, selection: Selection, mask: Mask) -> None:
    table = shard.table
    if selection.quarantine is Quarantine.ONLY:
        mask &= table.quarantined.view
    elif selection.quarantine is Quarantine.EXCLUDED and shard.has_quarantined:
        mask &= ~table.quarantined.view
    if selection.min_trust is not None:
        mask &= table.trust.view >= hundredths_needed(selection.min_trust)
    if selection.source_kinds is not None:
        numbers = [SOURCE_NUMBERS[kind.value] for kind in selection.source_kinds]
        mask &= np.isin(table.source.view, numbers)


def _tagged(shard: Shard, tag: str, verdicts: Verdicts) -> Mask:
    judged = verdicts.of(
        ("tag", tag.encode()), shard.names.tags, lambda text: tag in load_tags(text)
    )
    found: Mask = judged[shard.table.tags.view]
    return found


def _passing(
    shard: Shard, key: bytes, predicate: Predicate, verdicts: Verdicts
) -> Mask:
    judged = verdicts.of(
        ("where", key),
        shard.names.metadata,
        lambda text: predicate(load_object(text)),
    )
    found: Mask = judged[shard.table.metadata.view]
    return found


def _where_key(where: Mapping[str, JsonValue]) -> bytes:
    # Not orjson, which refuses integers over 64 bits and texts that are no UTF-8.
    return json.dumps(where, sort_keys=True).encode("ascii")
