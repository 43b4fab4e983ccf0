"""JSON answers into frozen dataclasses, tolerant to what newer servers add.

A field the client does not know lands in ``extra`` where the class has one, else it
is dropped. A field the client needs and does not find, or of another type, is a
``ServerError`` that names it: better than a wrong value further on.
"""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from cortex_client.errors import ServerError

T = TypeVar("T")


def decode(kind: type[T], value: object, where: str = "answer") -> T:
    """Return ``value`` as ``kind``; ``where`` names the place in error messages.

    Raises:
        ServerError: the value does not fit.
    """
    return _convert(kind, value, where)  # type: ignore[no-any-return]


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _convert(kind: Any, value: object, where: str) -> Any:
    origin = get_origin(kind)
    if kind is object:
        return value
    if origin in (Union, types.UnionType):
        return _convert_optional(kind, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _mismatch("a list", value, where)
        item = get_args(kind)[0]
        return tuple(_convert(item, v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise _mismatch("an object", value, where)
        item = get_args(kind)[1]
        return {k: _convert(item, v, f"{where}.{k}") for k, v in value.items()}
    if is_dataclass(kind):
        return _convert_object(kind, value, where)
    return _convert_scalar(kind, value, where)


def _convert_optional(kind: Any, value: object, where: str) -> Any:
    members = [member for member in get_args(kind) if member is not types.NoneType]
    if value is None:
        return None
    return _convert(members[0], value, where)


def _convert_scalar(kind: Any, value: object, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)  # JSON has one kind of number: 120.0 is 120
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise _mismatch(kind.__name__, value, where)


def _convert_object(kind: Any, value: object, where: str) -> Any:
    if not isinstance(value, dict):
        raise _mismatch("an object", value, where)
    hints = _hints(kind)
    known = {field.name: field for field in fields(kind)}
    found: dict[str, Any] = {}
    for name, field in known.items():
        if name == "extra":
            continue
        if name in value:
            found[name] = _convert(hints[name], value[name], f"{where}.{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            message = f"the server's answer lacks {where}.{name}"
            raise ServerError(message, code="ANSWER_NOT_UNDERSTOOD")
    if "extra" in known:
        found["extra"] = {k: v for k, v in value.items() if k not in known}
    return kind(**found)


def _mismatch(wanted: str, value: object, where: str) -> ServerError:
    message = (
        f"the server's answer has {type(value).__name__} at {where} where "
        f"{wanted} was expected"
    )
    return ServerError(
        message,
        hint="Are client and server of one release?",
        code="ANSWER_NOT_UNDERSTOOD",
    )
