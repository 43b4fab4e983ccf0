"""The compliance report: who did what, what was forgotten, what proves it, gaps."""

import calendar
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cortex.foundation.errors import ValidationError
from cortex.ledger.entry import parse_leaf, time_microseconds
from cortex.ledger.model import KEY_ROTATED, SUBJECT_FORGOTTEN

FORGETTING = frozenset(("memory.forgotten", SUBJECT_FORGOTTEN))
CONTENT_READ = "audit.content_read"
SECURITY = "security."
DAY_SECONDS = 86_400.0
GAP_SECONDS = DAY_SECONDS
"""A day without any entry is worth a question: was nothing done, or not recorded?"""

_DAYS = re.compile(r"([1-9][0-9]{0,4})d")
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open interval of recorded times, epoch seconds."""

    start: float
    end: float


@dataclass(slots=True)
class Report:
    """What a period's entries amount to.

    Attributes:
        entries: how many there are.
        first: lowest index among them, None without any.
        last: highest index among them.
        by_kind: entries by kind.
        access: by actor, how many entries of each kind.
        agents: by agent, calls by outcome.
        reads: each reading of sealed content: when, who, of which entry.
        forgotten: each forgetting: when, who asked, what.
        keys: each change of the signing key.
        denials: each security event.
        silences: stretches of a day and more without an entry.
    """

    entries: int = 0
    first: int | None = None
    last: int | None = None
    by_kind: Counter[str] = field(default_factory=Counter)
    access: dict[str, Counter[str]] = field(default_factory=dict)
    agents: dict[str, Counter[str]] = field(default_factory=dict)
    reads: list[Mapping[str, Any]] = field(default_factory=list)
    forgotten: list[Mapping[str, Any]] = field(default_factory=list)
    keys: list[Mapping[str, Any]] = field(default_factory=list)
    denials: list[Mapping[str, Any]] = field(default_factory=list)
    silences: list[Mapping[str, Any]] = field(default_factory=list)


def parse_period(text: str, now: float) -> Period:
    """Read ``30d``, ``2026-11``, ``2026-11-01`` or ``2026-11-01..2026-11-30``.

    Both days of a range belong to it; all of it is UTC.

    Raises:
        ValidationError: it is none of these.
    """
    days = _DAYS.fullmatch(text)
    if days is not None:
        return Period(now - int(days[1]) * DAY_SECONDS, now)
    first, dots, last = text.partition("..")
    month = _MONTH.fullmatch(text)
    if month is not None:
        year, number = int(month[1]), int(month[2])
        length = calendar.monthrange(year, number)[1]
        first, last = f"{text}-01", f"{text}-{length:02}"
    elif not dots:
        last = first
    start, end = _day(first), _day(last) + DAY_SECONDS
    if end <= start:
        raise ValidationError("the period ends before it begins", field="period")
    return Period(start, end)


def make_report(
    leaves: Iterable[tuple[int, bytes]],
    period: Period,
    tenant: str = "",
    now: float = math.inf,
) -> Report:
    """Count the entries of a period, of one tenant or of all.

    What is yet to come after ``now`` (epoch seconds) is no gap.
    """
    report, before = Report(), period.start
    for index, body in leaves:
        parsed = parse_leaf(body)
        at = time_microseconds(parsed.time) / _MICROSECONDS
        if at >= period.end:
            break
        event = parsed.event
        if at < period.start or (tenant and event["tenant"] != tenant):
            continue
        _silence(report, before, at)
        before = at
        _count(report, index, parsed.time, event)
    _silence(report, before, min(period.end, now))
    return report


def _count(report: Report, index: int, time: str, event: Mapping[str, Any]) -> None:
    kind, data = event["kind"], event["data"]
    report.entries += 1
    report.first = index if report.first is None else report.first
    report.last = index
    report.by_kind[kind] += 1
    actor = event["actor"] or "(not named)"
    report.access.setdefault(actor, Counter())[kind] += 1
    if isinstance(data.get("agent"), str):
        outcome = str(data.get("outcome"))
        report.agents.setdefault(data["agent"], Counter())[outcome] += 1
    line = {
        "index": index,
        "recorded_at": time,
        "kind": kind,
        "actor": event["actor"],
        "subject": event["subject"],
        "correlation_id": event["correlation_id"],
    }
    if kind == CONTENT_READ:
        report.reads.append({**line, "read": data.get("index")})
    elif kind in FORGETTING:
        report.forgotten.append({**line, "count": data.get("count", 1)})
    elif kind == KEY_ROTATED:
        report.keys.append({**line, "old": data.get("old"), "new": data.get("new")})
    elif kind.startswith(SECURITY):
        report.denials.append({**line, "reason": data.get("reason", "")})


def _silence(report: Report, start: float, end: float) -> None:
    if end - start >= GAP_SECONDS:
        told = [
            datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
            for at in (start, end)
        ]
        report.silences.append({"from": told[0], "to": told[1]})


def _day(text: str) -> float:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        message = f"{text!r} is no period"
        hint = "Write 30d, 2026-11, 2026-11-01 or 2026-11-01..2026-11-30."
        raise ValidationError(message, hint=hint, field="period") from None
