"""Which traces are kept: decided at their end, and alike in all processes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from cortex.telemetry.tracing.model import Reason

RATIO = 0.1
"""Part of unremarkable requests that is kept."""

SLOW_SECONDS = 0.25
"""A request that takes longer is always kept: the P95 goal of most routes."""

_RANDOM_DIGITS = 14
"""Hexadecimal digits of a trace id that W3C Trace Context level 2 calls random."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """What to keep.

    Attributes:
        enabled: record anything at all.
        ratio: of the requests that neither failed nor were slow, 0 to 1.
        slow_seconds: longer requests are kept.
    """

    enabled: bool = True
    ratio: float = RATIO
    slow_seconds: float = SLOW_SECONDS


class Ended(NamedTuple):
    """What the decision is made from; a tuple, as every request makes one.

    Attributes:
        seconds: how long it took.
        failed: it raised, or answered with a status of 500 or more.
        asked_for: the caller's own sampler keeps this trace.
        drawn: its id is among those that the ratio keeps.
    """

    seconds: float
    failed: bool
    asked_for: bool
    drawn: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a trace is kept, and how many requests it stands for."""

    reason: Reason
    weight: float


def decide(ended: Ended, sampling: Sampling) -> Verdict | None:
    """Return why to keep the trace; None drops it.

    What is always kept stands for itself alone; one kept by the ratio stands for those
    that were not, so that weighted figures over kept traces are true of all.
    """
    if ended.failed:
        return Verdict(Reason.ERROR, 1.0)
    if ended.seconds > sampling.slow_seconds:
        return Verdict(Reason.SLOW, 1.0)
    if ended.asked_for:
        return Verdict(Reason.CALLER, 1.0)
    if ended.drawn:
        return Verdict(Reason.RATIO, 1.0 / sampling.ratio)
    return None


def by_ratio(ratio: float) -> Callable[[str], bool]:
    """Return what tells whether the ratio keeps a trace; the same in all processes.

    OpenTelemetry's consistent probability sampling: the last 56 bits of a trace id
    are random, and those above a threshold are kept.
    """
    rejected: int = round((1.0 - ratio) * 16.0**_RANDOM_DIGITS)

    def keeps(trace_id: str) -> bool:
        return int(trace_id[-_RANDOM_DIGITS:], 16) >= rejected

    return keeps
