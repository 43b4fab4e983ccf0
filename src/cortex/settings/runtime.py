"""Settings by dotted name: what one is now, what it may be, and with others set."""

from collections.abc import Iterator, Mapping
from enum import Enum

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from cortex.foundation.canonical import JsonValue
from cortex.settings import Settings
from cortex.settings.described import NESTED

_LIMITS = {
    "ge": "minimum",
    "le": "maximum",
    "gt": "above",
    "lt": "below",
    "min_length": "min_length",
    "max_length": "max_length",
}


def flat(document: Mapping[str, JsonValue]) -> Iterator[tuple[str, JsonValue]]:
    """Yield the values of a document nested as ``cortex.toml``, by dotted name."""
    for key, value in document.items():
        if key in NESTED and isinstance(value, Mapping):
            yield from ((f"{key}.{name}", inner) for name, inner in value.items())
        else:
            yield key, value


def names() -> frozenset[str]:
    """Return the name of every setting."""
    return frozenset(
        full
        for table in ("", *NESTED)
        for full in _names_in(table)
        if full not in NESTED
    )


def value_of(settings: Settings, name: str) -> JsonValue:
    """Return one value as JSON; None for a secret."""
    if is_secret(settings, name):
        return None
    model, field = _place(settings, name)
    value = getattr(model, field)
    found: JsonValue = to_jsonable_python(value)
    return found


def is_secret(settings: Settings, name: str) -> bool:
    """Return whether a setting is never shown."""
    model, field = _place(settings, name)
    return "SecretStr" in repr(type(model).model_fields[field].annotation)


def is_given(settings: Settings, name: str) -> bool:
    """Return whether a setting has any value."""
    model, field = _place(settings, name)
    value = getattr(model, field)
    if isinstance(value, SecretStr):
        return bool(value.get_secret_value())
    return value is not None and value not in ("", (), {})


def limits_of(settings: Settings, name: str) -> dict[str, JsonValue]:
    """Return what a value may be: its bounds, or the words to choose from."""
    model, field = _place(settings, name)
    info: FieldInfo = type(model).model_fields[field]
    found: dict[str, JsonValue] = {}
    for one in info.metadata:
        for attribute, told in _LIMITS.items():
            if isinstance(getattr(one, attribute, None), int | float):
                found[told] = getattr(one, attribute)
    kind = info.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        found["choices"] = [member.value for member in kind]
    return found


def with_values(settings: Settings, values: Mapping[str, JsonValue]) -> Settings:
    """Return the settings with some values, checked by the models of the tree.

    Raises:
        pydantic.ValidationError: a value breaks its limits, or is of another kind.
    """
    # All others at their defaults: only what is given is checked.
    checked = Settings(**_nested(values))  # type: ignore[arg-type]
    update: dict[str, object] = {}
    for name in values:
        table, _, field = name.rpartition(".")
        value = getattr(getattr(checked, table) if table else checked, field)
        if table:
            before = update.get(table, getattr(settings, table))
            value = before.model_copy(update={field: value})  # type: ignore[attr-defined]
        update[table or field] = value
    return settings.model_copy(update=update)


def _nested(values: Mapping[str, JsonValue]) -> dict[str, object]:
    document: dict[str, object] = {}
    for name, value in values.items():
        table, _, field = name.rpartition(".")
        if table:
            inner = document.setdefault(table, {})
            inner[field] = value  # type: ignore[index]
        else:
            document[field] = value
    return document


def _names_in(table: str) -> Iterator[str]:
    if not table:
        yield from Settings.model_fields
        return
    kind = Settings.model_fields[table].annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from (f"{table}.{name}" for name in kind.model_fields)


def _place(settings: Settings, name: str) -> tuple[BaseModel, str]:
    table, _, field = name.rpartition(".")
    return (getattr(settings, table) if table else settings), field
