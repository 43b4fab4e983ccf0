"""Compression: the sentences that say most of a conversation, in its own words.

Extractive on purpose: nothing is in the summary that nobody said. Sentences are
ranked by LexRank (Erkan and Radev, "LexRank: Graph-based Lexical Centrality as
Salience in Text Summarization", JAIR 2004): the stationary weight of a sentence in
the graph of tf-idf cosines. A sentence that repeats a chosen one is passed over
(the redundancy rule of Carbonell and Goldstein, "The Use of MMR", SIGIR 1998). The
chosen sentences keep the order of the conversation and the names of their authors.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cortex.memory.chunking import Span, sentences
from cortex.memory.terms import TermAnalyser

SENTENCES_MAX: Final = 400
"""Sentences that are compared with one another; the graph is their square."""

SENTENCE_WORDS_MIN: Final = 4
"""Words that a sentence needs to be able to say something on its own."""

REPEATS_ABOVE: Final = 0.6
"""Cosine of two sentences from which one repeats the other."""

DAMPING: Final = 0.85
"""Weight of the graph against an even start, as in PageRank."""

_ROUNDS: Final = 30
_BETWEEN: Final = "\n"
_GAP: Final = " "

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody said; an empty `author` is not rendered."""

    id: str
    author: str
    text: str

    @property
    def rendered(self) -> str:
        """The message as it stands in a prompt."""
        return f"{self.author}: {self.text}" if self.author else self.text


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence taken over: the message it is from and its place there."""

    message_id: str
    span: Span


@dataclass(frozen=True, slots=True)
class Summary:
    """Chosen sentences in order; `total_tokens` is the count of exactly `text`."""

    text: str
    total_tokens: int
    quotes: tuple[Quote, ...]


EMPTY_SUMMARY: Final = Summary("", 0, ())


@dataclass(frozen=True, slots=True)
class _Sentence:
    message: int
    span: Span
    counts: Counter[int]


def summarise(
    messages: Sequence[Message],
    budget_tokens: int,
    count_tokens: Callable[[str], int],
    analyser: TermAnalyser,
) -> Summary:
    """Return the most central sentences of `messages` within `budget_tokens`.

    The order of choice does not depend on the budget, and the choice ends at the
    first sentence that does not fit: a larger budget never loses a sentence.

    Raises `ValueError` for a negative budget.
    """
    if budget_tokens < 0:
        message = f"a budget must be 0 or more, got {budget_tokens}"
        raise ValueError(message)
    found = _candidates(messages, analyser)
    if not found or not budget_tokens:
        return EMPTY_SUMMARY
    chosen: list[_Sentence] = []
    left = budget_tokens
    for at in _by_worth(found):
        sentence = found[at]
        left -= count_tokens(_rendered(messages, [sentence]) + _BETWEEN)
        if left < 0:
            break
        chosen.append(sentence)
    while chosen:
        text = _rendered(messages, chosen)
        total = count_tokens(text)
        if total <= budget_tokens:
            return Summary(text, total, _quotes(messages, chosen))
        chosen.pop()
    return EMPTY_SUMMARY


def _candidates(messages: Sequence[Message], analyser: TermAnalyser) -> list[_Sentence]:
    """Return the sentences that can stand alone, the most telling if too many."""
    found = []
    for number, message in enumerate(messages):
        for span in sentences(message.text):
            counts = Counter(analyser.query_terms(span.of(message.text)))
            if len(counts) >= SENTENCE_WORDS_MIN:
                found.append(_Sentence(number, span, counts))
    if len(found) <= SENTENCES_MAX:
        return found
    weights = _idf(found)
    telling = [
        sum(weights[term] for term in one.counts) / math.sqrt(len(one.counts))
        for one in found
    ]
    best = sorted(range(len(found)), key=lambda at: (-telling[at], at))
    return [found[at] for at in sorted(best[:SENTENCES_MAX])]


def _idf(found: Sequence[_Sentence]) -> dict[int, float]:
    frequency = Counter(term for one in found for term in one.counts)
    return {term: math.log(1 + len(found) / count) for term, count in frequency.items()}


def _by_worth(found: Sequence[_Sentence]) -> list[int]:
    """Return the places of sentences, the most central first, without repeats."""
    alike = _similarities(found)
    order = np.argsort(-_centrality(alike), kind="stable").tolist()
    kept: list[int] = []
    for at in order:
        if not kept or float(alike[at, kept].max()) < REPEATS_ABOVE:
            kept.append(at)
    return kept


def _similarities(found: Sequence[_Sentence]) -> Matrix:
    weights = _idf(found)
    column = {term: at for at, term in enumerate(weights)}
    table = np.zeros((len(found), len(column)), np.float32)
    for row, sentence in zip(table, found, strict=True):
        for term, count in sentence.counts.items():
            row[column[term]] = count * weights[term]
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    alike: Matrix = table @ table.T
    return alike


def _centrality(alike: Matrix) -> NDArray[np.float64]:
    steps = alike.astype(np.float64)
    steps /= steps.sum(axis=1, keepdims=True)
    count = len(steps)
    weight = np.full(count, 1 / count)
    for _ in range(_ROUNDS):
        weight = (1 - DAMPING) / count + DAMPING * (weight @ steps)
    return weight


def _in_order(chosen: Sequence[_Sentence]) -> list[_Sentence]:
    return sorted(chosen, key=lambda one: (one.message, one.span.start))


def _rendered(messages: Sequence[Message], chosen: Sequence[_Sentence]) -> str:
    """Join the sentences of one message, after its author, one message a line."""
    lines: dict[int, list[str]] = {}
    for one in _in_order(chosen):
        text = one.span.of(messages[one.message].text)
        lines.setdefault(one.message, []).append(text)
    return _BETWEEN.join(
        Message("", messages[number].author, _GAP.join(parts)).rendered
        for number, parts in lines.items()
    )


def _quotes(
    messages: Sequence[Message], chosen: Sequence[_Sentence]
) -> tuple[Quote, ...]:
    return tuple(Quote(messages[one.message].id, one.span) for one in _in_order(chosen))
