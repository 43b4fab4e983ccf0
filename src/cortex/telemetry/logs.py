"""Structured logs: one event a line, as JSON or for a console; never any content.

A logger is an object that is handed on; nothing here is global. Secrets are masked by
the name of their field and by their shape, mail addresses, telephone and card numbers
by theirs; texts of users are replaced by their
length, whatever field they come in.
"""

import logging
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Protocol, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError
from cortex.telemetry import correlation
from cortex.telemetry.tracing import trace_ids

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
"""Names accepted on the command line and in ``CORTEX_LOG_LEVEL``."""

_MASK = "[redacted]"
_PERSONAL_MASK = "[personal]"
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:token|tokens|secret|password|passwd|authorization|cookie|api_?key|"
    r"signing_key|private_key|credential|credentials)$",
    re.IGNORECASE,
)
_PERSONAL_SHAPE = re.compile(
    r"[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){1,8}"
    r"|(?<![\w.:\-])\+\d{1,3}[ .\-]?(?:\(?\d{1,4}\)?[ .\-]?){2,4}\d{2,4}(?![\w.])"
    r"|(?<![\w.\-])(?:\d{4}[ \-]){3}\d{1,4}(?![\w.\-])"
)
"""Addresses of mail, telephone numbers in international form, numbers of cards."""

_PERSONAL_HINT = re.compile(r"[@+]|\d{4}[ \-]\d{4}")
"""What a text must hold for any of these; most have none and are not searched."""

_PLAIN = re.compile(
    r"[A-Za-z0-9./:{}]{0,256}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
"""Words, paths, times and UUIDs: no secret looks so, and most texts do."""

_SECRET_SHAPE = re.compile(
    r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]+"
    r"|\b(?:sk|pk|ghp|xox[abp])[-_][A-Za-z0-9_\-]{16,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?<=[?&]token=)[^&\s]+"
)
_CONTENT_NAMES = frozenset(
    {"content", "text", "query", "prompt", "raw_output", "body", "messages", "items"}
)


_HARMLESS_NAMES = frozenset(
    {"event", "method", "route", "path", "client", "subject", "request_id"}
    | {"error_code", "logger", "code", "loop", "exception"}
)
"""Names on most lines, which need not be searched for the names of secrets."""


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


def build_logger(
    options: LogOptions,
    clock: Clock,
    stream: IO[str] | None = None,
    on_error: OnError | None = None,
) -> Logger:
    """Return a logger that writes to ``stream`` (standard error by default)."""
    processors: list[Processor] = [
        _traceback(on_error),
        _redact,
        structlog.processors.add_log_level,
        _stamp(options, clock),
        _json if options.json else _console(),
    ]
    logger = structlog.wrap_logger(
        structlog.WriteLogger(cast("Any", stream or sys.stderr)),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_level(options.level)),
        cache_logger_on_first_use=True,
    )
    return cast("Logger", logger)


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


def _stamp(options: LogOptions, clock: Clock) -> Processor:
    def stamp(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        moment = datetime.fromtimestamp(clock.now(), UTC)
        event["timestamp"] = moment.isoformat(timespec="milliseconds")
        event["service"] = options.service
        event["version"] = options.version
        event["brand"] = options.brand
        current = correlation.current()
        if current:
            event.setdefault("correlation_id", _masked(current))
        ids = trace_ids()
        if ids is not None:
            event["trace_id"], event["span_id"] = ids
        return event

    return stamp


def _traceback(on_error: OnError | None) -> Processor:
    def tell(_logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        given = event.pop("exc_info", None)
        if not given:
            return event
        if isinstance(given, BaseException):
            error: BaseException | None = given
        else:
            error = (given if isinstance(given, tuple) else sys.exc_info())[1]
        if error is not None:
            event["exception"] = "".join(traceback.format_exception(error))
            if on_error is not None and name == "error":
                on_error(error, str(event.get("route") or event.get("loop") or ""))
        return event

    return tell


def _redact(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    # Plain words under harmless names are most of a line: a call less for each.
    plain, harmless = _PLAIN.fullmatch, _HARMLESS_NAMES
    return {
        key: value
        if type(value) is str and key in harmless and plain(value) is not None
        else redact(key, value)
        for key, value in event.items()
    }


def redact(name: str, value: object) -> object:
    """Return ``value`` as it may be shown under ``name``."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if name in _HARMLESS_NAMES:
        return _redact_within(name, value)
    if _SECRET_NAME.search(name):
        return _MASK
    if name in _CONTENT_NAMES:
        return f"[{len(value)} long]" if hasattr(value, "__len__") else _MASK
    return _redact_within(name, value)


def _redact_within(name: str, value: object) -> object:
    if isinstance(value, str):
        return _masked(value)
    if isinstance(value, Mapping):
        return {str(key): redact(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(name, item) for item in value]
    return _masked(str(value))


def _masked(text: str) -> str:
    if _PLAIN.fullmatch(text) is not None:
        return text
    text = _SECRET_SHAPE.sub(_MASK, text)
    if _PERSONAL_HINT.search(text) is None:
        return text
    return _PERSONAL_SHAPE.sub(_PERSONAL_MASK, text)


def _json(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return orjson.dumps(_printable(event), option=orjson.OPT_NON_STR_KEYS).decode()


def _printable(event: Mapping[str, Any]) -> dict[str, Any]:
    """Replace lone surrogates, which JSON cannot carry."""
    return {
        key: value.encode("utf-8", "backslashreplace").decode()
        if isinstance(value, str)
        else value
        for key, value in event.items()
    }


def _console() -> Callable[[WrappedLogger, str, EventDict], str]:
    renderer = structlog.dev.ConsoleRenderer(colors=False)

    def render(logger: WrappedLogger, name: str, event: EventDict) -> str:
        exception = event.pop("exception", "")
        shown = {
            key: value
            for key, value in event.items()
            if key not in {"service", "version"}
        }
        line = renderer(logger, name, shown)
        return f"{line}\n{exception}" if exception else line

    return render
