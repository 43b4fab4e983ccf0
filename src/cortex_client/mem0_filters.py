"""mem0's filters in Cortex's words.

mem0 keeps ``user_id``, ``agent_id`` and ``run_id`` among the metadata; in Cortex they
are fields of their own. So they are lifted out of the filter, also out of an ``AND``,
and the rest is translated.
"""

from collections.abc import Mapping
from typing import Any

SCOPE_NAMES = ("user_id", "agent_id", "run_id")

_JOINS = {"AND": "and", "OR": "or"}
_SAME = frozenset({"eq", "ne", "in", "gt", "gte", "lt", "lte", "contains"})


def split_filters(
    filters: Mapping[str, Any],
) -> tuple[dict[str, str], dict[str, Any] | None]:
    """Return whose memories are meant, and what their metadata must satisfy.

    Raises:
        ValueError: the filter asks for something Cortex cannot.
    """
    scope: dict[str, str] = {}
    rest: list[dict[str, Any]] = []
    for part in _parts(filters):
        for name, wanted in part.items():
            if name not in SCOPE_NAMES:
                rest.append(_one(name, wanted))
            elif wanted != "*":
                scope[name] = _identity(name, wanted)
    if not rest:
        return scope, None
    return scope, rest[0] if len(rest) == 1 else {"and": rest}


def _parts(filters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the members of an ``AND`` at the top beside the filter's own keys."""
    own = {name: value for name, value in filters.items() if name != "AND"}
    nested = [part for member in filters.get("AND", ()) for part in _parts(member)]
    return [own, *nested]


def _identity(name: str, wanted: Any) -> str:
    value = wanted
    if isinstance(wanted, Mapping):
        value = wanted.get("eq")
        if value is None and len(wanted.get("in", ())) == 1:
            (value,) = wanted["in"]
    if not isinstance(value, str) or not value:
        message = f"{name} must be one id"
        raise ValueError(message)
    return value


def _translated(filters: Mapping[str, Any]) -> dict[str, Any]:
    parts = [_one(name, wanted) for name, wanted in filters.items()]
    return parts[0] if len(parts) == 1 else {"and": parts}


def _one(name: str, wanted: Any) -> dict[str, Any]:
    if name in SCOPE_NAMES:
        message = f"{name} may stand beside or inside AND, not inside OR or NOT"
        raise ValueError(message)
    if name in _JOINS:
        return {_JOINS[name]: [_translated(member) for member in wanted]}
    if name == "NOT":
        members = wanted if isinstance(wanted, list) else [wanted]
        return {"not": {"or": [_translated(member) for member in members]}}
    if wanted == "*":
        return {name: {"ne": None}}
    if not isinstance(wanted, Mapping):
        return {name: wanted}
    parts = [_operator(name, word, value) for word, value in wanted.items()]
    return parts[0] if len(parts) == 1 else {"and": parts}


def _operator(name: str, word: str, value: Any) -> dict[str, Any]:
    if word in _SAME:
        return {name: {word: value}}
    if word == "nin":
        return {"not": {name: {"in": value}}}
    message = f"the filter operator {word!r} is not known"
    raise ValueError(message)
