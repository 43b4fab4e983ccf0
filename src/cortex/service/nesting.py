"""How deep and how finite the JSON of a caller may be."""

import math
from typing import Any


def deeper_than(value: object, limit: int) -> bool:
    """Tell whether a JSON value is nested deeper than ``limit`` levels."""
    level: list[Any] = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        level = [inner for outer in level for inner in _containers(outer)]
        if not level:
            return False
    return True


def all_finite(value: object) -> bool:
    """Tell whether no number is NaN or infinite; some JSON parsers let them in."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, float) and not math.isfinite(item):
            return False
        if isinstance(item, dict | list):
            pending.extend(item.values() if isinstance(item, dict) else item)
    return True


def _containers(value: dict[str, object] | list[object]) -> list[Any]:
    inside = value.values() if isinstance(value, dict) else value
    return [item for item in inside if isinstance(item, dict | list)]
