"""Sentences that say again what was said before, across many texts.

A sentence repeats an earlier one of the same speaker when, little words aside, the two
are equal, or every word of it is in the other in nearly the same order: the Jaccard
index of their word pairs (A. Broder, "On the resemblance and containment of documents",
1997) is at least `REPEATS_FROM`. A sentence with any new word, number or "not" stays.
Candidates are found by the rare pairs that two such sentences must share (S. Chaudhuri,
V. Ganti and R. Kaushik, "A Primitive Operator for Similarity Joins in Data Cleaning",
ICDE 2006).
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from cortex.memory.chunking import Span, sentences

WORDS_MIN: Final = 4
"""Words below which a sentence means something only where it stands ("Yes, both.")."""

REPEATS_FROM: Final = 0.8
"""Share of common word pairs from which a sentence repeats another."""

COMPARED_MAX: Final = 4_000
"""Sentences compared for near repeats: 0.3 s; equal ones are found beyond that."""

CANDIDATES_MAX: Final = 50
"""Earlier sentences with one pair that a sentence is compared with."""

_LIGHT: Final = frozenset(
    {"a", "also", "an", "just", "oh", "please", "really", "so", "the", "very", "well"}
)
_NEGATIONS: Final = frozenset({"no", "not", "never", "none", "nor", "without", "t"})
_WORD: Final = re.compile(r"\w+")

Words = tuple[str, ...]
Pairs = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A sentence that repeats an earlier one; `verbatim` when letter by letter."""

    span: Span
    verbatim: bool


@dataclass(frozen=True, slots=True)
class _Sentence:
    speaker: str
    span: Span
    text: str
    words: Words
    pairs: Pairs


def repeats(texts: Sequence[tuple[str, str]]) -> list[tuple[Repeat, ...]]:
    """Return for each (speaker, text) its sentences that an earlier one said."""
    said = [_sentences(speaker, text) for speaker, text in texts]
    everything = [one for some in said for one in some]
    known = _Known(Counter(pair for one in everything for pair in one.pairs))
    return [
        tuple(found for one in some if (found := known.meet(one)) is not None)
        for some in said
    ]


def _sentences(speaker: str, text: str) -> list[_Sentence]:
    found = []
    for span in sentences(text):
        sentence = span.of(text)
        words = tuple(
            word for word in _WORD.findall(sentence.casefold()) if word not in _LIGHT
        )
        if len(words) >= WORDS_MIN:
            pairs = frozenset(pairwise(words))
            found.append(_Sentence(speaker, span, sentence, words, pairs))
    return found


class _Known:
    """What was said so far."""

    def __init__(self, frequency: Counter[tuple[str, str]]) -> None:
        self._frequency = frequency
        self._texts: dict[tuple[str, Words], str] = {}
        self._compared: list[_Sentence] = []
        self._by_pair: dict[tuple[str, tuple[str, str]], list[int]] = defaultdict(list)

    def meet(self, one: _Sentence) -> Repeat | None:
        """Return the sentence as a repeat, or take note of it."""
        before = self._texts.get((one.speaker, one.words))
        if before is not None:
            return Repeat(one.span, before == one.text)
        rare = self._rare(one.pairs)
        numbers = {
            n for pair in rare for n in self._by_pair.get((one.speaker, pair), ())
        }
        if any(_says_again(one, self._compared[number]) for number in sorted(numbers)):
            return Repeat(one.span, verbatim=False)
        self._texts[one.speaker, one.words] = one.text
        if len(self._compared) < COMPARED_MAX:
            for pair in rare:
                known = self._by_pair[one.speaker, pair]
                if len(known) < CANDIDATES_MAX:
                    known.append(len(self._compared))
            self._compared.append(one)
        return None

    def _rare(self, pairs: Pairs) -> Iterable[tuple[str, str]]:
        """Return so many of the pairs that any repeat must share one."""
        order = sorted(pairs, key=lambda pair: (self._frequency[pair], pair))
        return order[: len(order) - math.ceil(REPEATS_FROM * len(order)) + 1]


def _says_again(later: _Sentence, earlier: _Sentence) -> bool:
    later_words, earlier_words = set(later.words), set(earlier.words)
    if later_words - earlier_words or _NEGATIONS & (earlier_words - later_words):
        return False
    common = len(later.pairs & earlier.pairs)
    either = len(later.pairs) + len(earlier.pairs) - common
    return common >= REPEATS_FROM * either
