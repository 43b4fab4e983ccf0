"""What may stand in a log line: no secrets, no names of persons, no texts of users.

Secrets are masked by the name of their field and by their shape; mail addresses,
telephone and card numbers by theirs; texts of users are replaced by their length,
whatever field they come in.
"""

import re
from collections.abc import Mapping

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
    r"[A-Za-z0-9./:{}]{0,256}+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
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

_NUMBERS = frozenset({int, float, bool, type(None)})


def redacted(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a line as they may be shown."""
    # Numbers, and plain words under harmless names, are most of a line: no call each.
    shown = dict(fields)
    for name, value in fields.items():
        if type(value) in _NUMBERS:
            continue
        if (
            name in _HARMLESS_NAMES
            and isinstance(value, str)
            and _PLAIN.fullmatch(value)
        ):
            continue
        shown[name] = redact(name, value)
    return shown


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
        return masked(value)
    if isinstance(value, Mapping):
        return {str(key): redact(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(name, item) for item in value]
    return masked(str(value))


def masked(text: str) -> str:
    """Return the text without what looks like a secret or names a person."""
    if _PLAIN.fullmatch(text) is not None:
        return text
    text = _SECRET_SHAPE.sub(_MASK, text)
    if _PERSONAL_HINT.search(text) is None:
        return text
    return _PERSONAL_SHAPE.sub(_PERSONAL_MASK, text)
