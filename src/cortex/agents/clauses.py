"""A goal taken apart into its own clauses, with the order that its words give.

Nothing is added: each part is a piece of the goal. What splits it are sentence ends,
list items, words of order ("then", "before releasing it", "after the review, …") and
commas or "and" before a verb. What bounds the work ("without downtime", "must …") is
a constraint and no part. English only; another language comes back in sentences.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from cortex.agents.verbs import GERUNDS, imperative, is_verb

PARTS_MAX: Final = 64
"""Parts that are looked at; a longer list is cut."""

CHARACTERS_MAX: Final = 10_000
"""Characters of a goal that are looked at."""


class Link(Enum):
    """How a part follows the one before it in the list."""

    ORDERED = "ordered"
    LISTED = "listed"
    ALONGSIDE = "alongside"


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of work that the goal names.

    Attributes:
        link: ``ORDERED`` when a word says that it comes after the part before,
            ``LISTED`` when it merely stands behind it, ``ALONGSIDE`` when a word says
            that both go on at once.
        cue: the words that say so; empty without any.
    """

    text: str
    link: Link = Link.LISTED
    cue: str = ""


@dataclass(frozen=True, slots=True)
class Decomposition:
    """The parts in order, what bounds them, and what was told beside."""

    parts: tuple[Part, ...]
    constraints: tuple[str, ...] = ()
    background: tuple[str, ...] = ()


_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[\"'(A-Z0-9])|;\s+")
_BULLET: Final = re.compile(r"^\s*(?:[-*\u2022\u2013]|\(?\d{1,2}[.)])\s+")
_OPENING: Final = re.compile(
    r"^(?:please|first(?:ly)?,?|now,?|(?:i|we)(?:'d)? (?:want|need|would like|have"
    r"|plan|must)(?: you)? to|(?:help|let) (?:me|us)(?: to)?|let's|(?:my|our|the)"
    r" (?:goal|aim|task|objective) is(?: to)?|(?:can|could) you(?: please)?|to)\s+",
    re.IGNORECASE,
)
_THEN: Final = re.compile(
    r"(?:,|\band\b|,\s*and\b)?\s*\b(then|afterwards|after that|finally|lastly|next"
    r"|followed by|subsequently)\b,?\s+",
    re.IGNORECASE,
)
_LEADING: Final = re.compile(
    r"^(before that|before|after that|after|once)\b,?\s+(.+?),\s+(.+)$", re.IGNORECASE
)
_TRAILING: Final = re.compile(
    r"^(.+?),?\s+(before|after|once)\s+((?:you(?:'ve| have)?\s+)?\w+\b.*)$",
    re.IGNORECASE,
)
_ALONGSIDE: Final = re.compile(
    r"^(?:meanwhile|in parallel|at the same time|independently)\b,?\s+|"
    r",?\s+(?:in parallel|at the same time)$",
    re.IGNORECASE,
)
_BOUND: Final = re.compile(
    r",?\s+((?:without|within|no later than|at most|no more than|while keeping"
    r"|while staying|so that|as long as|and (?:do not|don't|never|avoid))\s+.+)$",
    re.IGNORECASE,
)
_RULE: Final = re.compile(
    r"^(?:it|this|they|the \w+|everything|all \w+|nothing|no \w+|you|we)?\s*"
    r"(?:must|should|shall|may|can|do|does)(?: not|n't)?\b|^(?:never|avoid|don't|keep"
    r"|without|within|no)\b",
    re.IGNORECASE,
)
_BEFORE_THAT: Final = re.compile(
    r"^(before that|beforehand|prior to that)\b,?\s+", re.IGNORECASE
)
_ADVERBS: Final = frozenset({"you", "you've", "also", "only", "just"})
_JOINT: Final = re.compile(r",\s*(?:and\s+)?|\s+and\s+", re.IGNORECASE)


def decompose(goal: str) -> Decomposition:
    """Return the goal's own parts; at least one unless the goal is blank."""
    parts: list[Part] = []
    constraints: list[str] = []
    background: list[str] = []
    last = 0
    for sentence in _sentences(goal[:CHARACTERS_MAX]):
        if _RULE.match(sentence) and not is_verb(sentence.split()[0]):
            constraints.append(sentence)
            continue
        title, work = _untitled(sentence)
        background += title
        early = _BEFORE_THAT.match(work)
        found, bound = _read(work if early is None else work[early.end() :])
        constraints += bound
        if not any(_acts(part.text) for part in found):
            background.append(work)
        elif early is not None and parts:
            then = replace(parts[last], link=Link.ORDERED, cue=early[1].casefold())
            parts[last:] = [*found, then, *parts[last + 1 :]]
        else:
            last = len(parts)
            parts += found
    if not parts:
        parts = [Part(text) for text in background or constraints]
        constraints, background = ([] if not background else constraints), []
    return Decomposition(
        tuple(parts[:PARTS_MAX]), tuple(constraints), tuple(background)
    )


def sentences(text: str) -> list[str]:
    """Return the sentences and list items of a text, in order."""
    # Runs of white space go first: a search from each place of one takes its square.
    lines = (" ".join(line.split()) for line in text.splitlines())
    pieces = (
        _BULLET.sub("", piece).strip()
        for line in lines
        for piece in _SENTENCE.split(line)
    )
    return [piece for piece in pieces if piece]


def _sentences(goal: str) -> Iterator[str]:
    for piece in sentences(goal):
        text = piece.rstrip(" .!?:")
        before = None
        while text != before:
            before, text = text, _OPENING.sub("", text, count=1).lstrip()
        if text:
            yield text


def _untitled(sentence: str) -> tuple[list[str], str]:
    """Return what stands before a colon, and the work that it announces."""
    title, _, work = sentence.partition(": ")
    return ([title], work) if work and _acts(work) else ([], sentence)


def _read(sentence: str) -> tuple[list[Part], list[str]]:
    """Return the parts of a sentence, and what bounds them."""
    bound = _BOUND.search(sentence)
    limits = []
    if bound is not None:
        limits.append(re.sub(r"^and\s+", "", bound[1], flags=re.IGNORECASE))
        sentence = sentence[: bound.start()]
    parts: list[Part] = []
    for piece, cue in _in_turn(sentence):
        for n, part in enumerate(_ordered(piece)):
            first = n == 0 and bool(cue)
            parts.append(replace(part, link=Link.ORDERED, cue=cue) if first else part)
    return [part for part in parts if part.text], limits


def _in_turn(sentence: str) -> Iterator[tuple[str, str]]:
    """Yield pieces between words of order, each with the word before it."""
    at, cue = 0, ""
    for match in _THEN.finditer(sentence):
        if match.start() > at:
            yield sentence[at : match.start()].strip(" ,"), cue
        at, cue = match.end(), match[1].casefold()
    yield sentence[at:].strip(" ,"), cue


def _ordered(piece: str) -> list[Part]:
    """Return the parts of a piece, turned round where "before" and "after" say so."""
    leading = _LEADING.match(piece)
    if leading is not None:
        cue, other, main = leading[1].casefold(), leading[2], leading[3]
        if cue in {"before that", "after that"}:
            return _listed(f"{other}, {main}")
        return _pair(main, other, cue) if cue == "before" else _pair(other, main, cue)
    trailing = _TRAILING.match(piece)
    if trailing is not None and _acts(trailing[3]):
        main, cue, other = trailing[1], trailing[2].casefold(), trailing[3]
        return _pair(main, other, cue) if cue == "before" else _pair(other, main, cue)
    return _listed(piece)


def _pair(early: str, late: str, cue: str) -> list[Part]:
    first, *rest = _listed(late)
    return [*_listed(early), replace(first, link=Link.ORDERED, cue=cue), *rest]


def _listed(piece: str) -> list[Part]:
    """Split at commas and "and" before a verb; lone verbs share the last object."""
    alongside = _ALONGSIDE.search(piece)
    if alongside is not None:
        piece = _ALONGSIDE.sub("", piece)
    texts = _pieces(piece)
    run: list[str] = []
    result: list[str] = []
    for text in texts:
        run.append(text)
        if " " in text:
            thing = text.partition(" ")[2]
            result += [word if " " in word else f"{word} {thing}" for word in run]
            run = []
    result += run
    link = Link.LISTED if alongside is None else Link.ALONGSIDE
    cue = "" if alongside is None else alongside[0].strip(" ,").casefold()
    parts = [Part(_tidy(text)) for text in result]
    return [replace(parts[0], link=link, cue=cue), *parts[1:]]


def _pieces(piece: str) -> list[str]:
    found: list[str] = []
    at = 0
    for match in _JOINT.finditer(piece):
        word = re.match(r"[\w-]+", piece[match.end() :])
        if word is not None and _acts(word[0]) and _acts(piece[at:]):
            found.append(piece[at : match.start()].strip(" ,"))
            at = match.end()
    found.append(piece[at:].strip(" ,"))
    return found


def _acts(text: str) -> bool:
    """Return whether a text begins with something to do."""
    words = [word.strip(",:") for word in text.casefold().split(maxsplit=2)]
    if words and words[0] in _ADVERBS:
        words = words[1:]
    return bool(words) and (is_verb(words[0]) or words[0] in GERUNDS)


def _tidy(text: str) -> str:
    text = imperative(re.sub(r"^(?:also|you(?:'ve)?)\s+", "", text.strip(" ,.")))
    return text[:1].upper() + text[1:]
