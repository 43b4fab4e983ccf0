"""Errors in the words of the command line: the server names its routes and fields."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "GET /docs": "`cortex --help`",
        "GET /events/dead-letters": "`cortex events dead-letters`",
        "POST /sessions": "`cortex sessions new`",
        "Send 'Authorization: Bearer TOKEN'": "Give one by --token or CORTEX_TOKEN",
    }
)
"""The command that asks a route, by the route as hints write it."""

OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "time_range.start": "--after",
        "time_range.end": "--before",
        "items[0].content": "the text",
        "items[0].occurred_at": "--at",
        "items[0].ttl_seconds": "--ttl",
        "items[0].source_kind": "--source-kind",
        "items[0].trust": "--trust",
        "source_kinds[0]": "--source-kind",
    }
)
"""What the caller gave, by the name of the field that an error begins with."""


def in_commands(hint: str) -> str:
    """Return a hint with each route it names replaced by its command."""
    for route, command in COMMANDS.items():
        hint = hint.replace(route, command)
    return hint


def in_options(message: str) -> str:
    """Return a message with the field it begins with replaced by its option."""
    field, space, rest = message.partition(" ")
    return f"{OPTIONS.get(field, field)}{space}{rest}"
