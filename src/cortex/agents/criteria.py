"""Criteria that can be measured: length, form, and what must be named.

What a criterion asks is read from its English words; one that is not understood is
measured by how much of it the output covers.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cortex.agents.model import Issue, IssueKind, Severity, short

_AT_MOST: Final = (
    r"(?:at most|no more than|up to|max(?:imum)?(?: of)?|under|below"
    r"|(?<!no )fewer than|(?<!no )less than|<=?)"
)
_AT_LEAST: Final = (
    r"(?:at least|no fewer than|no less than|min(?:imum)?(?: of)?"
    r"|(?<!no )more than|over|>=?)"
)
_EXACTLY: Final = r"(?:exactly|in|of|with)?"
_UNIT: Final = (
    r"(?P<unit>words?|characters?|sentences?|paragraphs?|lines?|bullet(?: point)?s?"
    r"|items?|steps?)"
)
_LENGTHS: Final = (
    (
        re.compile(rf"\b{_AT_MOST}\s+(?P<count>\d+)\s+{_UNIT}\b", re.IGNORECASE),
        "at most",
    ),
    (
        re.compile(rf"\b{_AT_LEAST}\s+(?P<count>\d+)\s+{_UNIT}\b", re.IGNORECASE),
        "at least",
    ),
    (
        re.compile(rf"\b{_EXACTLY}\s*(?P<count>\d+)\s+{_UNIT}\b", re.IGNORECASE),
        "exactly",
    ),
)
_NAMED: Final = re.compile(
    r"\b(?:mentions?|includes?|contains?|names?|says?|states?|uses?|has|cites?)\b[^\"'“]*"
    r"[\"'“]([^\"'”]{1,200})[\"'”]",
    re.IGNORECASE,
)
_ABSENT: Final = re.compile(
    r"\b(?:no|not|never|avoid|without|must not|does not|don't)\b[^\"'“]*"
    r"[\"'“]([^\"'”]{1,200})[\"'”]",
    re.IGNORECASE,
)
_ITEM: Final = re.compile(
    r"^[ \t]*(?:[-*\u2022\u2013]|\(?\d{1,2}[.)])\s+\S", re.MULTILINE
)
_FORMS: Final[tuple[tuple[str, str], ...]] = (
    (r"\bjson\b", "json"),
    (r"\bbullet|\blist\b|\bnumbered\b", "list"),
    (r"\btable\b", "table"),
    (r"\bcode block\b|\bfenced\b", "code"),
    (r"\bheadings?\b", "heading"),
    (r"\bends? with a question\b", "question"),
)


@dataclass(frozen=True, slots=True)
class Met:
    """How one criterion was measured.

    Attributes:
        understood: whether its words asked something that can be counted.
    """

    understood: bool
    issue: Issue | None = None


def measure(criterion: str, content: str) -> Met:
    """Return whether the content meets a criterion that can be counted."""
    for check in (_length, _words, _form):
        met = check(criterion, content)
        if met.understood:
            return met
    return Met(understood=False)


def _length(criterion: str, content: str) -> Met:
    for pattern, sense in _LENGTHS:
        found = pattern.search(criterion)
        if found is None:
            continue
        wanted, unit = int(found["count"]), found["unit"].casefold().split()[0]
        actual = _COUNTS[unit.rstrip("s")](content)
        ok = {
            "at most": actual <= wanted,
            "at least": actual >= wanted,
            "exactly": actual == wanted,
        }[sense]
        told = f"{actual} {unit}; {sense} {wanted} were asked for"
        return _met(criterion, IssueKind.LENGTH, ok=ok, told=told)
    return Met(understood=False)


def _words(criterion: str, content: str) -> Met:
    text = content.casefold()
    absent = _ABSENT.search(criterion)
    if absent is not None:
        ok = absent[1].casefold() not in text
        told = f"it holds {absent[1]!r}"
        return _met(criterion, IssueKind.CRITERION_NOT_MET, ok=ok, told=told)
    named = _NAMED.search(criterion)
    if named is None:
        return Met(understood=False)
    ok = named[1].casefold() in text
    told = f"it does not hold {named[1]!r}"
    return _met(criterion, IssueKind.CRITERION_NOT_MET, ok=ok, told=told)


def _form(criterion: str, content: str) -> Met:
    for pattern, form in _FORMS:
        if re.search(pattern, criterion, re.IGNORECASE):
            ok = _HAS_FORM[form](content)
            told = f"it is not, or does not hold, the form asked for ({form})"
            return _met(criterion, IssueKind.FORMAT, ok=ok, told=told)
    return Met(understood=False)


def _met(criterion: str, kind: IssueKind, *, ok: bool, told: str) -> Met:
    if ok:
        return Met(understood=True)
    message = f"The criterion is not met: {short(criterion, 200)}"
    return Met(True, Issue(kind, Severity.HIGH, message, told, short(criterion, 200)))


def _is_json(content: str) -> bool:
    text = content.strip().removesuffix("```").removeprefix("```")
    text = text.removeprefix("json")
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _items(content: str) -> int:
    return len(_ITEM.findall(content))


_COUNTS: Final[dict[str, Callable[[str], int]]] = {
    "word": lambda text: len(text.split()),
    "character": len,
    "sentence": lambda text: len(re.findall(r"[.!?](?:\s|$)", text)),
    "paragraph": lambda text: len(
        [p for p in re.split(r"\n[ \t]*\n", text) if p.strip()]
    ),
    "line": lambda text: len([one for one in text.splitlines() if one.strip()]),
    "bullet": _items,
    "item": _items,
    "step": _items,
}
_HAS_FORM: Final[dict[str, Callable[[str], bool]]] = {
    "json": _is_json,
    "list": lambda text: _items(text) > 1,
    "table": lambda text: bool(re.search(r"^[ \t]*\|.+\|[ \t]*$", text, re.MULTILINE)),
    "code": lambda text: "```" in text,
    "heading": lambda text: bool(re.search(r"^#{1,6} \S", text, re.MULTILINE)),
    "question": lambda text: text.rstrip().endswith("?"),
}
