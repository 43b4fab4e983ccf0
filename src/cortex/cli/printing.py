"""Answers as JSON, tables and short lines."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from cortex_client.discovery import process_environment

SNIPPET_CHARACTERS_MAX = 160
"""Characters of a text shown in a table: two lines of a usual terminal."""

WIDTH_PIPED = 240
"""Columns of a table that goes into a file or a pipe, which tell no width."""


def plain(value: object) -> object:
    """Return ``value`` as JSON types; what newer servers added stays in place."""
    if is_dataclass(value) and not isinstance(value, type):
        known = {f.name: getattr(value, f.name) for f in fields(value)}
        added = known.pop("extra", {})
        return {name: plain(item) for name, item in {**known, **added}.items()}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def print_json(value: object) -> None:
    """Print ``value`` as indented JSON on standard output."""
    print(json.dumps(plain(value), ensure_ascii=False, indent=2))


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None
) -> None:
    """Print a table; text is shown as it is, never as markup.

    Without rows one word says so: an empty frame reads like an answer that was lost.
    """
    if not rows:
        print(f"{title}: none" if title else "none")
        return
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    console = Console(markup=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in process_environment():
        # A file or a pipe has no edge: what is cut off there cannot be found again.
        console.width = WIDTH_PIPED
    console.print(table)


def say(text: str) -> None:
    """Print one line for a person, on standard error, so that output can be piped."""
    Console(stderr=True, markup=False, highlight=False, soft_wrap=True).print(text)


def snippet(text: str) -> str:
    """Return ``text`` on one line, shortened for a table."""
    line = " ".join(text.split())
    if len(line) <= SNIPPET_CHARACTERS_MAX:
        return line
    return line[: SNIPPET_CHARACTERS_MAX - 1] + "…"


def moment(value: float | str | None) -> str:
    """Return a time as ``2026-11-21 08:00`` in UTC; empty when there is none."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.replace("T", " ")[:16]
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M")
