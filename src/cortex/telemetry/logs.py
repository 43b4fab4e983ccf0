"""Structured logs: one event a line, as JSON or for a console; never any content.

A logger is an object that is handed on; nothing here is global. What a line may hold
is decided in ``cortex.telemetry.redaction``.
"""

import asyncio
import contextlib
import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Protocol, TypeAlias

import orjson
import structlog

from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError
from cortex.telemetry import correlation
from cortex.telemetry.redaction import masked, redacted
from cortex.telemetry.tracing import trace_ids

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
"""Names accepted on the command line and in ``CORTEX_LOG_LEVEL``."""

GATHERED_LINES_MAX = 64
"""Lines that wait for company: what a kill costs at most."""


class Logger(Protocol):
    """What a component may log with; ``event`` is a constant, facts are fields."""

    def debug(self, event: str, /, **fields: Any) -> Any:
        """Log what only a developer wants."""
        ...

    def info(self, event: str, /, **fields: Any) -> Any:
        """Log what an operator may want."""
        ...

    def warning(self, event: str, /, **fields: Any) -> Any:
        """Log what an operator should look at some time."""
        ...

    def error(self, event: str, /, **fields: Any) -> Any:
        """Log what failed; ``exc_info=True`` adds the traceback."""
        ...


class LeveledLogger(Logger, Protocol):
    """A logger whose level can be changed while others hold it."""

    def set_level(self, name: str) -> None:
        """Log from another level on; ``name`` is one of ``LEVELS``."""
        ...

    def gather(self, seconds: float) -> None:
        """Let lines of an event loop wait so long for company; 0 writes each at once.

        A warning, or what is worse, never waits, and takes along what does.
        """
        ...


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How to log.

    Attributes:
        level: one of ``LEVELS``.
        json: JSON lines; otherwise aligned text for a person.
        brand: on every line, as are ``service`` and ``version``.
    """

    level: str = "info"
    json: bool = True
    brand: str = "brAInwav"
    service: str = "cortex"
    version: str = ""


OnError = Callable[[BaseException, str], None]
"""Told of each error that is logged with its exception, and where it was met."""


Keep = Callable[[str], None]
"""Takes a line without its end; called on every thread that logs."""

Facts = dict[str, Any]


_Said: TypeAlias = tuple[str, str, Facts, float, str, tuple[str, str] | None]
"""What was logged, to make its line later: level, event, fields, when, correlation id,
and the ids of trace and span."""

_JSON_BITS = 64
"""Integers of so many bits, and more, are written as text."""

_PATIENT = frozenset({"debug", "info"})
"""Levels whose lines may wait for company."""


def build_logger(
    options: LogOptions,
    clock: Clock,
    stream: IO[str] | None = None,
    on_error: OnError | None = None,
    keep: Keep | None = None,
) -> LeveledLogger:
    """Return a logger that writes to ``stream`` (standard error by default).

    ``keep`` is given each line as JSON, too.
    """
    return _Lines(options, clock, stream or sys.stderr, on_error, keep)


class _Lines:
    """Notes each event as it is, and makes a line of it when lines are written.

    Every request is a line: a chain of processors, each called with a dict of its own,
    would cost more than all the rest of telemetry, and lines made together cost half of
    what each costs alone.
    """

    def __init__(
        self,
        options: LogOptions,
        clock: Clock,
        stream: IO[str],
        on_error: OnError | None,
        keep: Keep | None,
    ) -> None:
        self._level = _level(options.level)
        self._clock = clock
        self._out = _Gathered(stream, self._line)
        self._on_error = on_error
        self._second, self._written = 0, "1970-01-01T00:00:00"
        self._keep = keep
        self._json = _json(options)
        self._shown = self._json if options.json else _console(options.brand)

    def set_level(self, name: str) -> None:
        self._level = _level(name)

    def gather(self, seconds: float) -> None:
        self._out.gather(seconds)

    def debug(self, event: str, /, **fields: Any) -> None:
        if self._level <= logging.DEBUG:
            self._tell("debug", event, fields)

    def info(self, event: str, /, **fields: Any) -> None:
        if self._level <= logging.INFO:
            self._tell("info", event, fields)

    def warning(self, event: str, /, **fields: Any) -> None:
        if self._level <= logging.WARNING:
            self._tell("warning", event, fields)

    def error(self, event: str, /, **fields: Any) -> None:
        if self._level <= logging.ERROR:
            self._tell("error", event, fields)

    def critical(self, event: str, /, **fields: Any) -> None:
        self._tell("critical", event, fields)

    def _tell(self, level: str, event: str, fields: Facts) -> None:
        if "exc_info" in fields:
            self._unfold(level, fields)
        now, current = self._clock.now(), correlation.current()
        said = (level, event, fields, now, current, trace_ids())
        self._out.add(said, urgent=level not in _PATIENT)

    def _line(self, said: _Said) -> str:
        """Return the line to write, and keep it as JSON."""
        level, event, fields, now, correlation_id, ids = said
        facts = {"event": masked(event), **redacted(fields)}
        facts["level"] = level
        facts["timestamp"] = self._timestamp(now)
        if correlation_id:
            facts.setdefault("correlation_id", masked(correlation_id))
        if ids is not None:
            facts["trace_id"], facts["span_id"] = ids
        line = self._json(facts)
        if self._keep is not None:
            self._keep(line)
        return line if self._shown is self._json else self._shown(facts)

    def _timestamp(self, now: float) -> str:
        second = int(now)
        if second != self._second:
            moment = datetime.fromtimestamp(second, UTC)
            self._second, self._written = second, f"{moment:%Y-%m-%dT%H:%M:%S}"
        return f"{self._written}.{int((now - second) * 1000):03d}+00:00"

    def _unfold(self, level: str, fields: Facts) -> None:
        """Replace ``exc_info`` by the traceback, and tell of an error."""
        given = fields.pop("exc_info")
        if not given:
            return
        error = given
        if not isinstance(given, BaseException):
            error = (given if isinstance(given, tuple) else sys.exc_info())[1]
        if error is None:
            return
        fields["exception"] = "".join(traceback.format_exception(error))
        if self._on_error is not None and level == "error":
            self._on_error(error, str(fields.get("route") or fields.get("loop") or ""))


class _Gathered:
    """Makes and writes lines: several at once where nobody waits for them.

    A system call for each line would cost as much as making it.
    """

    def __init__(self, stream: IO[str], line: Callable[[_Said], str]) -> None:
        self._stream = stream
        self._line = line
        self._seconds = 0.0
        self._waiting: deque[_Said] = deque()
        self._lock = threading.Lock()
        self._timed: asyncio.AbstractEventLoop | None = None

    def gather(self, seconds: float) -> None:
        self._seconds = seconds
        self._flush()

    def add(self, said: _Said, *, urgent: bool) -> None:
        self._waiting.append(said)
        full = len(self._waiting) >= GATHERED_LINES_MAX
        if urgent or full or not self._seconds or not self._comes_later():
            self._flush()

    def _comes_later(self) -> bool:
        """Return whether a loop will write what waits; only threads have none."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if loop is not self._timed:
            self._timed = loop
            loop.call_later(self._seconds, self._in_time)
        return True

    def _in_time(self) -> None:
        self._timed = None
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            if not self._waiting:
                return
            lines: list[str] = []
            try:
                while self._waiting:
                    lines.append(self._line(self._waiting.popleft()))
            finally:
                # A log on a full disk must fail nobody's request.
                with contextlib.suppress(OSError):
                    self._stream.write("\n".join(lines) + "\n")
                    self._stream.flush()


class StdlibBridge(logging.Handler):
    """Carries records of libraries that use ``logging`` into a structured logger."""

    def __init__(self, logger: Logger) -> None:
        """Take the logger to write to."""
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; its exception, if any, goes along."""
        level = "debug"
        for name, threshold in LEVELS.items():
            if record.levelno >= threshold:
                level = name
        method = getattr(self._logger, level)
        method(record.getMessage(), logger=record.name, exc_info=record.exc_info)


def route_stdlib(logger: Logger, level: str, *names: str) -> None:
    """Send the named library loggers (such as ``uvicorn``) through ``logger``."""
    for name in names:
        library = logging.getLogger(name)
        library.handlers = [StdlibBridge(logger)]
        library.setLevel(_level(level))
        library.propagate = False


def _level(name: str) -> int:
    try:
        return LEVELS[name.lower()]
    except KeyError:
        message = f"log level {name!r} is not one of {', '.join(LEVELS)}"
        raise ValidationError(message, field="log_level") from None


def _json(options: LogOptions) -> Callable[[Facts], str]:
    """Return what writes facts as JSON, with the same fields at the end of each."""
    always = {
        "service": options.service,
        "version": options.version,
        "brand": options.brand,
    }
    tail = "," + orjson.dumps(always).decode()[1:]

    def rendered(facts: Facts) -> str:
        try:
            line = orjson.dumps(facts, option=orjson.OPT_NON_STR_KEYS)
        except TypeError:
            line = orjson.dumps(_printable(facts), option=orjson.OPT_NON_STR_KEYS)
        return line[:-1].decode() + tail

    return rendered


def _printable(facts: Facts) -> Facts:
    """Replace what JSON cannot carry: lone surrogates, and integers of over 64 bits."""
    return {
        key: value
        if isinstance(value, float | None)
        or (isinstance(value, int) and value.bit_length() < _JSON_BITS)
        else str(value).encode("utf-8", "backslashreplace").decode()
        for key, value in facts.items()
    }


def _console(brand: str) -> Callable[[Facts], str]:
    """Return what writes facts for a person."""
    renderer = structlog.dev.ConsoleRenderer(colors=False)

    def rendered(facts: Facts) -> str:
        exception = facts.pop("exception", "")
        line = str(renderer(None, "", facts | {"brand": brand}))
        return f"{line}\n{exception}" if exception else line

    return rendered
