"""JSON answers of language models: found in their text, and held to a schema.

Of JSON Schema (2020-12) these words are known: type, properties, required,
additionalProperties (false), items, enum, minimum, maximum, minItems, maxItems. More
is not needed for answers, and what every service accepts is less.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from cortex.foundation.canonical import JsonValue

ANSWER_CHARACTERS_MAX: Final = 200_000
"""Characters of an answer that are looked at."""

PROBLEMS_MAX: Final = 10
"""Problems that a model is told at once: more confuse it."""

_FENCE: Final = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


class Unfit(ValueError):
    """An answer that is not as asked; ``problems`` are sentences for its writer."""

    def __init__(self, problems: list[str]) -> None:
        """Keep the first problems."""
        self.problems = problems[:PROBLEMS_MAX]
        super().__init__("; ".join(self.problems))


def read_answer(text: str, schema: Mapping[str, JsonValue]) -> JsonValue:
    """Return the JSON value in an answer, held to the schema.

    Raises:
        Unfit: there is none, or it breaks the schema.
    """
    value = _found(text[:ANSWER_CHARACTERS_MAX])
    problems = list(_problems(value, schema, "the answer"))
    if problems:
        raise Unfit(problems)
    return value


def _found(text: str) -> JsonValue:
    fenced = _FENCE.search(text)
    candidates = [text, fenced[1] if fenced else "", _outermost(text)]
    for candidate in candidates:
        try:
            value: JsonValue = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        return value
    raise Unfit(["the answer is not valid JSON, or is cut off"])


def _outermost(text: str) -> str:
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else ""


def _problems(
    value: JsonValue, schema: Mapping[str, JsonValue], where: str
) -> Iterator[str]:
    allowed = schema.get("enum")
    if isinstance(allowed, list) and value not in allowed:
        yield f"{where} must be one of {allowed}"
        return
    wanted = schema.get("type")
    if isinstance(wanted, str) and not _is(value, wanted):
        yield f"{where} must be of type {wanted}"
        return
    if isinstance(value, dict):
        yield from _object_problems(value, schema, where)
    elif isinstance(value, list):
        yield from _array_problems(value, schema, where)
    elif isinstance(value, int | float):
        yield from _bounds(float(value), schema, where, ("minimum", "maximum"))


def _is(value: JsonValue, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    return isinstance(value, _TYPES.get(wanted, ()))


def _object_problems(
    value: Mapping[str, JsonValue], schema: Mapping[str, JsonValue], where: str
) -> Iterator[str]:
    known = schema.get("properties")
    properties = known if isinstance(known, Mapping) else {}
    required = schema.get("required")
    for name in required if isinstance(required, list) else []:
        if name not in value:
            yield f"{where} lacks {name!r}"
    for name, inner in value.items():
        rule = properties.get(name)
        if isinstance(rule, Mapping):
            yield from _problems(inner, rule, f"{where}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{where} must not have {name[:80]!r}"


def _array_problems(
    value: list[JsonValue], schema: Mapping[str, JsonValue], where: str
) -> Iterator[str]:
    yield from _bounds(float(len(value)), schema, where, ("minItems", "maxItems"))
    items = schema.get("items")
    if isinstance(items, Mapping):
        for place, item in enumerate(value):
            yield from _problems(item, items, f"{where}[{place}]")


def _bounds(
    number: float,
    schema: Mapping[str, JsonValue],
    where: str,
    words: tuple[str, str],
) -> Iterator[str]:
    least, most = schema.get(words[0]), schema.get(words[1])
    what = "" if words[0] == "minimum" else "items "
    if isinstance(least, int | float) and number < least:
        yield f"{where} must have at least {least} {what}".strip()
    if isinstance(most, int | float) and number > most:
        yield f"{where} must have at most {most} {what}".strip()
