"""Text analysis: from a text to the terms that the lexical index counts.

A term is the CRC-32 of a stem. A 32-bit number instead of a string keeps the postings
small and the stored form of a document (see `cortex.memory.lexical`) compact. That a
query term shares its number with one of 30 000 other stems has a chance of one in
140 000, and then adds noise to that one term. CRC-32 and not `hash()`, because the
numbers are stored: they must be the same in every process and on every machine.

Words are runs of letters and digits after Unicode NFKC and case folding. Scripts
that do not put spaces between words (Han, Kana, Hangul syllables, Thai) are cut into
overlapping character bigrams, which is the usual dictionary-free choice (Nie et al.,
"On the use of words and n-grams for Chinese information retrieval", IRAL 2000).
"""

import re
import unicodedata
import zlib
from collections import Counter
from typing import Final, Protocol

import Stemmer

CACHED_WORDS_MAX: Final = 50_000
"""Words whose term is remembered; about 6 MB when full, then emptied and refilled."""

WORD_LENGTH_MAX: Final = 64
"""Characters of a word that count; the rest of a longer run is base64 or a URL."""

_UNSPACED: Final = (
    "\u0e00-\u0e7f"  # Thai
    "\u1100-\u11ff\uac00-\ud7af"  # Hangul
    "\u3040-\u30ff\u31f0-\u31ff"  # Kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han
    "\U00020000-\U0003ffff"
)
_WORD: Final = re.compile(
    rf"[{_UNSPACED}]+"
    r"|\d+(?:[.,:]\d+)+"
    rf"|(?:[^\W_{_UNSPACED}]+)(?:['\u2019][^\W_{_UNSPACED}]+)*"
)
_UNSPACED_RUN: Final = re.compile(rf"[{_UNSPACED}]")

QUERY_STOP_WORDS: Final = frozenset(
    """
    a about after again all also am an and any are as at be because been before being
    but by can could did do does doing done during each for from further get gets got
    had has have having he her here hers him his how i if in into is it its just kind
    like me mention mentioned might more most much my name of off on once only or other
    our out over own please s same say said says she should so some such tell than that
    the their them then there these they this those through to too under until up us
    very was we were what when where which while who whom whose why will with would you
    your
    """.split()  # noqa: SIM905 - a hundred quotes read worse
)
"""English words that carry no subject in a question.

They are left out of queries only: a document keeps every word, so a later change of
this list needs no reindexing.
"""


FIRST_PERSON_ROLES: Final = frozenset({"user", "human", "me"})
"""Author names that stand for the person who asks."""

SECOND_PERSON_ROLES: Final = frozenset({"assistant", "ai", "agent", "bot", "model"})
"""Author names that stand for the one who is asked."""

_FIRST_PERSON: Final = re.compile(r"\b(?:i|me|my|mine|myself)\b", re.IGNORECASE)
_SECOND_PERSON: Final = re.compile(
    r"\b(?:did|have|had|were|was) you\b|\byour (?:advice|answer|recommend|suggest)"
    r"|\byou (?:advised|explained|gave|mentioned|provided|recommended|said|suggested"
    r"|told|wrote)\b",
    re.IGNORECASE,
)


class _StemsWords(Protocol):
    def stemWord(self, word: str, /) -> str: ...  # noqa: N802 - PyStemmer's name


def words(text: str) -> list[str]:
    """Return the words of `text` in order, folded, unstemmed.

    Apostrophes are taken out ("don't" gives "dont") and a possessive "'s" is dropped;
    grouped digits are one word without the commas ("1,000" gives "1000").
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        if word.isascii() and word.isalpha():
            found.append(word[:WORD_LENGTH_MAX])
        elif _UNSPACED_RUN.match(word):
            found.extend(_bigrams(word))
        else:
            found.append(_joined(word)[:WORD_LENGTH_MAX])
    return found


def _bigrams(run: str) -> list[str]:
    if len(run) == 1:
        return [run]
    return [run[at : at + 2] for at in range(len(run) - 1)]


def _joined(word: str) -> str:
    if word[0].isdigit():
        return word.replace(",", "")
    word = word.replace("\u2019", "'")
    return word.removesuffix("'s").replace("'", "")


class TermAnalyser:
    """Turns texts into terms; deterministic, with a bounded memory of seen words.

    One object serves one event loop or thread: a stemmer is not re-entrant.
    """

    __slots__ = ("_stemmer", "_terms")

    def __init__(self, language: str = "english") -> None:
        """Take the Snowball algorithm by name; words of other languages pass through.

        Raises `KeyError` for a language that Snowball does not have.
        """
        self._stemmer: _StemsWords = Stemmer.Stemmer(language)
        self._terms: dict[str, int] = {}

    def terms(self, text: str) -> list[int]:
        """Return the term of each word of `text`, in order, with repetitions."""
        known = self._terms
        found: list[int] = []
        for word in words(text):
            term = known.get(word)
            found.append(self._learn(word) if term is None else term)
        return found

    def counts(self, text: str) -> dict[int, int]:
        """Return how often each term occurs in `text`: what a document stores."""
        return Counter(self.terms(text))

    def query_terms(self, query: str) -> list[int]:
        """Return the distinct terms that a query asks for, in order of appearance.

        Stop words are left out unless nothing else is there ("who are you").
        """
        asked = words(query)
        kept = [word for word in asked if word not in QUERY_STOP_WORDS]
        return list(dict.fromkeys(self._term(word) for word in kept or asked))

    def name_terms(self, name: str) -> frozenset[int]:
        """Return the terms by which a text may call the author `name`.

        Every word of the name counts, apart from single characters and words that
        are not names ("the", "my").
        """
        return frozenset(
            self._term(word)
            for word in words(name)
            if len(word) > 1 and word not in QUERY_STOP_WORDS
        )

    def _term(self, word: str) -> int:
        term = self._terms.get(word)
        return self._learn(word) if term is None else term

    def _learn(self, word: str) -> int:
        if len(self._terms) >= CACHED_WORDS_MAX:
            self._terms.clear()
        term = zlib.crc32(self._stemmer.stemWord(word).encode())
        self._terms[word] = term
        return term


class AuthorDirectory:
    """Finds the authors that a query names, among any number of them.

    An author is named by a part of the name ("what does Ann eat"), and by role: "I",
    "my" is the person who asks, `FIRST_PERSON_ROLES`; "did you", "you suggested" is
    the assistant, `SECOND_PERSON_ROLES`. Plain "can you ..." asks for a service and
    names nobody.
    """

    __slots__ = ("_analyser", "_first_person", "_named_by", "_second_person")

    def __init__(self, analyser: TermAnalyser) -> None:
        """Start empty; `analyser` is the one that analyses the queries."""
        self._analyser = analyser
        self._named_by: dict[int, set[int]] = {}
        self._first_person: set[int] = set()
        self._second_person: set[int] = set()

    def add(self, number: int, name: str) -> None:
        """Make an author known by the number that documents carry."""
        role = name.strip().casefold()
        if role in FIRST_PERSON_ROLES:
            self._first_person.add(number)
        elif role in SECOND_PERSON_ROLES:
            self._second_person.add(number)
        else:
            for term in self._analyser.name_terms(name):
                self._named_by.setdefault(term, set()).add(number)

    def named_in(self, query: str) -> frozenset[int]:
        """Return the numbers of the authors that `query` names."""
        found: set[int] = set()
        for term in self._analyser.terms(query):
            found |= self._named_by.get(term, frozenset())
        if self._first_person and _FIRST_PERSON.search(query):
            found |= self._first_person
        if self._second_person and _SECOND_PERSON.search(query):
            found |= self._second_person
        return frozenset(found)
