"""What a text states: its sentences, numbers, citations and polarity."""

import re
from dataclasses import dataclass
from typing import Final

from cortex.agents.clauses import sentences
from cortex.memory.terms import QUERY_STOP_WORDS, words

STATEMENTS_MAX: Final = 200
"""Statements of one text that are looked at."""

CLAUSES_MAX: Final = 8
"""Clauses of one sentence that are looked at: each is held against each other one."""

NUMBERS_MAX: Final = 5_000
"""Different numbers of a text that are looked at."""

CITATIONS_MAX: Final = 100

CLAIM_WORDS_MIN: Final = 4
"""Words from which a sentence states something that can be held against a source."""

_NUMBER: Final = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:\s?%)?(?![\w]*\])")
_ORDINAL: Final = re.compile(r"(?:^|\n)[ \t]*\(?\d{1,2}[.)]\s")
_CITATIONS: Final = (
    re.compile(r"https?://[^\s)>\]\"']+"),
    re.compile(r"\bdoi:\s?10\.\d{4,9}/\S+|\b10\.\d{4,9}/[^\s)]+", re.IGNORECASE),
    re.compile(r"\b[A-Z][A-Za-z-]+ (?:et al\.|and [A-Z][A-Za-z-]+),? \(?\d{4}\)?"),
    re.compile(
        r"\(([A-Z][A-Za-z-]+(?: et al\.| (?:and|&) [A-Z][A-Za-z-]+)?,? \d{4})\)"
    ),
    re.compile(r"[\"“]([^\"”]{12,300})[\"”]"),
    re.compile(r"\b(?:RFC|ISO|CVE|ADR)[ -]?\d[\d-]*\b"),
    re.compile(r"\[\d{1,3}\]"),
)
_REPLY: Final = re.compile(r"^(?:yes|no)\b[,.:]\s*", re.IGNORECASE)
_CLAUSE: Final = re.compile(
    r"[,;:]\s+(?:(?:but|and|while|which|because|so|although)\s+)?"
    r"|\s+(?:but|because|while|although|whereas)\s+",
    re.IGNORECASE,
)
_NEGATION: Final = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|without|cannot|fails? to|failed"
    r" to|unable|lacks?|lacking|refuses?|refused|isn't|aren't|wasn't|weren't|don't"
    r"|doesn't|didn't|can't|couldn't|won't|wouldn't|shouldn't|hasn't|haven't|hadn't)\b",
    re.IGNORECASE,
)
_NEGATIONS: Final = frozenset(
    """
    not never none nobody nothing neither nor without cannot fail fails failed unable
    lack lacks lacking refuse refuses refused isnt arent wasnt werent dont doesnt didnt
    cant couldnt wont wouldnt shouldnt hasnt havent hadnt
    """.split()  # noqa: SIM905 - a hundred quotes read worse
)


def _folded(word: str) -> str:
    """Return a word without the -s of a plural or of the third person."""
    plural = len(word) > _SHORT and word.endswith("s") and not word.endswith("ss")
    return word[:-1] if plural else word


_SHORT: Final = 3
"""Characters up to which a final s belongs to the word ("gas", "was")."""

OPPOSITES: Final = tuple(
    frozenset(map(_folded, pair.split("/")))
    for pair in """
    increase/decrease increased/decreased increases/decreases rise/fall rises/falls
    rose/fell higher/lower high/low more/less most/least faster/slower fast/slow
    before/after first/last open/closed enabled/disabled enable/disable true/false
    success/failure succeeded/failed passed/failed allowed/forbidden optional/required
    cheap/expensive cheaper/dearer safe/unsafe early/late earlier/later up/down
    accepted/rejected approved/rejected always/never all/none with/without start/end
    morning/evening public/private synchronous/asynchronous gains/losses gained/lost
    won/lost present/absent online/offline above/below maximum/minimum grew/shrank
    improved/worsened better/worse hot/cold free/paid large/small larger/smaller
    """.split()  # noqa: SIM905 - a hundred quotes read worse
)
"""Words of which a statement holds one and its contrary the other."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence and what can be measured of it.

    Attributes:
        words: folded words without those that carry no subject and negations.
        numbers: as written, without commas.
        negated: whether an odd number of negations is in it.
    """

    text: str
    words: frozenset[str]
    numbers: frozenset[str]
    negated: bool


def statements(text: str) -> tuple[Statement, ...]:
    """Return the statements of a text, in order."""
    return tuple(statement(piece) for piece in sentences(text)[:STATEMENTS_MAX])


def statement(text: str) -> Statement:
    """Return what can be measured of one sentence."""
    subject = frozenset(words(text)) - QUERY_STOP_WORDS - _NEGATIONS
    found = frozenset(map(_folded, subject))
    negations = len(_NEGATION.findall(text))
    return Statement(text, found, frozenset(numbers(text)), negations % 2 == 1)


def clauses(text: str) -> tuple[Statement, ...]:
    """Return the clauses of a sentence, each with a polarity of its own.

    "It is open, but there is no lift" denies the lift and not the opening.
    """
    pieces = _CLAUSE.split(_REPLY.sub("", text))[:CLAUSES_MAX]
    return tuple(statement(piece) for piece in pieces)


def is_claim(one: Statement) -> bool:
    """Return whether it states enough to be held against a source."""
    return len(one.words) >= CLAIM_WORDS_MIN and not one.text.rstrip().endswith("?")


def numbers(text: str) -> list[str]:
    """Return the numbers, as they are compared: "1,000.50 %" is "1000.5"."""
    found = []
    for written in _NUMBER.findall(_ORDINAL.sub("\n", text)):
        plain = written.replace(",", "").rstrip("% ").lstrip("+")
        if "." in plain:
            plain = plain.rstrip("0").rstrip(".")
        found.append(plain)
    return found


def citations(text: str) -> list[str]:
    """Return links, papers, standards, quotations and numbered references."""
    found: list[str] = []
    for pattern in _CITATIONS:
        found += [
            (match[1] if match.lastindex else match[0]).rstrip(".,;")
            for match in pattern.finditer(text)
        ]
    return list(dict.fromkeys(found))[:CITATIONS_MAX]


def opposed(one: Statement, other: Statement) -> str:
    """Return why two statements of one subject cannot both hold; empty if they can.

    They are of one subject when the smaller shares most of its words with the larger.
    """
    smaller = min(len(one.words), len(other.words))
    if smaller < CLAIM_WORDS_MIN - 1:
        return ""
    shared = one.words & other.words
    if len(shared) + 1 < _SAME_SUBJECT * smaller:
        return ""
    contrary = _contrary(one.words, other.words)
    if len(shared) + len(contrary) / 2 < _SAME_SUBJECT * smaller:
        return ""
    if contrary:
        return f"{contrary[0]} against {contrary[1]}"
    if one.negated != other.negated and not _conditional(one, other):
        return "one is negated, the other is not"
    return _number_conflict(one, other)


_CONDITION: Final = re.compile(r"\b(?:if|unless|otherwise|except)\b", re.IGNORECASE)


def _conditional(one: Statement, other: Statement) -> bool:
    """Return whether one of both only says what would be."""
    return bool(_CONDITION.search(one.text) or _CONDITION.search(other.text))


_SAME_SUBJECT: Final = 0.7
"""Share of common words from which two statements speak of one thing."""


def _contrary(left: frozenset[str], right: frozenset[str]) -> tuple[str, ...]:
    only_left, only_right = left - right, right - left
    for pair in OPPOSITES:
        here, there = pair & only_left, pair & only_right
        if len(here) == 1 and len(there) == 1 and here != there:
            return (next(iter(here)), next(iter(there)))
    return ()


def _number_conflict(one: Statement, other: Statement) -> str:
    """Return the numbers that differ where everything else is nearly the same."""
    left, right = _quantities(one), _quantities(other)
    here, there = left - right, right - left
    if not here or not there:
        return ""
    plain, plain_other = one.words - one.numbers, other.words - other.numbers
    common, all_ = plain & plain_other, plain | plain_other
    if len(common) < _SAME_BUT_NUMBER * len(all_):
        return ""
    return f"{min(here)} against {min(there)}"


_LABEL: Final = re.compile(
    r"\b(?:[A-Z][a-z]+|version|chapter|section|page|step|number|room|line|item|part"
    r"|figure|table|day|week|server|floor|port)\s+#?\d[\d.]*"
)


def _quantities(one: Statement) -> frozenset[str]:
    """Return the numbers that measure; one that names, as in "Pier 4", does not."""
    if not one.numbers:
        return one.numbers
    return frozenset(numbers(_LABEL.sub("", one.text)))


_SAME_BUT_NUMBER: Final = 0.75
"""Share of common words, numbers aside, from which a differing number contradicts."""
