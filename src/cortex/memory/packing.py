"""Packing: the most useful memories in an exact number of tokens.

Every memory is taken in *steps*: its best excerpt first, then the next best, until it
is whole (a short memory is one step). All steps of all memories have one order, by
worth, that does not depend on the budget, where later steps of a memory are worth
less than its first: so a long message shows its best part early and cannot starve the
rest. The pack is the longest run of steps, from the first, that fits, and then as many
sentences of the next step as still fit. A larger budget therefore holds everything
that a smaller one held, by construction.

The sum of the steps' tokens decides where to stop; the rendered text is then counted
as a whole, because tokens of parts do not add up exactly, and steps are taken back
until that count is within the budget. What is returned was counted.
"""

import bisect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cortex.memory.chunking import Span, chunks, sentences

STEP_TOKENS_MAX: Final = 128
"""Estimated tokens of a step outside the excerpts that a memory comes with."""

LENGTH_EXPONENT: Final = 0.5
"""How length weighs against priority when whole items compete.

Between 0 (length is free, one long item starves the rest) and 1 (priority a token,
an important long item never gets in).
"""

DIMINISHING: Final = 0.25
"""How fast further parts of one memory lose worth: the n-th counts n ** -0.25.

At 0 a page-long memory is taken whole before the next; at 1 many memories show one
excerpt each and few are whole.
"""

PRIORITY_HALF_LIFE_SECONDS: Final = 7 * 86_400.0
"""Age at which a priority counts half."""

HEAD_PER_TAIL: Final = 3
"""Of so many words of an item that is cut at its ends, one is from the tail."""

_PIECE: Final = re.compile(r"\S{1,16}")
"""A word, or a part of one that no text in words has."""

_BETWEEN_BLOCKS: Final = "\n"
_BEFORE_HEADING: Final = "\n\n"
_GAP: Final = " \u2026 "


class Cut(StrEnum):
    """What is taken of the part at which the budget ends, and how long parts are."""

    SENTENCES = "sentences"
    """As many of its first sentences as fit; long items come in excerpts."""
    ENDS = "ends"
    """Head and tail of a whole item, two words of the first for one of the other."""
    NEVER = "never"
    """Nothing: an item is in whole or not at all."""


class DropReason(StrEnum):
    """Why an item is not in the pack."""

    BUDGET = "budget"
    """Better items filled the budget."""
    DUPLICATE = "duplicate"
    """An item with the same label and text is taken instead."""
    EMPTY = "empty"
    """There is no text."""


@dataclass(frozen=True, slots=True)
class PackItem:
    """A candidate for the pack.

    `worth` orders the items (a score or a priority; below 0 counts as 0). `label` is
    put before the text ("Ann: "), `heading` above all items that share it ("8 May
    2023"). `position` is the place in the rendered text, lowest first, ties as given.
    `excerpts` are parts of the text, the most relevant first; without them a long
    text is cut in its own order. Text outside the given excerpts comes last.
    """

    id: str
    text: str
    worth: float
    label: str = ""
    heading: str = ""
    position: float = 0.0
    excerpts: tuple[Span, ...] = ()
    category: str = ""


@dataclass(frozen=True, slots=True)
class PackedItem:
    """An item as it stands in the pack; `partial` when only excerpts are in."""

    id: str
    text: str
    category: str
    partial: bool


@dataclass(frozen=True, slots=True)
class DroppedItem:
    """An item that is not in the pack, and why."""

    id: str
    reason: DropReason


@dataclass(frozen=True, slots=True)
class Pack:
    """A rendered context.

    `total_tokens` is the count of exactly `text`, at most `budget_tokens`; `items`
    are in the order of the text, `dropped` in the order given.
    """

    text: str
    total_tokens: int
    budget_tokens: int
    items: tuple[PackedItem, ...]
    dropped: tuple[DroppedItem, ...]

    @property
    def budget_used_percent(self) -> float:
        """Used part of the budget, from 0 to 100."""
        if not self.budget_tokens:
            return 0.0
        return 100 * self.total_tokens / self.budget_tokens


@dataclass(frozen=True, slots=True)
class _Step:
    """A part of an item that is added at once; `first` brings label and heading."""

    item: int
    span: Span
    first: bool


@dataclass(frozen=True, slots=True)
class _Scissors:
    """Cuts the step at which the budget ends."""

    count_tokens: Callable[[str], int]
    cut: Cut

    def part(
        self, item: PackItem, step: _Step, headings: set[str], left: int
    ) -> tuple[_Step, ...]:
        """Return the longest cut of a step that fits, or nothing."""
        cuts = self._cuts(item, step)
        low, high = 0, len(cuts)
        while low < high:
            middle = (low + high) // 2
            texts = [_step_text(item, one, headings) for one in cuts[middle]]
            if sum(map(self.count_tokens, texts)) <= left:
                low = middle + 1
            else:
                high = middle
        return cuts[low - 1] if low else ()

    def _cuts(self, item: PackItem, step: _Step) -> list[tuple[_Step, ...]]:
        """Return ever longer cuts, each within the next."""
        start, text = step.span.start, step.span.of(item.text)
        if self.cut is Cut.SENTENCES:
            ends = [start + one.end for one in sentences(text)]
            return [(_Step(step.item, Span(start, e), step.first),) for e in ends]
        if self.cut is Cut.NEVER:
            return []
        pieces = [Span(*found.span()) for found in _PIECE.finditer(text)]
        cuts: list[tuple[_Step, ...]] = []
        for kept in range(1, len(pieces)):
            tail = kept // HEAD_PER_TAIL
            head = Span(start, start + pieces[kept - tail - 1].end)
            steps: tuple[_Step, ...] = (_Step(step.item, head, step.first),)
            if tail:
                rest = Span(start + pieces[-tail].start, step.span.end)
                steps += (_Step(step.item, rest, first=False),)
            cuts.append(steps)
        return cuts


def pack(
    items: Sequence[PackItem],
    budget_tokens: int,
    count_tokens: Callable[[str], int],
    cut: Cut = Cut.SENTENCES,
) -> Pack:
    """Return the best memories, whole or in excerpts, within `budget_tokens`.

    `count_tokens` gives the tokens of a text in the model that will read the pack; it
    is called about once a packed step.

    Raises `ValueError` for a negative budget and for two items with one id.
    """
    kept, dropped = _admitted(items, budget_tokens)
    steps = [step for at in kept for step in _steps_of(items[at], at, cut)]
    order = [
        step
        for _, step in sorted(_worths(items, kept, steps), key=lambda pair: -pair[0])
    ]
    return _filled(items, order, dropped, budget_tokens, _Scissors(count_tokens, cut))


def optimize(
    items: Sequence[PackItem],
    max_tokens: int,
    count_tokens: Callable[[str], int],
    *,
    reserve_tokens: int = 0,
    cut: Cut = Cut.SENTENCES,
) -> Pack:
    """Return whole items by priority against length, within the limit less reserve.

    The order is `worth / tokens ** LENGTH_EXPONENT`, so every item is counted once.
    Only the item at which the budget ends may be partial. The budget is 0 where the
    reserve is larger than the limit.

    Raises `ValueError` for a negative limit or reserve and for two items with one id.
    """
    if reserve_tokens < 0:
        message = f"reserve_tokens must be 0 or more, got {reserve_tokens}"
        raise ValueError(message)
    if max_tokens < 0:
        message = f"max_tokens must be 0 or more, got {max_tokens}"
        raise ValueError(message)
    budget = max(max_tokens - reserve_tokens, 0)
    kept, dropped = _admitted(items, budget)
    ranked = []
    for at in kept:
        tokens = max(count_tokens(items[at].label + items[at].text), 1)
        ranked.append((max(items[at].worth, 0.0) / tokens**LENGTH_EXPONENT, at))
    order = [
        _whole(items[at], at) for _, at in sorted(ranked, key=lambda pair: -pair[0])
    ]
    return _filled(items, order, dropped, budget, _Scissors(count_tokens, cut))


def decayed_priority(
    priority: float,
    age_seconds: float,
    half_life_seconds: float = PRIORITY_HALF_LIFE_SECONDS,
) -> float:
    """Return what `priority` is worth after `age_seconds`; the future has age 0.

    Raises `ValueError` for a half-life that is not above 0.
    """
    if not half_life_seconds > 0:
        message = f"half_life_seconds must be above 0, got {half_life_seconds}"
        raise ValueError(message)
    return priority * math.exp2(-max(age_seconds, 0.0) / half_life_seconds)


def _admitted(
    items: Sequence[PackItem], budget_tokens: int
) -> tuple[list[int], dict[int, DropReason]]:
    """Return the places of items that compete, and why others do not."""
    if budget_tokens < 0:
        message = f"a budget must be 0 or more, got {budget_tokens}"
        raise ValueError(message)
    if len({item.id for item in items}) != len(items):
        message = "two items have the same id"
        raise ValueError(message)
    best: dict[tuple[str, str], int] = {}
    dropped: dict[int, DropReason] = {}
    for at, item in enumerate(items):
        if not item.text.strip():
            dropped[at] = DropReason.EMPTY
            continue
        same = best.get((item.label, item.text))
        if same is None:
            best[item.label, item.text] = at
        elif items[same].worth >= item.worth:
            dropped[at] = DropReason.DUPLICATE
        else:
            dropped[same] = DropReason.DUPLICATE
            best[item.label, item.text] = at
    return [at for at in range(len(items)) if at not in dropped], dropped


def _whole(item: PackItem, at: int) -> _Step:
    return _Step(at, Span(0, len(item.text)), first=True)


def _steps_of(item: PackItem, at: int, cut: Cut) -> Iterator[_Step]:
    if cut is not Cut.SENTENCES:
        yield _whole(item, at)
        return
    spans = item.excerpts or tuple(chunks(item.text, tokens_max=STEP_TOKENS_MAX))
    for number, span in enumerate(_with_rest(item.text, spans)):
        yield _Step(at, span, first=not number)


def _with_rest(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Yield the spans without overlaps, then what is between them, in chunks."""
    starts: list[int] = []
    taken: list[Span] = []
    for span in spans:
        at = bisect.bisect_left(starts, span.start)
        before = taken[at - 1].end if at else 0
        after = starts[at] if at < len(starts) else len(text)
        if before <= span.start < span.end <= after:
            starts.insert(at, span.start)
            taken.insert(at, span)
            yield span
    start = 0
    for span in [*taken, Span(len(text), len(text))]:
        between = text[start : span.start]
        if not between.isspace():
            for part in chunks(between, tokens_max=STEP_TOKENS_MAX):
                yield Span(start + part.start, start + part.end)
        start = span.end


def _worths(
    items: Sequence[PackItem], kept: Iterable[int], steps: Iterable[_Step]
) -> Iterator[tuple[float, _Step]]:
    taken = dict.fromkeys(kept, 0)
    for step in steps:
        taken[step.item] += 1
        yield max(items[step.item].worth, 0.0) / taken[step.item] ** DIMINISHING, step


def _filled(
    items: Sequence[PackItem],
    order: Sequence[_Step],
    dropped: dict[int, DropReason],
    budget_tokens: int,
    scissors: _Scissors,
) -> Pack:
    """Take steps in order while they fit, part of the next, and count the result."""
    count_tokens = scissors.count_tokens
    chosen: list[_Step] = []
    headings: set[str] = set()
    left = budget_tokens
    for step in order:
        item = items[step.item]
        tokens = count_tokens(_step_text(item, step, headings))
        if tokens > left:
            chosen.extend(scissors.part(item, step, headings, left))
            break
        left -= tokens
        headings.add(item.heading)
        chosen.append(step)
    while True:
        text, packed = _rendered(items, chosen)
        total = count_tokens(text) if text else 0
        if total <= budget_tokens:
            break
        chosen.pop()
    present = {item.id for item in packed}
    missing = tuple(
        DroppedItem(item.id, dropped.get(at, DropReason.BUDGET))
        for at, item in enumerate(items)
        if item.id not in present
    )
    return Pack(text, total, budget_tokens, packed, missing)


def _step_text(item: PackItem, step: _Step, headings: set[str]) -> str:
    """Return what a step adds to the text at most: the gaps beside it counted in."""
    span = step.span
    before = _GAP if span.start else ""
    after = _GAP if span.end < len(item.text) else ""
    body = before + span.of(item.text) + after + _BETWEEN_BLOCKS
    if not step.first:
        return body
    if item.heading and item.heading not in headings:
        return _BEFORE_HEADING + item.heading + _BETWEEN_BLOCKS + item.label + body
    return item.label + body


def _rendered(
    items: Sequence[PackItem], chosen: Sequence[_Step]
) -> tuple[str, tuple[PackedItem, ...]]:
    spans: dict[int, list[Span]] = {}
    for step in chosen:
        spans.setdefault(step.item, []).append(step.span)
    opened: dict[str, float] = {}
    for item in items:
        opened[item.heading] = min(
            opened.get(item.heading, item.position), item.position
        )
    order = sorted(
        spans,
        key=lambda at: (
            opened[items[at].heading],
            items[at].heading,
            items[at].position,
            at,
        ),
    )
    blocks: list[str] = []
    packed: list[PackedItem] = []
    heading = ""
    for at in order:
        item = items[at]
        body, partial = _body(item, spans[at])
        if item.heading != heading:
            heading = item.heading
            blocks.append((_BETWEEN_BLOCKS if blocks else "") + heading)
        blocks.append(item.label + body)
        packed.append(PackedItem(item.id, body, item.category, partial))
    return _BETWEEN_BLOCKS.join(blocks), tuple(packed)


def _body(item: PackItem, spans: Iterable[Span]) -> tuple[str, bool]:
    """Join the spans in the order of the text, with a mark where text is missing."""
    text = item.text
    end = 0
    parts: list[str] = []
    for span in sorted(spans, key=lambda one: one.start):
        between = text[end : span.start]
        parts.append(_GAP if between.strip() else between)
        parts.append(span.of(text))
        end = span.end
    rest = text[end:]
    parts.append(_GAP if rest.strip() else rest)
    body = "".join(parts).strip()
    return body, _GAP.strip() in body and body != text.strip()
