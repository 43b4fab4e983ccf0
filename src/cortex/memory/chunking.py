"""Cutting a long text into chunks that an embedder can represent.

A chunk is a run of whole sentences (or lines: lists, tables and code have no
sentences) that stays within a number of tokens. Chunks are spans of the original
text, so that an excerpt can be cut from it later.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

CHUNK_TOKENS_MAX: Final = 128
"""Tokens in a chunk: what small sentence embedders were trained on and blur beyond."""

CHARACTERS_PER_TOKEN: Final = 4.0
"""English prose in WordPiece tokens; the estimate used when no counter is given."""

_BREAK: Final = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|\s*\n\s*|(?<=[。！？])")  # noqa: RUF001
_SPACE: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text: characters `start` up to and without `end`."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """Return the part of `text` that this span names."""
        return text[self.start : self.end]


def estimate_tokens(text: str) -> int:
    """Return about how many tokens `text` has, from its length alone, at least 1."""
    return max(1, round(len(text) / CHARACTERS_PER_TOKEN))


def sentences(text: str) -> list[Span]:
    """Return the sentences and lines of `text`, without the space between them."""
    spans: list[Span] = []
    start = 0
    for gap in _BREAK.finditer(text):
        if text[start : gap.start()].strip():
            spans.append(_trimmed(text, start, gap.start()))
        start = gap.end()
    if text[start:].strip():
        spans.append(_trimmed(text, start, len(text)))
    return spans


def chunks(
    text: str,
    count_tokens: Callable[[str], int] = estimate_tokens,
    *,
    tokens_max: int = CHUNK_TOKENS_MAX,
) -> list[Span]:
    """Return consecutive spans of `text` of at most `tokens_max` tokens each.

    The spans do not overlap, are in order, and together hold every character that
    is not white space. A text within the limit is one span; an empty one has none.
    A sentence above the limit is cut between words, a word above it between
    characters. `count_tokens` is asked about twice a sentence; the limit holds as far
    as the count of a joined text does not pass the sum of its parts.

    Raises `ValueError` when `tokens_max` is below 1.
    """
    if tokens_max < 1:
        message = f"tokens_max must be at least 1, got {tokens_max}"
        raise ValueError(message)
    whole = _trimmed(text, 0, len(text))
    if whole.start == whole.end:
        return []
    if count_tokens(whole.of(text)) <= tokens_max:
        return [whole]
    found: list[Span] = []
    held: Span | None = None
    held_tokens = 0
    for piece in _pieces(text, count_tokens, tokens_max):
        tokens = count_tokens(piece.of(text))
        if held is None or held_tokens + tokens > tokens_max:
            if held is not None:
                found.append(held)
            held, held_tokens = piece, tokens
        else:
            held, held_tokens = Span(held.start, piece.end), held_tokens + tokens
    if held is not None:
        found.append(held)
    return found


def _trimmed(text: str, start: int, end: int) -> Span:
    part = text[start:end]
    left = len(part) - len(part.lstrip())
    right = len(part) - len(part.rstrip())
    return Span(min(start + left, end), max(end - right, min(start + left, end)))


def _pieces(
    text: str, count_tokens: Callable[[str], int], tokens_max: int
) -> Iterator[Span]:
    for sentence in sentences(text):
        if count_tokens(sentence.of(text)) <= tokens_max:
            yield sentence
        else:
            yield from _halved(text, sentence, count_tokens, tokens_max)


def _halved(
    text: str, span: Span, count_tokens: Callable[[str], int], tokens_max: int
) -> Iterator[Span]:
    pending = [span]
    while pending:
        part = pending.pop()
        if part.end - part.start <= 1 or count_tokens(part.of(text)) <= tokens_max:
            yield part
            continue
        middle = _cut(text, part)
        right = _trimmed(text, middle, part.end)
        left = _trimmed(text, part.start, middle)
        pending.extend(half for half in (right, left) if half.end > half.start)


def _cut(text: str, span: Span) -> int:
    """Return the place between words nearest the middle, else the middle itself."""
    middle = (span.start + span.end) // 2
    gap = _SPACE.search(text, middle, span.end)
    if gap is not None and gap.end() < span.end:
        return gap.start()
    before = text.rfind(" ", span.start + 1, middle)
    return before if before > 0 else middle
