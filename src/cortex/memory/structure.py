"""Fewer characters for texts with a structure: JSON, code, logs.

JSON loses the space between its tokens, every text its blank lines and trailing space,
equal lines in a row are counted: nothing is lost by that. Code also loses its comments,
a log all but the first of lines that differ in numbers only: those are lossy, and said.
Prose stays as it is. Python, C-like and shell-like code is known by its fence or,
without one, by how its lines look.
"""

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Final, NamedTuple

import orjson

LOG_LINES_MIN: Final = 5
LOG_SHARE_MIN: Final = 0.6
"""Share of lines with a time or a level from which a text is a log."""

CODE_LINES_MIN: Final = 3
CODE_SHARE_MIN: Final = 0.3
"""Share of lines that look like code from which a text without a fence is code."""

EQUAL_LINES_MIN: Final = 3
"""Equal lines in a row that are worth counting."""

ALIKE_LINES_MIN: Final = 3

_JSON_TOKEN: Final = re.compile(r'"(?:\\.|[^"\\])*"|[ \t\r\n]+')
_FENCE: Final = "```"
_STAMPED: Final = re.compile(
    r"^[\W_]*(?:\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:)"
    r"|^.{0,60}?\b(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)\b"
)
_NUMBER: Final = re.compile(r"\b(?:0x)?[0-9a-fA-F]*\d[0-9a-fA-F]*(?:[.,:T-]\d+)*Z?")
_HASHED_LINE: Final = re.compile(
    r"\s*(?:(?:async )?def \w+|class \w+.*:|import \w|from [\w.]+ import|@\w"
    r"|(?:if|elif|for|while|with|except|try|else)\b.*:\s*$|return\b)"
)
_SLASHED_LINE: Final = re.compile(r".*[;{}]\s*$")
_BLANK_LINES: Final = re.compile(r"\n(?:[ \t]*\n)+")

# A string that is not closed ends with its line, and such a comment with the text: so
# each character is looked at once, whatever the text.
_STRINGS: Final = (
    r'"""(?s:.*?)(?:"""|\Z)|\'\'\'(?s:.*?)(?:\'\'\'|\Z)'
    r'|"(?:\\.?|[^"\\\n])*(?:"|$)|\'(?:\\.?|[^\'\\\n])*(?:\'|$)'
)
_HASHED: Final = re.compile(
    _STRINGS + r"|(?P<comment>(?<!\S)#(?!!)[^\n]*)", re.MULTILINE
)
_SLASHED: Final = re.compile(
    _STRINGS + r"|(?P<comment>(?<![:\w/])//[^\n]*|/\*(?s:.*?)(?:\*/|\Z))", re.MULTILINE
)
_HASHING: Final = ("bash", "perl", "py", "python", "r", "ruby", "sh", "toml", "yaml")
_SLASHING: Final = (
    *("c", "c++", "cpp", "cs", "csharp", "go", "java", "javascript", "js", "jsx"),
    *("kotlin", "php", "rust", "scala", "swift", "ts", "tsx"),
)
_LANGUAGES: Final = {
    **dict.fromkeys(_HASHING, _HASHED),
    **dict.fromkeys(_SLASHING, _SLASHED),
}


class Slimmed(NamedTuple):
    """A text that says the same in fewer characters; `lossy` where not quite."""

    text: str
    lossy: bool


def slim(text: str) -> Slimmed:
    """Return the text without what its structure does not need."""
    minified = _json(text)
    if minified is not None:
        return Slimmed(minified, lossy=False)
    parts = list(_parts(text))
    return Slimmed(
        "".join(part.text for part in parts), any(part.lossy for part in parts)
    )


def _parts(text: str) -> Iterator[Slimmed]:
    """Yield what is between fences and what is in them."""
    opened = ""
    held: list[str] = []
    for line in text.splitlines(keepends=True):
        if not opened and line.startswith(_FENCE):
            yield _plain("".join(held))
            opened, held = line, []
        elif opened and line.strip() == _FENCE:
            body = _fenced(opened.strip("` \t\r\n").lower(), "".join(held))
            closed = body.text + ("" if body.text.endswith("\n") else "\n")
            yield Slimmed(opened + closed + line, body.lossy)
            opened, held = "", []
        else:
            held.append(line)
    yield _plain(opened + "".join(held))


def _fenced(kind: str, body: str) -> Slimmed:
    minified = _json(body)
    if minified is not None:
        return Slimmed(minified, lossy=False)
    comments = _LANGUAGES.get(kind)
    return _plain(body) if comments is None else _code(body, comments)


def _plain(text: str) -> Slimmed:
    lines = [line for line in text.split("\n") if line.strip()]
    if _share(lines, _STAMPED.match, LOG_LINES_MIN) >= LOG_SHARE_MIN:
        return _log(text)
    for looks, comments in ((_HASHED_LINE, _HASHED), (_SLASHED_LINE, _SLASHED)):
        if _share(lines, looks.match, CODE_LINES_MIN) >= CODE_SHARE_MIN:
            return _code(text, comments)
    return Slimmed(_counted(_trimmed(text)), lossy=False)


def _share(lines: list[str], match: Callable[[str], object], lines_min: int) -> float:
    """Return which part of the lines matches, 0 of too few."""
    found = sum(match(line) is not None for line in lines)
    return found / len(lines) if found >= lines_min else 0.0


def _json(text: str) -> str | None:
    """Return JSON without space between its tokens; None for anything else."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return _JSON_TOKEN.sub(lambda one: one[0] if one[0][0] == '"' else "", text)


def _code(text: str, comments: re.Pattern[str]) -> Slimmed:
    bare = comments.sub(lambda one: "" if one["comment"] else one[0], text)
    tight = _BLANK_LINES.sub("\n", _trimmed(bare))
    return Slimmed(tight, bare != text)


def _log(text: str) -> Slimmed:
    counted = _counted(_BLANK_LINES.sub("\n", _trimmed(text)))
    lines: list[str] = []
    lossy = False
    for _, group in groupby(counted.split("\n"), lambda line: _NUMBER.sub("0", line)):
        alike = list(group)
        if len(alike) >= ALIKE_LINES_MIN and alike[0].strip():
            lines += [alike[0], f"({len(alike) - 1} more lines like it)"]
            lossy = True
        else:
            lines += alike
    return Slimmed("\n".join(lines), lossy)


def _trimmed(text: str) -> str:
    # A pattern would look at a long run of spaces once for each of them.
    return "\n".join(line.rstrip(" \t") for line in text.split("\n"))


def _counted(text: str) -> str:
    """Return the text with equal lines in a row counted."""
    lines: list[str] = []
    for line, group in groupby(text.split("\n")):
        count = len(list(group))
        if count >= EQUAL_LINES_MIN and line.strip():
            lines += [line, f"(the same line {count} times)"]
        else:
            lines += [line] * (count if line.strip() else min(count, 2))
    return "\n".join(lines)
