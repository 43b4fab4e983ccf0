"""Findings of the validation library as one ``ValidationError``.

Only the place and the reason go on; the input itself is never repeated.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cortex.foundation.errors import ValidationError

FINDINGS_MAX = 20
"""Findings told at once: a body with 500 wrong items needs no longer answer."""

PART_CHARACTERS_MAX = 80
"""Characters of a field name that are repeated: names come from the caller."""

_LIMITS = ("max_length", "le", "lt", "ge", "gt", "min_length")
_REASONS = {
    "extra_forbidden": "is not a known field",
    "missing": "is required",
    "json_invalid": "is not valid JSON",
}


def invalid_input(findings: Iterable[Any], *, placed: bool = False) -> ValidationError:
    """Return the error that names every field and why it was refused.

    Args:
        findings: as the validation library lists them.
        placed: whether each location begins with ``path`` or ``query``, as those
            of the framework do.
    """
    told = [_finding(finding, finding["loc"][int(placed) :]) for finding in findings]
    first = told[0]
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    error = ValidationError(f"{first['field']} {first['reason']}{more}")
    error.data.update(first)
    if len(told) > 1:
        error.data["errors"] = told[:FINDINGS_MAX]
    return error


def _finding(
    finding: Mapping[str, Any], location: Sequence[object]
) -> dict[str, object]:
    context = finding.get("ctx") or {}
    kind = str(finding["type"])
    told: dict[str, object] = {
        "field": _field(location),
        "reason": _REASONS.get(kind) or _sentence(kind, str(finding["msg"]), context),
    }
    for name in _LIMITS:
        if isinstance(context.get(name), int | float):
            told["limit"] = context[name]
            break
    return told


def _sentence(kind: str, message: str, context: Mapping[str, Any]) -> str:
    if kind == "value_error":
        return str(context.get("error", "is wrong"))
    for lead in ("Input should ", "String should ", "List should ", "Value should "):
        if message.startswith(lead):
            return f"must {message.removeprefix(lead)}"
    return f"is wrong: {message}"


def _field(location: Sequence[object]) -> str:
    """Return ``items[3].content`` for ``("items", 3, "content")``."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = str(part)[:PART_CHARACTERS_MAX]
            text += f".{name}" if text else name
    return text or "request"
