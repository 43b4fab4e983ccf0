"""Every `cortex …` that a page tells readers to type is one that the program takes."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from cortex.cli.application import build

ROOT = Path(__file__).parents[3]
PAGES = (
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
COMMANDS_MIN = 80
"""Fewer would mean that this test no longer finds them."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_START = re.compile(r"^(?:\w+=\S+ +)*(?:\S*/)?cortex +(?=[a-z-])")
_END = re.compile(r"^(?:[|&;<>].*|#.*)$")


def typed() -> Iterator[tuple[str, str, bool]]:
    """Yield page, command line, and whether it stands in a block to be copied."""
    for page in PAGES:
        text = page.read_text("utf-8")
        name = str(page.relative_to(ROOT))
        for language, block in _FENCE.findall(text):
            if language in ("", "sh", "bash"):
                joined = block.replace("\\\n", " ")
                yield from ((name, line, True) for line in joined.splitlines())
        for code in _CODE.findall(_FENCE.sub("", text)):
            yield name, code, False


def words(line: str) -> list[str]:
    """Return what follows `cortex`, up to a comment, a pipe or a redirection."""
    try:
        parts = shlex.split(_START.sub("", line.strip()), comments=True)
    except ValueError:
        return []  # prose with an apostrophe
    end = next((at for at, part in enumerate(parts) if _END.match(part)), len(parts))
    return parts[:end]


COMMANDS = sorted(
    {
        (page, " ".join(map(shlex.quote, given)), copied)
        for page, line, copied in typed()
        if _START.match(line.strip()) and (given := words(line))
    }
)


def test_pages_are_read() -> None:
    assert len(COMMANDS) >= COMMANDS_MIN


@pytest.mark.parametrize("page", sorted({page for page, _, _ in COMMANDS}))
def test_the_program_takes_what_a_page_types(page: str) -> None:
    program = typer.main.get_command(build())
    for _, line, copied in (one for one in COMMANDS if one[0] == page):
        command, path, left = program, "cortex", shlex.split(line)
        while (below := getattr(command, "commands", None)) is not None and left:
            assert left[0] in below, f"{page}: no command `{path} {left[0]}`"
            command, path = below[left[0]], f"{path} {left.pop(0)}"
        if below is not None or (not copied and not left):
            continue  # the name of a group, or of a command, in a sentence
        context = command.context_class(command, info_name=path)
        # Names of options, values where they need one, and no word too many.
        given, more, _ = command.make_parser(context).parse_args(list(left))
        assert more == [], f"{page}: `cortex {line}` has {more} too many"
        if copied:
            needed = [one.name for one in command.params if one.required]
            lacking = [name for name in needed if not given.get(name)]
            assert lacking == [], f"{page}: `cortex {line}` lacks {lacking}"
