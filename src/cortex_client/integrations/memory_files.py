"""The files of Anthropic's memory tool: paths, listings and edits of texts, all pure.

There is no file system: a path is a name, and a folder is what names have in common. So
nothing outside of ``/memories`` can be named at all; paths that try are refused.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

ROOT = "/memories"

PATH_CHARACTERS_MAX = 1_000
"""Characters of a path: a name, not a text."""

DEPTH_SHOWN = 2
"""Levels of a folder's listing, as the tool's description promises."""

LINE_NUMBER_WIDTH = 6
"""Columns of a line's number in a view."""

CONTEXT_LINES = 2
"""Lines shown before and after a change."""

_UNITS = "BKMG"
_UNIT = 1024


class FileProblem(Exception):
    """Something that the model asked for cannot be done; the message is for it."""


def checked(path: str) -> str:
    """Return a path without doubled or trailing slashes.

    Raises:
        FileProblem: it does not lie under ``/memories``, or may be meant to leave it.
    """
    if path != ROOT and not path.startswith(f"{ROOT}/"):
        raise FileProblem(f"Path must start with {ROOT}, got: {path}")
    steps = [step for step in path.split("/") if step]
    if any(step in {".", ".."} for step in steps) or "\\" in path:
        raise FileProblem(f"Path {path} would escape {ROOT} directory")
    if len(path) > PATH_CHARACTERS_MAX or not path.isprintable():
        message = f"A path has {PATH_CHARACTERS_MAX} printable characters at most"
        raise FileProblem(message)
    return "/" + "/".join(steps)


def key_of(path: str) -> str:
    """Return the idempotency key of a file."""
    return f"file:{hashlib.sha256(path.encode()).hexdigest()}"


def is_under(path: str, folder: str) -> bool:
    """Return whether a file lies in a folder, at any depth."""
    return path.startswith(f"{folder}/")


def parents(path: str) -> Iterable[str]:
    """Yield the folders that a file lies in, the root aside."""
    steps = path.split("/")
    for end in range(3, len(steps)):
        yield "/".join(steps[:end])


def listing(folder: str, sizes: Mapping[str, int]) -> str:
    """Return a folder's files and folders, two levels deep, hidden ones aside."""
    shown: dict[tuple[str, ...], tuple[str, int]] = {}
    total = 0
    for path, size in sizes.items():
        steps = path.removeprefix(f"{folder}/").split("/")
        total += size
        for depth in range(1, min(len(steps), DEPTH_SHOWN) + 1):
            part = tuple(steps[:depth])
            if any(step.startswith(".") for step in part):
                break
            name = "/".join(part) + ("/" if depth < len(steps) else "")
            shown[part] = (name, shown.get(part, ("", 0))[1] + size)
    lines = [f"{size_text(total)}\t{folder}"]
    lines += [
        f"{size_text(size)}\t{folder}/{name}" for _, (name, size) in _sorted(shown)
    ]
    header = (
        f"Here're the files and directories up to {DEPTH_SHOWN} levels deep in "
        f"{folder}, excluding hidden items:"
    )
    return "\n".join([header, *lines])


def _sorted(
    shown: Mapping[tuple[str, ...], tuple[str, int]],
) -> Iterable[tuple[tuple[str, ...], tuple[str, int]]]:
    return sorted(shown.items())


def size_text(size: int) -> str:
    """Return bytes as ``ls -h`` does."""
    power = 0
    while size >= _UNIT ** (power + 1) and power < len(_UNITS) - 1:
        power += 1
    scaled = size / _UNIT**power
    return (
        f"{scaled:.0f}{_UNITS[power]}"
        if scaled == int(scaled)
        else (f"{scaled:.1f}{_UNITS[power]}")
    )


def view(path: str, text: str, view_range: Sequence[int] | None) -> str:
    """Return a file's lines with their numbers; a range counts from 1, -1 is the end.

    Raises:
        FileProblem: the range is none.
    """
    lines = text.split("\n")
    start, end = 1, len(lines)
    if view_range is not None:
        start, end = _range(view_range, len(lines))
    header = f"Here's the content of {path} with line numbers:"
    return "\n".join([header, *numbered(lines, start, end)])


def _range(view_range: Sequence[int], count: int) -> tuple[int, int]:
    if len(view_range) != 2:  # noqa: PLR2004  a start and an end
        raise FileProblem("Invalid `view_range`: it must be [start, end].")
    start, end = view_range
    end = count if end == -1 else end
    if not 1 <= start <= count or end < start:
        raise FileProblem(
            f"Invalid `view_range` parameter: {list(view_range)}. It should be within "
            f"the lines [1, {count}] of the file."
        )
    return start, min(end, count)


def numbered(lines: Sequence[str], start: int, end: int) -> list[str]:
    """Return the lines from ``start`` to ``end`` (from 1, both included), numbered."""
    return [
        f"{number:>{LINE_NUMBER_WIDTH}}\t{line}"
        for number, line in enumerate(lines[start - 1 : end], start)
    ]


def replaced(path: str, text: str, old: str, new: str) -> tuple[str, str]:
    """Return the text with its one ``old`` replaced, and what to tell.

    Raises:
        FileProblem: ``old`` is not there, or more than once.
    """
    count = text.count(old) if old else 0
    if count == 0:
        raise FileProblem(
            f"No replacement was performed, old_str `{old}` did not appear verbatim "
            f"in {path}."
        )
    if count > 1:
        lines = ", ".join(map(str, _lines_of(text, old)))
        raise FileProblem(
            f"No replacement was performed. Multiple occurrences of old_str `{old}` "
            f"in lines: {lines}. Please ensure it is unique"
        )
    at = text.count("\n", 0, text.index(old)) + 1
    changed = text.replace(old, new)
    lines_now = changed.split("\n")
    end = at + new.count("\n") + CONTEXT_LINES
    snippet = numbered(lines_now, max(1, at - CONTEXT_LINES), end)
    told = (
        "The memory file has been edited. Here is the snippet showing the change "
        "(with line numbers):"
    )
    return changed, "\n".join([told, *snippet])


def _lines_of(text: str, part: str) -> Iterable[int]:
    start = text.find(part)
    while start != -1:
        yield text.count("\n", 0, start) + 1
        start = text.find(part, start + 1)


def inserted(text: str, line: int, new: str) -> str:
    """Return the text with ``new`` after a line; 0 is the beginning.

    Raises:
        FileProblem: there is no such line.
    """
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not 0 <= line <= len(lines):
        raise FileProblem(
            f"Invalid `insert_line` parameter: {line}. It should be within the range "
            f"[0, {len(lines)}]."
        )
    lines.insert(line, new.rstrip("\n"))
    return "\n".join(lines) + "\n"
