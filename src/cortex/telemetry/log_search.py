"""Finds kept log lines: the newest first, from a place on, or counted by event."""

import asyncio
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import orjson

from cortex.foundation.errors import ValidationError
from cortex.telemetry.log_files import files_in
from cortex.telemetry.logs import LEVELS

GROUPS_MAX = 200
"""Events told in a summary: libraries put what changes into their messages."""

EVENT_CHARACTERS_MAX = 200

_PLACE = re.compile(r"(\d{13}-\d{1,10}):(\d{1,12})")
_SLACK_SECONDS = 60.0
"""How much later than its time a line may be written, by a machine that is busy."""

Line: TypeAlias = Mapping[str, Any]
"""The fields of one log line."""


@dataclass(frozen=True, slots=True)
class LogQuestion:
    """Which lines; what is empty or None leaves a condition out.

    Attributes:
        level: the least severe, one of ``LEVELS``.
        since: epoch seconds, as ``until``; both in.
        text: stands somewhere in the line, in upper or lower case.
        cursor: what the page before ended with: older lines follow.
        after: ``newest`` of an earlier page: lines since then, the oldest first.
    """

    level: str = "debug"
    since: float | None = None
    until: float | None = None
    correlation_id: str = ""
    text: str = ""
    limit: int = 100
    cursor: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some lines.

    Attributes:
        lines: the newest first; with ``after`` the oldest first.
        next_cursor: None when there are no more.
        newest: the place behind the last line looked at; empty when none is kept.
    """

    lines: tuple[Line, ...]
    next_cursor: str | None
    newest: str


@dataclass(frozen=True, slots=True)
class LogGroup:
    """All lines of one event and level; times are epoch seconds."""

    level: str
    event: str
    count: int
    first: float
    last: float


class KeptLogs(Protocol):
    """What can be asked about kept lines."""

    async def page(self, question: LogQuestion, /) -> LogPage:
        """Return some lines."""
        ...

    async def summary(self, question: LogQuestion, /) -> list[LogGroup]:
        """Return events with their counts, the most severe first."""
        ...


class LogSearch:
    """Reads what ``LogFiles`` of all processes wrote into a folder."""

    def __init__(self, folder: Path) -> None:
        """Read from ``folder``; it need not be there yet."""
        self._folder = folder

    async def page(self, question: LogQuestion, /) -> LogPage:
        """Return some lines.

        Raises:
            ValidationError: a cursor is not one of ours.
        """
        read = self._older if question.after is None else self._since
        return await asyncio.to_thread(read, question)

    async def summary(self, question: LogQuestion, /) -> list[LogGroup]:
        """Return events with their counts, the most severe first, then the most."""
        return await asyncio.to_thread(self._summary, question)

    def _older(self, question: LogQuestion) -> LogPage:
        lines: list[Line] = []
        place = None
        for name, at, line, _ in self._backwards(question):
            if len(lines) == question.limit:
                return LogPage(tuple(lines), place, self._end())
            lines.append(line)
            place = f"{name}:{at}"
        return LogPage(tuple(lines), None, self._end())

    def _since(self, question: LogQuestion) -> LogPage:
        name, offset = _read_place(question.after or "")
        wanted = _Conditions(question)
        lines: list[Line] = []
        place = question.after or ""
        for path in files_in(self._folder):
            if path.stem < name:
                continue
            at = offset if path.stem == name else 0
            for raw in _whole_lines(path)[at:].splitlines(keepends=True):
                if len(lines) == question.limit:
                    return LogPage(tuple(lines), None, place)
                at += len(raw)
                place = f"{path.stem}:{at}"
                found = wanted.line(raw)
                if found is not None:
                    lines.append(found[0])
        return LogPage(tuple(lines), None, place)

    def _summary(self, question: LogQuestion) -> list[LogGroup]:
        # Of an hour there may be a hundred thousand lines: little is made of each.
        counts: Counter[tuple[str, str]] = Counter()
        first: dict[tuple[str, str], float] = {}
        last: dict[tuple[str, str], float] = {}
        for _, _, line, at in self._backwards(question):
            event = str(line.get("event", ""))[:EVENT_CHARACTERS_MAX]
            key = (str(line.get("level", "")), event)
            counts[key] += 1
            # The newest come first, though not to the millisecond.
            if at < first.get(key, math.inf):
                first[key] = at
            if at > last.get(key, -math.inf):
                last[key] = at
        groups = [
            LogGroup(*key, count, first[key], last[key])
            for key, count in counts.items()
        ]
        ordered = sorted(
            groups, key=lambda one: (-LEVELS.get(one.level, 0), -one.count)
        )
        return ordered[:GROUPS_MAX]

    def _backwards(
        self, question: LogQuestion
    ) -> Iterator[tuple[str, int, Line, float]]:
        """Yield file, place, line and time of lines meant, the newest first."""
        name, offset = ("~", 0)
        if question.cursor is not None:
            name, offset = _read_place(question.cursor)
        wanted = _Conditions(question)
        since = 0.0 if question.since is None else question.since
        for path in reversed(files_in(self._folder)):
            stem = path.stem
            if stem > name:
                continue
            body = _whole_lines(path)
            at = offset if stem == name else len(body)
            for raw in reversed(body[:at].splitlines(keepends=True)):
                at -= len(raw)
                found = wanted.line(raw)
                if found is not None:
                    yield (stem, at, *found)
            if float(stem.partition("-")[0]) / 1000 < since - _SLACK_SECONDS:
                return  # all that is older was written before this file began

    def _end(self) -> str:
        files = files_in(self._folder)
        return f"{files[-1].stem}:{len(_whole_lines(files[-1]))}" if files else ""


class _Conditions:
    """Tells of raw lines which are meant, reading few of them."""

    def __init__(self, question: LogQuestion) -> None:
        self._question = question
        self._text = question.text.lower().encode()
        self._id = question.correlation_id.encode()
        self._severity = LEVELS[question.level]

    def line(self, raw: bytes) -> tuple[Line, float] | None:
        """Return the line with its time, if it is meant and whole."""
        asked = self._question
        if self._id and self._id not in raw:
            return None
        if self._text and self._text not in raw.lower():
            return None
        try:
            line = orjson.loads(raw)
            if LEVELS.get(line.get("level"), 0) < self._severity:
                return None
            at = datetime.fromisoformat(line["timestamp"]).timestamp()
        except (ValueError, KeyError, TypeError, AttributeError):
            return None  # half a line, of a disk that was full
        meant = (
            (asked.since is None or at >= asked.since)
            and (asked.until is None or at <= asked.until)
            and (not self._id or line.get("correlation_id") == asked.correlation_id)
        )
        return (line, at) if meant else None


def _whole_lines(path: Path) -> bytes:
    """Return a file up to its last whole line; nothing when it was just removed."""
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        return b""
    return body[: body.rfind(b"\n") + 1]


def _read_place(text: str) -> tuple[str, int]:
    if not text:
        return "", 0
    match = _PLACE.fullmatch(text)
    if match is None:
        raise ValidationError("this is no place in the logs", field="cursor")
    return match[1], int(match[2])
