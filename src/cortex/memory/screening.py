"""Does a text from elsewhere try to give orders to whoever reads it?

A short list of patterns, applied to content that a web page or a tool produced. A match
keeps the memory out of every answer until somebody has looked; nothing is dropped. The
rules find the crude and the copied. They do not understand: an order in other words, in
another language, or spread over two memories passes, and a page that explains prompt
injection is caught although it does no harm.
"""

import re
import unicodedata
from typing import Final

from cortex.memory.trust import UNTRUSTED_KINDS, SourceKind

_INVISIBLE: Final = (
    "\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
)
_TAGS: Final = "\U000e0000-\U000e007f"

_STRIPPED: Final = re.compile(f"[{_INVISIBLE}{_TAGS}]")
_SPACES: Final = re.compile(r"\s+")

_HIDDEN: Final = re.compile(
    # Text that is shown in another order than it is read (Unicode TR 36, 2.10.2) …
    "[\u202d\u202e]"
    # … letters that nobody sees (flags of regions need seven of them at most) …
    f"|[{_TAGS}]{{8,}}"
    # … a message in zero-width signs, or words cut up by them.
    "|[\u200b-\u200d\u2060\ufeff]{4,}"
    "|(?:[A-Za-z]+[\u200b-\u200d\u2060\ufeff]+){3}[A-Za-z]"
)

_RULES: Final = (
    (
        "instruction-override",
        re.compile(
            r"\b(?:ignore|disregard|forget|override|bypass)\b[^.!?]{0,40}?"
            r"\b(?:all|any|previous|prior|above|earlier|preceding|your)\b[^.!?]{0,40}?"
            r"\b(?:instructions?|prompts?|rules|guidelines|directives)\b"
        ),
    ),
    ("system-prompt", re.compile(r"\bsystem[ _-]?prompts?\b")),
    (
        "new-orders",
        re.compile(
            r"\byou must now\b"
            r"|\bfrom now on,? you (?:must|will|shall|should|are)\b"
            r"|\byou are now (?:an? |the )?(?:ai|assistant|agent|model|bot|dan)\b"
            r"|\bnew (?:system )?instructions?:"
        ),
    ),
    (
        "secrecy",
        re.compile(
            r"\b(?:do not|don't|never|without) (?:tell|inform|alert|notify|mention)"
            r"(?:ing)?\b[^.!?]{0,20}?\buser\b"
        ),
    ),
    (
        "role-marker",
        re.compile(
            r"<\|[a-z_]{2,24}\|>|\[/?inst\]|<</?sys>>"
            r"|</?(?:system|assistant|developer)>"
            r"|###? ?(?:system|assistant|instructions?) ?:"
        ),
    ),
    (
        "tool-call-marker",
        re.compile(
            r"</?(?:[a-z]+:)?(?:tool_calls?|tool_use|function_calls?|invoke)\b"
            r'|"(?:tool_calls|function_call)" ?:'
        ),
    ),
)

HIDDEN_TEXT: Final = "hidden-text"

RULE_NAMES: Final = (HIDDEN_TEXT, *(name for name, _ in _RULES))
"""Every rule, in the order in which they are tried."""


def screened(kind: SourceKind, *texts: str) -> str:
    """Return why a content of this kind is to be quarantined, empty if it is not.

    Only kinds whose content others wrote are looked at. The reason names the rule:
    ``rule:instruction-override``.
    """
    if kind not in UNTRUSTED_KINDS:
        return ""
    found = matched_rule("\n".join(texts))
    return f"rule:{found}" if found else ""


def matched_rule(text: str) -> str:
    """Return the name of the first rule that a text matches, or an empty text."""
    if not text.isascii() and _HIDDEN.search(text):
        return HIDDEN_TEXT
    plain = _plain(text)
    return next((name for name, rule in _RULES if rule.search(plain)), "")


def _plain(text: str) -> str:
    """Return a text as a reader takes it in: one width, one case, nothing unseen."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _STRIPPED.sub("", text))
        text = text.replace("\u2019", "'")
    return _SPACES.sub(" ", text.casefold())
