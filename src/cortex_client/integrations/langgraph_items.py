"""How LangGraph's items lie in Cortex, free of input and output and of LangGraph.

An item is one memory. Its kind is its namespace, ``lg:users.ana``; it is tagged with
each prefix of it, so that a search under a prefix is one search; it is stored under an
idempotency key made from namespace and key, so that reading it is one look-up. The
value lies in the metadata, where filters reach it; what is to be found by meaning is
the content.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cortex_client.errors import ConfigurationError
from cortex_client.integrations import kept

MARK = "lg:"
"""Begins kinds and tags, so that other memories of the namespace are told apart."""

PATH_CHARACTERS_MAX = 197
"""Characters of a namespace with its dots: a kind has 200."""

TAG_CHARACTERS_MAX = 128
"""Characters of a tag; the server takes no more."""

DEPTH_MAX = 63
"""Labels of a namespace: a memory has 64 tags, one of them the root's."""

SCALAR_CHARACTERS_MAX = 500
"""Longer texts of a large value are not filtered by at the server."""

SCALARS_MAX = 20
"""Fields of a large value that the server filters by."""

SECONDS_A_MINUTE = 60.0

_ORDER = frozenset({"$gt", "$gte", "$lt", "$lte"})
_SAME = frozenset({"$eq", "$ne"})


def kind_of(path: Sequence[str]) -> str:
    """Return the kind of a namespace's items.

    Raises:
        ConfigurationError: the namespace is too long or too deep.
    """
    joined = ".".join(path)
    if len(joined) > PATH_CHARACTERS_MAX or len(path) > DEPTH_MAX:
        message = (
            f"a namespace in Cortex has {DEPTH_MAX} labels and "
            f"{PATH_CHARACTERS_MAX} characters at most, dots included"
        )
        raise ConfigurationError(message, hint="Shorten its labels.")
    return MARK + joined


def path_of(kind: str) -> tuple[str, ...] | None:
    """Return the namespace that a kind stands for; None for another kind."""
    if not kind.startswith(MARK) or kind == MARK:
        return None
    return tuple(kind.removeprefix(MARK).split("."))


def tag_of(path: Sequence[str]) -> str:
    """Return the tag of all items under a namespace; the empty one has its own."""
    tag = MARK + ".".join(path)
    if len(tag) <= TAG_CHARACTERS_MAX:
        return tag
    return f"{MARK}sha256:{hashlib.sha256(tag.encode()).hexdigest()}"


def tags_of(path: Sequence[str]) -> list[str]:
    """Return the tags of an item: one a prefix of its namespace."""
    return [tag_of(path[:depth]) for depth in range(len(path) + 1)]


def key_of(path: Sequence[str], key: str) -> str:
    """Return the idempotency key of an item."""
    text = json.dumps([list(path), key])
    return MARK + hashlib.sha256(text.encode()).hexdigest()


def body(
    key: str, value: Mapping[str, Any], texts: Sequence[str] | None, more: Any
) -> dict[str, Any]:
    """Return content and metadata of an item.

    ``texts`` are what it is to be found by, None when it is not to be found at all;
    ``more`` is kept beside the value.
    """
    text = "\n".join(texts or ()).strip()
    facts = {"key": key, "indexed": bool(text), "value": _scalars(value), **more}
    return kept.body("value", value, text or key, facts)


def value_of(record: kept.Record) -> dict[str, Any]:
    """Return the value of a stored item."""
    return kept.value("value", record) or {}


def readable(value: Mapping[str, Any]) -> str:
    """Return a value as a person would write it down: a line a field."""
    lines = list(_lines("", value))
    if len(lines) == 1:
        return lines[0][1]
    return "\n".join(f"{name}: {text}" for name, text in lines)


def _lines(name: str, value: object) -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _lines(f"{name}.{key}" if name else str(key), part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _lines(name, part)
    elif value is not None:
        text = value if isinstance(value, str) else json.dumps(value)
        if text.strip():
            yield name, text


def _scalars(value: Mapping[str, Any]) -> dict[str, Any]:
    short = {
        name: part
        for name, part in value.items()
        if _is_scalar(part) and len(name) <= SCALAR_CHARACTERS_MAX
    }
    return dict(list(short.items())[:SCALARS_MAX])


def _is_scalar(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= SCALAR_CHARACTERS_MAX
    return value is None or isinstance(value, bool | int | float)


def pushed(where: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a filter that the server can do: on fields of the top.

    What passes the whole filter passes this part: it only makes a search find more of
    what is wanted among its hundred best.
    """
    parts: dict[str, Any] = {}
    for name, wanted in where.items():
        if not name or "." in name or name.startswith("$"):
            continue
        tests = wanted if _is_operators(wanted) else {"$eq": wanted}
        doable = {op: v for op, v in tests.items() if _pushable(op, v)}
        if doable:
            parts[f"value.{name}"] = doable
    return parts


def _pushable(operator: str, wanted: object) -> bool:
    # A large value keeps only short texts in reach, so longer ones are not asked for;
    # nor is "not equal", which a field that is out of reach would pass and fail.
    if operator == "$eq":
        return _is_scalar(wanted) and wanted is not None
    return operator in _ORDER and _is_scalar(wanted) and _is_ordered(wanted)


def _is_ordered(value: object) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def passes(value: Mapping[str, Any], where: Mapping[str, Any] | None) -> bool:
    """Return whether a value passes LangGraph's filter.

    Nested objects are compared field by field. Order holds between two numbers or two
    texts; anything else is neither before nor after.
    """
    return all(_holds(value.get(name), test) for name, test in (where or {}).items())


def _holds(found: object, wanted: object) -> bool:
    if isinstance(wanted, Mapping):
        if _is_operators(wanted):
            return all(_compare(op, found, operand) for op, operand in wanted.items())
        inside = found if isinstance(found, Mapping) else None
        return inside is not None and all(
            _holds(inside.get(name), test) for name, test in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(found, list | tuple)
            and len(found) == len(wanted)
            and all(_holds(one, test) for one, test in zip(found, wanted, strict=True))
        )
    return _same(found, wanted)


def _is_operators(wanted: object) -> bool:
    return isinstance(wanted, Mapping) and any(
        str(name).startswith("$") for name in wanted
    )


def _same(found: object, wanted: object) -> bool:
    return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


def _compare(operator: str, found: object, wanted: object) -> bool:
    if operator in _SAME:
        return _same(found, wanted) == (operator == "$eq")
    if operator not in _ORDER:
        known = ", ".join(sorted(_SAME | _ORDER))
        message = f"the filter operator {operator!r} is not known"
        raise ConfigurationError(message, hint=f"Known are {known}.")
    if not _is_ordered(found) or not _is_ordered(wanted):
        return False
    if isinstance(found, str) != isinstance(wanted, str):
        return False
    order: dict[str, bool] = {
        "$gt": found > wanted,  # type: ignore[operator]
        "$gte": found >= wanted,  # type: ignore[operator]
        "$lt": found < wanted,  # type: ignore[operator]
        "$lte": found <= wanted,  # type: ignore[operator]
    }
    return order[operator]


def matches(path: Sequence[str], kind: str, pattern: Sequence[str]) -> bool:
    """Return whether a namespace begins (``prefix``) or ends with a pattern.

    ``*`` stands for any one label.
    """
    if len(path) < len(pattern):
        return False
    start = 0 if kind == "prefix" else len(path) - len(pattern)
    part = path[start : start + len(pattern)]
    return all(
        wanted in ("*", label) for label, wanted in zip(part, pattern, strict=True)
    )
