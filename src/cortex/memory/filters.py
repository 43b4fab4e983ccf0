"""Metadata filters: a small language over the caller's own JSON.

A filter is a JSON object. Each key is a field of the metadata (dots step into nested
objects: ``address.city``) or one of the words ``and``, ``or`` (a list of filters) and
``not`` (one filter). A field is compared with a plain value, which means ``eq``, or
with an object of operators, all of which must hold::

    {"topic": "tea", "score": {"gte": 3, "lt": 5}}
    {"or": [{"lang": {"in": ["en", "de"]}}, {"not": {"draft": true}}]}

``eq ne in gt gte lt lte contains`` are known. The order comparisons hold between two
numbers or two texts only. ``contains`` finds a value in a list or a part of a text. A
missing field equals ``null`` and satisfies ``ne`` of anything else. Numbers and truth
values are told apart (``1`` is not ``true``), as JSON does.

Operators may be written with a leading ``$``, as other stores do.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NoReturn, TypeAlias

from cortex.foundation.canonical import JsonValue
from cortex.memory.errors import InvalidFilter

FILTER_DEPTH_MAX: Final = 8
"""Nested ``and``/``or``/``not``: what a person can still read."""

FILTER_CONDITIONS_MAX: Final = 64
"""Comparisons in one filter: bounds the work for each memory looked at."""

FILTER_VALUES_MAX: Final = 256
"""Values of one ``in``."""

FILTER_TEXT_CHARACTERS_MAX: Final = 1_000
"""Characters of a field name or of a text compared with."""

Metadata: TypeAlias = Mapping[str, JsonValue]
Predicate: TypeAlias = Callable[[Metadata], bool]

_JOINS: Final = frozenset({"and", "or"})
_OPERATORS: Final = ("eq", "ne", "in", "gt", "gte", "lt", "lte", "contains")


class _Budget:
    """Counts the comparisons of one filter."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = FILTER_CONDITIONS_MAX

    def take(self, path: str) -> None:
        self._left -= 1
        if self._left < 0:
            message = f"a filter may hold {FILTER_CONDITIONS_MAX} conditions at most"
            raise InvalidFilter(message, field=path, limit=FILTER_CONDITIONS_MAX)


def compile_filter(where: Mapping[str, JsonValue]) -> Predicate:
    """Check a filter and return the function that says whether metadata passes it.

    The function is pure, does not raise, and is safe to keep. An empty filter passes
    everything.

    Raises:
        InvalidFilter: unknown operator, wrong type of operand, too deep or too large;
            ``data['field']`` says where.
    """
    return _all_of(where, "where", 1, _Budget())


def _all_of(
    where: Mapping[str, JsonValue], path: str, depth: int, budget: _Budget
) -> Predicate:
    if depth > FILTER_DEPTH_MAX:
        message = f"a filter may be nested {FILTER_DEPTH_MAX} levels deep at most"
        raise InvalidFilter(message, field=path, limit=FILTER_DEPTH_MAX)
    parts = [
        _part(key, value, f"{path}.{key}", depth, budget)
        for key, value in where.items()
    ]
    if len(parts) == 1:
        return parts[0]
    return lambda metadata: all(part(metadata) for part in parts)


def _part(
    key: str, value: JsonValue, path: str, depth: int, budget: _Budget
) -> Predicate:
    word = key.removeprefix("$").lower()
    if word in _JOINS and isinstance(value, list):
        return _joined(word, value, path, depth, budget)
    if word == "not" and isinstance(value, dict):
        inner = _all_of(value, path, depth + 1, budget)
        return lambda metadata: not inner(metadata)
    if word in _JOINS or word == "not" or key.startswith("$"):
        _refuse(path, f"{key!r} takes {'a filter' if word == 'not' else 'a list'}")
    return _field(key, value, path, budget)


def _joined(
    word: str, value: Sequence[JsonValue], path: str, depth: int, budget: _Budget
) -> Predicate:
    parts: list[Predicate] = []
    for number, item in enumerate(value):
        where = f"{path}[{number}]"
        if not isinstance(item, dict):
            _refuse(where, f"each part of {word!r} must be a filter object")
        budget.take(where)
        parts.append(_all_of(item, where, depth + 1, budget))
    if word == "and":
        return lambda metadata: all(part(metadata) for part in parts)
    return lambda metadata: any(part(metadata) for part in parts)


def _field(name: str, value: JsonValue, path: str, budget: _Budget) -> Predicate:
    if not name or len(name) > FILTER_TEXT_CHARACTERS_MAX:
        limit = FILTER_TEXT_CHARACTERS_MAX
        _refuse(path[:80], f"a field name has 1 to {limit} characters")
    steps = name.split(".")
    wanted = value if isinstance(value, dict) else {"eq": value}
    if not wanted:
        _refuse(path, "an empty object compares nothing; name an operator")
    tests: list[Callable[[JsonValue], bool]] = []
    for written, operand in wanted.items():
        budget.take(path)
        operator = written.removeprefix("$").lower()
        if operator not in _OPERATORS:
            known = ", ".join(_OPERATORS)
            _refuse(path, f"{written!r} is not an operator; known are {known}")
        tests.append(_test(operator, operand, f"{path}.{written}"))

    def holds(metadata: Metadata) -> bool:
        found = _value_at(metadata, name, steps)
        return all(test(found) for test in tests)

    return holds


def _value_at(metadata: Metadata, name: str, steps: Sequence[str]) -> JsonValue:
    if name in metadata:
        return metadata[name]
    found: JsonValue = dict(metadata) if len(steps) > 1 else None
    for step in steps if len(steps) > 1 else ():
        if not isinstance(found, dict):
            return None
        found = found.get(step)
    return found


def _test(operator: str, operand: JsonValue, path: str) -> Callable[[JsonValue], bool]:
    if operator == "in":
        return _test_in(operand, path)
    if isinstance(operand, dict | list):
        _refuse(path, f"{operator!r} compares with a text, number, true/false or null")
    if isinstance(operand, str) and len(operand) > FILTER_TEXT_CHARACTERS_MAX:
        limit = FILTER_TEXT_CHARACTERS_MAX
        _refuse(path, f"a text in a filter has {limit} characters at most")
    if operator == "eq":
        return lambda found: _same(found, operand)
    if operator == "ne":
        return lambda found: not _same(found, operand)
    if operator == "contains":
        return lambda found: _contains(found, operand)
    if operand is None or isinstance(operand, bool):
        _refuse(path, f"{operator!r} compares with a number or a text")
    return _ordered(operator, operand)


def _test_in(operand: JsonValue, path: str) -> Callable[[JsonValue], bool]:
    if not isinstance(operand, list):
        _refuse(path, "'in' takes a list of values")
    if len(operand) > FILTER_VALUES_MAX:
        message = f"'in' takes {FILTER_VALUES_MAX} values at most"
        raise InvalidFilter(message, field=path, limit=FILTER_VALUES_MAX)
    tests = [_test("eq", one, f"{path}[{at}]") for at, one in enumerate(operand)]
    return lambda found: any(test(found) for test in tests)


def _same(found: JsonValue, wanted: JsonValue) -> bool:
    return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


def _contains(found: JsonValue, wanted: JsonValue) -> bool:
    if isinstance(found, list):
        return any(_same(one, wanted) for one in found)
    return isinstance(found, str) and isinstance(wanted, str) and wanted in found


def _ordered(operator: str, wanted: float | str) -> Callable[[JsonValue], bool]:
    is_text = isinstance(wanted, str)

    def holds(found: JsonValue) -> bool:
        if isinstance(found, bool) or not isinstance(found, int | float | str):
            return False
        if isinstance(found, str) != is_text:
            return False
        return _compare(operator, found, wanted)

    return holds


def _compare(operator: str, found: float | str, wanted: float | str) -> bool:
    """Compare two numbers or two texts."""
    less = found < wanted  # type: ignore[operator]
    equal = found == wanted
    if operator == "lt":
        return less
    if operator == "lte":
        return less or equal
    if operator == "gt":
        return not less and not equal
    return not less


def _refuse(path: str, reason: str) -> NoReturn:
    raise InvalidFilter(
        f"{path}: {reason}",
        hint="See the filter syntax of POST /memory/search.",
        field=path,
    )
