"""Field types the wire models share; each says its rule in its own words."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    WithJsonSchema,
)

from cortex.foundation.limits import (
    CONTENT_CHARACTERS_MAX,
    JSON_INTEGER_MAX,
    MEMORY_TTL_SECONDS_MAX,
    METADATA_BYTES_MAX,
    MOMENT_MAX,
    MOMENT_MIN,
    NAME_CHARACTERS_MAX,
    QUERY_BYTES_MAX,
    QUERY_CHARACTERS_MAX,
    STATE_VALUE_BYTES_MAX,
    TAG_CHARACTERS_MAX,
    TAGS_MAX,
)
from cortex.foundation.tenancy import NAMESPACE_CHARACTERS_MAX
from cortex.memory.trust import SOURCE_CHARACTERS_MAX

_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
}


def _name_bounds(schema: dict[str, Any]) -> None:
    """Name bounds as JSON Schema does, where a validator of our own stands before.

    For such fields pydantic 2.14 writes ``ge`` where it means ``minimum``.
    """
    for field in schema.get("properties", {}).values():
        for part in (field, *field.get("anyOf", ())):
            for name in _BOUNDS.keys() & part.keys():
                part[_BOUNDS[name]] = part.pop(name)


class Wire(BaseModel):
    """A body or query: fields it does not know are refused by name."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra=_name_bounds
    )


def _visible(text: str) -> str:
    if any(ord(character) < ord(" ") or character == "\x7f" for character in text):
        message = "must not hold control characters"
        raise ValueError(message)
    return text


def _sentence(text: str) -> str:
    if "\x00" in text:
        message = "must not hold NUL characters"
        raise ValueError(message)
    if not text.strip():
        message = "must hold something other than white space"
        raise ValueError(message)
    return text


def _query_bytes(text: str) -> str:
    size = len(text.encode())
    if size > QUERY_BYTES_MAX:
        message = f"must be at most {QUERY_BYTES_MAX} bytes of UTF-8, this has {size}"
        raise ValueError(message)
    return text


def _moment(value: object) -> object:
    """Read epoch seconds or an ISO 8601 time; without a zone it is UTC."""
    if isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        value = _from_text(value)
    if isinstance(value, int | float):
        if not math.isfinite(value) or not MOMENT_MIN <= value <= MOMENT_MAX:
            message = "must lie between the years 1 and 9999"
            raise ValueError(message)
        return float(value)
    return value


def _from_text(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = "must be epoch seconds or an ISO 8601 time"
        raise ValueError(message) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def _numbers(value: object) -> Iterator[float]:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, int | float) and not isinstance(item, bool):
            yield item


def _bounded_json(bytes_max: int) -> Any:
    def check(value: object) -> object:
        if any(abs(number) > JSON_INTEGER_MAX for number in _integers(value)):
            message = f"must not hold integers beyond ±{JSON_INTEGER_MAX}"
            raise ValueError(message)
        size = len(orjson.dumps(value))
        if size > bytes_max:
            message = f"must be at most {bytes_max} bytes of JSON, this has {size}"
            raise ValueError(message)
        return value

    return check


def _whole(value: object) -> object:
    """Read 5.0 as 5: JSON has one kind of number, and some writers add the point."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _integers(value: object) -> Iterator[int]:
    return (number for number in _numbers(value) if isinstance(number, int))


Integer = Annotated[int, Strict(), BeforeValidator(_whole)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Flag = Annotated[bool, Strict()]

Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=NAME_CHARACTERS_MAX),
    AfterValidator(_visible),
]
OptionalName = Annotated[
    str, StringConstraints(max_length=NAME_CHARACTERS_MAX), AfterValidator(_visible)
]
NamespaceName = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=NAMESPACE_CHARACTERS_MAX,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+\-]*$",
    ),
]
SessionId = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=NAME_CHARACTERS_MAX,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@+\-]*$",
    ),
]
Content = Annotated[
    str,
    StringConstraints(min_length=1, max_length=CONTENT_CHARACTERS_MAX),
    AfterValidator(_sentence),
]
QueryText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=QUERY_CHARACTERS_MAX),
    AfterValidator(_sentence),
    AfterValidator(_query_bytes),
]
Tag = Annotated[
    str,
    StringConstraints(min_length=1, max_length=TAG_CHARACTERS_MAX),
    AfterValidator(_visible),
]
Tags = Annotated[list[Tag], Field(max_length=TAGS_MAX)]
Cursor = Annotated[
    str, StringConstraints(min_length=1, max_length=1_000), AfterValidator(_visible)
]
Trust = Annotated[float, Strict(), Field(ge=0, le=1)]
MinTrust = Annotated[
    Trust, Field(description="Memories trusted less than this are left out.")
]
Source = Annotated[
    str, StringConstraints(max_length=SOURCE_CHARACTERS_MAX), AfterValidator(_visible)
]
RunId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=SOURCE_CHARACTERS_MAX),
    AfterValidator(_visible),
]
Reason = Annotated[
    str,
    StringConstraints(min_length=1, max_length=SOURCE_CHARACTERS_MAX),
    AfterValidator(_visible),
    AfterValidator(_sentence),
]
Importance = Annotated[float, Strict(), Field(ge=0, le=1)]
TtlSeconds = Annotated[float, Strict(), Field(gt=0, le=MEMORY_TTL_SECONDS_MAX)]
Moment = Annotated[
    float,
    BeforeValidator(_moment),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": MOMENT_MIN, "maximum": MOMENT_MAX},
                {"type": "string", "format": "date-time"},
            ],
            "description": "Epoch seconds, or an ISO 8601 time (UTC without a zone).",
        }
    ),
]
Metadata = Annotated[dict[str, Any], AfterValidator(_bounded_json(METADATA_BYTES_MAX))]
StateValue = Annotated[Any, AfterValidator(_bounded_json(STATE_VALUE_BYTES_MAX))]
