"""What is kept of a trace."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Attribute: TypeAlias = str | int | float | bool
"""What OpenTelemetry allows as a value; names and numbers, never content."""


class Reason(StrEnum):
    """Why a trace was kept."""

    ERROR = "error"
    SLOW = "slow"
    CALLER = "caller"
    RATIO = "ratio"


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """A part of a request that has ended.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        parent_id: of the span around it, perhaps in another process; empty at the top.
        start: epoch seconds.
        seconds: how long it took.
        error: name of what it raised, or of what went wrong; empty when it went well.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: float
    seconds: float
    error: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """What one process did in a trace, as it is kept.

    Attributes:
        spans: in the order they ended; the last one is around all the others.
        reason: why it was kept.
        weight: how many requests it stands for, itself included.
        dropped: spans beyond the bound of one trace.
    """

    spans: tuple[SpanRecord, ...]
    reason: Reason
    weight: float
    dropped: int = 0

    @property
    def top(self) -> SpanRecord:
        """Return the span around all the others."""
        return self.spans[-1]
