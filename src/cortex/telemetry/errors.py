"""Errors nobody foresaw, grouped: the same fault is one row however often it happens.

A fingerprint is the kind of the error and the functions it passed through in our own
code: line numbers and messages change with releases and requests, these do not.
"""

import hashlib
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from cortex.foundation.clock import Clock
from cortex.telemetry import correlation
from cortex.telemetry.redaction import redact
from cortex.telemetry.tracing import trace_ids

FRAMES_MAX = 20
"""Innermost functions that are told."""

MESSAGE_CHARACTERS_MAX = 500
GROUPS_PENDING_MAX = 200
"""Groups that wait to be written; errors of further ones are only counted."""

_OWN = "cortex"
INTERNAL = "INTERNAL_ERROR"


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Every occurrence of one fault.

    Attributes:
        fingerprint: 16 hexadecimal digits.
        type: of the exception.
        code: as answered.
        place: the innermost function of ours, ``module:function``.
        route: template of the last request that met it, or name of the loop.
        message: of the last occurrence, without secrets.
        frames: ``module:function:line``, outermost first, of the last occurrence.
        first_seen: epoch seconds; ``last_seen`` likewise.
    """

    fingerprint: str
    type: str
    code: str
    place: str
    route: str
    message: str
    frames: tuple[str, ...]
    count: int
    first_seen: float
    last_seen: float
    last_trace_id: str = ""
    last_correlation_id: str = ""


class ErrorStore(Protocol):
    """Keeps groups, up to a bound."""

    async def add(self, groups: Sequence[ErrorGroup]) -> None:
        """Add occurrences to their groups."""
        ...

    async def page(self, since: float, limit: int) -> list[ErrorGroup]:
        """Return groups seen since then, the last seen first."""
        ...


class ErrorCollector:
    """Collects occurrences of this process until they are written."""

    def __init__(self, clock: Clock) -> None:
        """Begin empty."""
        self._clock = clock
        self._groups: dict[str, ErrorGroup] = {}
        self.dropped = 0

    def caught(self, error: BaseException, place: str) -> None:
        """Count one occurrence; ``place`` is the route, or the loop, that met it."""
        frames = _frames(error.__traceback__)
        innermost = _place(frames)
        kind = type(error).__qualname__
        code = str(getattr(error, "code", "")) or INTERNAL
        fingerprint = _fingerprint(kind, code, frames)
        known = self._groups.get(fingerprint)
        if known is None and len(self._groups) >= GROUPS_PENDING_MAX:
            self.dropped += 1
            return
        now = self._clock.now()
        ids = trace_ids()
        one = ErrorGroup(
            fingerprint,
            kind,
            code,
            innermost,
            place,
            str(redact("message", str(error)))[:MESSAGE_CHARACTERS_MAX],
            tuple(frames[-FRAMES_MAX:]),
            1 if known is None else known.count + 1,
            now if known is None else known.first_seen,
            now,
            "" if ids is None else ids[0],
            correlation.current(),
        )
        self._groups[fingerprint] = one

    def take(self) -> list[ErrorGroup]:
        """Return what was collected since the last call."""
        taken = list(self._groups.values())
        self._groups.clear()
        return taken


def _frames(trace: TracebackType | None) -> list[str]:
    return [
        f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_qualname}:{line}"
        for frame, line in traceback.walk_tb(trace)
    ]


def _place(frames: Sequence[str]) -> str:
    own = [frame for frame in frames if frame.startswith(f"{_OWN}.")]
    innermost = (own or frames or ["?"])[-1]
    return innermost.rpartition(":")[0] or innermost


def _fingerprint(kind: str, code: str, frames: Sequence[str]) -> str:
    passed = [
        frame.rpartition(":")[0] for frame in frames if frame.startswith(f"{_OWN}.")
    ]
    text = "\n".join((kind, code, *passed))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
