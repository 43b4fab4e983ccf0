"""The id under which one request is found again in logs, events and the ledger."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from cortex.foundation.limits import CORRELATION_ID_CHARACTERS_MAX

_CURRENT: ContextVar[str] = ContextVar("cortex_correlation_id", default="")
"""Follows the work of one request through its tasks; a context variable can only
live at module level."""

_PRINTABLE = re.compile(rf"[\x20-\x7e]{{1,{CORRELATION_ID_CHARACTERS_MAX}}}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_INVALID_VERSION = "ff"


def accept(value: str | None) -> str | None:
    """Return the caller's id if it is 1 to 128 printable ASCII characters, else None.

    HTTP strips outer spaces; inner ones are printable and stay.
    """
    if value is not None and _PRINTABLE.fullmatch(value):
        return value
    return None


def current() -> str:
    """Return the correlation id of the running work; empty outside of any."""
    return _CURRENT.get()


@contextmanager
def bound(correlation_id: str) -> Iterator[None]:
    """Make ``correlation_id`` current inside the block."""
    token = _CURRENT.set(correlation_id)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@dataclass(frozen=True, slots=True)
class Traceparent:
    """A caller's place in its trace (W3C Trace Context, level 1)."""

    trace_id: str
    parent_id: str
    sampled: bool


def parse_traceparent(value: str | None) -> Traceparent | None:
    """Return the parsed header; None for a missing or invalid one, as W3C asks."""
    if value is None:
        return None
    match = _TRACEPARENT.fullmatch(value[:55])
    if match is None:
        return None
    version, trace_id, parent_id, flags = match.groups()
    longer = len(value) > match.end()
    if version == _INVALID_VERSION or (version == "00" and longer):
        return None
    if not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    return Traceparent(trace_id, parent_id, sampled=bool(int(flags, 16) & 1))
