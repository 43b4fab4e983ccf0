"""Compression strategies: how a context says what it holds in fewer tokens.

A strategy has two parts. It rewrites the items, by themselves and never with regard to
the budget; and it says how the item at which the budget ends is cut (``packing.Cut``).
Since the first does not know the budget and the second only ever adds, a larger budget
holds whatever a smaller one held, with every strategy.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from cortex.memory.chunking import Span
from cortex.memory.packing import Cut, PackItem
from cortex.memory.repeats import repeats
from cortex.memory.structure import slim


class Compression(StrEnum):
    """How items may be shortened.

    ``none`` takes them whole or not at all; ``truncate`` takes them whole and keeps
    head and tail of the last; ``extractive`` takes the sentences that tell most;
    ``deduplicate`` leaves out sentences that were said before; ``structure`` strips
    JSON, code and logs of what their readers do not need; ``abstractive`` lets a
    language model retell long items. The last three then cut as ``extractive`` does.
    """

    NONE = "none"
    TRUNCATE = "truncate"
    EXTRACTIVE = "extractive"
    DEDUPLICATE = "deduplicate"
    STRUCTURE = "structure"
    ABSTRACTIVE = "abstractive"


_SPACE: Final = re.compile(r"\s*")

CUTS: Final = {Compression.NONE: Cut.NEVER, Compression.TRUNCATE: Cut.ENDS}


@dataclass(frozen=True, slots=True)
class Shorter:
    """An item as a strategy leaves it.

    Attributes:
        used: what changed it; ``none`` where nothing did.
        lossy: whether something of it cannot be had back.
    """

    item: PackItem
    used: Compression = Compression.NONE
    lossy: bool = False

    def packed(self, compression: Compression, *, partial: bool) -> "Shorter":
        """Return how the item stands in a pack, cut or not."""
        if not partial:
            return self
        if self.used is not Compression.NONE:
            return replace(self, lossy=True)
        cut = Compression.EXTRACTIVE
        if compression is Compression.TRUNCATE:
            cut = Compression.TRUNCATE
        return Shorter(self.item, cut, lossy=True)


def cut_of(compression: Compression) -> Cut:
    """Return how the last item that fits is cut."""
    return CUTS.get(compression, Cut.SENTENCES)


def shortened(
    items: Sequence[PackItem], compression: Compression
) -> tuple[Shorter, ...]:
    """Return the items, rewritten; ``abstractive`` needs a model: not done here."""
    if compression is Compression.DEDUPLICATE:
        return _without_repeats(items)
    if compression is Compression.STRUCTURE:
        return tuple(_slimmed(item) for item in items)
    return tuple(Shorter(item) for item in items)


def _slimmed(item: PackItem) -> Shorter:
    found = slim(item.text)
    if len(found.text) >= len(item.text):
        return Shorter(item)
    slimmed = replace(item, text=found.text, excerpts=())
    return Shorter(slimmed, Compression.STRUCTURE, found.lossy)


def _without_repeats(items: Sequence[PackItem]) -> tuple[Shorter, ...]:
    """Leave each sentence to the worthiest item that says it."""
    order = sorted(range(len(items)), key=lambda at: -items[at].worth)
    found = repeats([(items[at].label, items[at].text) for at in order])
    made = [Shorter(item) for item in items]
    whole: set[tuple[str, str]] = set()
    for at, again in zip(order, found, strict=True):
        said = (items[at].label, items[at].text)
        if said in whole:
            item = replace(items[at], text="", excerpts=())
            made[at] = Shorter(item, Compression.DEDUPLICATE)
        elif again:
            spans = [one.span for one in again]
            lossy = not all(one.verbatim for one in again)
            item = _without(items[at], spans)
            made[at] = Shorter(item, Compression.DEDUPLICATE, lossy)
        whole.add(said)
    return tuple(made)


def _without(item: PackItem, spans: Sequence[Span]) -> PackItem:
    """Take parts out of the text, given in order, and out of its excerpts."""
    kept: list[Span] = []
    start = 0
    for span in spans:
        kept.append(Span(start, span.start))
        gap = _SPACE.match(item.text, span.end)
        start = gap.end() if gap else span.end
    kept.append(Span(start, len(item.text)))

    def moved(place: int) -> int:
        return sum(min(max(place - one.start, 0), one.end - one.start) for one in kept)

    text = "".join(one.of(item.text) for one in kept)
    excerpts = (Span(moved(one.start), moved(one.end)) for one in item.excerpts)
    left = tuple(one for one in excerpts if one.start < one.end)
    return replace(item, text=text, excerpts=left)
