"""Findings of the validation library as one ``ValidationError``.

Only the place and the reason go on; the input itself is never repeated.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cortex.foundation.errors import ValidationError

FINDINGS_MAX = 20
"""Findings told at once: a body with 500 wrong items needs no longer answer."""

NAMED_MAX = 3
"""Findings named in the message itself: some callers read nothing else."""

PART_CHARACTERS_MAX = 80
"""Characters of a field name that are repeated: names come from the caller."""

_LEADS = tuple(
    f"{thing} should "
    for thing in ("Input", "String", "List", "Dictionary", "Set", "Tuple", "Value")
)
_LIMITS = ("max_length", "le", "lt", "ge", "gt", "min_length")
_REASONS = {
    "extra_forbidden": "is not a known field",
    "missing": "is required",
    "json_invalid": "is not valid JSON",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dataclass_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}
"""The library tells these in Python's words, one with the name of our class."""

_PYTHONIC = " after validation"
"""What the library says of lengths it counted late."""


def invalid_input(findings: Iterable[Any], *, placed: bool = False) -> ValidationError:
    """Return the error that names every field and why it was refused.

    Args:
        findings: as the validation library lists them.
        placed: whether each location begins with ``path`` or ``query``, as those
            of the framework do.
    """
    told = [_finding(finding, finding["loc"][int(placed) :]) for finding in findings]
    named = "; ".join(f"{one['field']} {one['reason']}" for one in told[:NAMED_MAX])
    rest = len(told) - NAMED_MAX
    error = ValidationError(f"{named} (and {rest} more)" if rest > 0 else named)
    error.data.update(told[0])
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
    for lead in _LEADS:
        if message.startswith(lead):
            return f"must {message.removeprefix(lead).replace(_PYTHONIC, '')}"
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
