"""Name patterns of policies: exact, or a prefix followed by ``*``; pure.

``{subject}`` and ``{tenant}`` in a pattern stand for the caller's own names, so that
one rule can say *everyone in their own namespace*. A name that holds a ``/`` never
fills a placeholder: ``a/b`` could otherwise stand where ``a`` owns everything below.
"""

import re
from collections.abc import Iterable

from cortex.foundation.errors import ValidationError

PATTERN_CHARACTERS_MAX = 256
"""Characters of one pattern: a namespace of full length, and some."""

_PLACEHOLDER = re.compile(r"\{[^}]*\}")
_KNOWN_PLACEHOLDERS = frozenset({"{subject}", "{tenant}"})


class Patterns:
    """Some patterns of which one has to match; immutable."""

    __slots__ = ("_prefixes", "_templates", "any", "exact", "only_exact", "texts")

    def __init__(self, texts: Iterable[str]) -> None:
        """Compile the patterns.

        Raises:
            ValidationError: one is empty or too long, has a ``*`` elsewhere than at
                its end, or an unknown placeholder.
        """
        self.texts = tuple(texts)
        for text in self.texts:
            _check(text)
        plain = [text for text in self.texts if "{" not in text]
        self.any = "*" in plain
        self.exact = frozenset(text for text in plain if not text.endswith("*"))
        self._prefixes = tuple(text[:-1] for text in plain if text.endswith("*"))
        self._templates = tuple(text for text in self.texts if "{" in text)
        self.only_exact = not self._prefixes and not self._templates

    def match(self, text: str, subject: str = "", tenant: str = "") -> bool:
        """Tell whether one of the patterns matches, for this caller."""
        if self.any or text in self.exact:
            return True
        if self._prefixes and text.startswith(self._prefixes):
            return True
        return any(
            _fits(template, text, subject, tenant) for template in self._templates
        )

    def __str__(self) -> str:
        """Return the patterns as they were written."""
        return "[" + ", ".join(self.texts) + "]"

    def __repr__(self) -> str:
        """Return how to make the same again."""
        return f"Patterns({self.texts!r})"

    def __eq__(self, other: object) -> bool:
        """Compare by what was written."""
        return isinstance(other, Patterns) and self.texts == other.texts

    def __hash__(self) -> int:
        """Hash by what was written."""
        return hash(self.texts)


def _check(text: str) -> None:
    if not text or len(text) > PATTERN_CHARACTERS_MAX or "*" in text[:-1]:
        message = (
            f"{text[:40]!r} is not a pattern: write a name, or the beginning of one "
            f"followed by *, in 1 to {PATTERN_CHARACTERS_MAX} characters"
        )
        raise ValidationError(message, field="pattern")
    unknown = sorted(set(_PLACEHOLDER.findall(text)) - _KNOWN_PLACEHOLDERS)
    rest = _PLACEHOLDER.sub("", text)
    if unknown or "{" in rest or "}" in rest:
        wrong = unknown[0] if unknown else "a lone brace"
        message = f"{text!r} has {wrong}; the placeholders are {{subject}}, {{tenant}}"
        raise ValidationError(message, field="pattern")


def _fits(template: str, text: str, subject: str, tenant: str) -> bool:
    open_ended = template.endswith("*")
    for placeholder, name in (("{subject}", subject), ("{tenant}", tenant)):
        if placeholder in template:
            if not name or "/" in name:
                return False
            template = template.replace(placeholder, name.replace("{", "\0"))
    text = text.replace("{", "\0")
    if open_ended:
        return text.startswith(template[:-1])
    return text == template


ANYTHING = Patterns(("*",))
"""What a criterion matches that was left out."""
