"""What a period is, and what a report makes of entries."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.cli.ledger_report import DAY_SECONDS, Period, make_report, parse_period
from cortex.foundation.errors import ValidationError
from cortex.ledger.entry import NO_PREVIOUS, leaf_bytes, time_text

NOW = 1_700_000_000.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def leaf(index: int, seconds: float, kind: str, actor: str = "ana", **fields):
    event = {
        "actor": actor,
        "correlation_id": f"c{index}",
        "data": fields.pop("data", {}),
        "id": f"e{index}",
        "kind": kind,
        "subject": fields.pop("subject", ""),
        "tenant": fields.pop("tenant", "local"),
    }
    body = json.dumps(event, separators=(",", ":"), sort_keys=True).encode()
    return index, leaf_bytes(index, NO_PREVIOUS, time_text(int(seconds * 1e6)), body)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-02", "2026-02-01", "2026-03-01"),
        ("2024-12", "2024-12-01", "2025-01-01"),
        ("2026-11-21", "2026-11-21", "2026-11-22"),
        ("2026-11-01..2026-11-30", "2026-11-01", "2026-12-01"),
    ],
)
def test_calendar_periods_are_whole_days_in_utc(text, start, end):
    assert parse_period(text, NOW) == Period(at(start), at(end))


def test_days_count_back_from_now():
    assert parse_period("30d", NOW) == Period(NOW - 30 * DAY_SECONDS, NOW)


@pytest.mark.parametrize(
    "text", ["", "0d", "d", "2026", "2026-13", "2026-02-30", "2026-11-02..2026-11-01"]
)
def test_what_is_no_period_is_refused(text):
    with pytest.raises(ValidationError):
        parse_period(text, NOW)


@given(st.text(max_size=30))
def test_any_text_is_a_period_or_refused(text):
    try:
        period = parse_period(text, NOW)
    except ValidationError:
        return
    assert period.start < period.end


def test_a_report_counts_who_did_what_and_lists_what_was_forgotten():
    start = at("2026-11-01")
    call = {"agent": "planner", "outcome": "ok", "run_id": "r"}
    leaves = [
        leaf(0, start - 1, "memory.stored"),
        leaf(1, start, "memory.stored"),
        leaf(2, start + 10, "agent.call", data=call),
        leaf(3, start + 20, "memory.forgotten", actor="ops", data={"count": 7}),
        leaf(4, start + 30, "subject.forgotten", actor="ops", subject="person"),
        leaf(5, start + 40, "memory.stored", actor="", tenant="acme"),
        leaf(6, start + 2 * DAY_SECONDS, "ledger.key_rotated", data={"new": "k2"}),
        leaf(7, start + 30 * DAY_SECONDS, "memory.stored"),
    ]
    period = parse_period("2026-11", NOW)
    made = make_report(leaves, period)
    assert (made.entries, made.first, made.last) == (6, 1, 6)
    assert made.access["ops"] == {"memory.forgotten": 1, "subject.forgotten": 1}
    assert made.access["(not named)"] == {"memory.stored": 1}
    assert made.agents == {"planner": {"ok": 1}}
    assert [line["index"] for line in made.forgotten] == [3, 4]
    assert made.forgotten[0]["count"] == 7
    assert [line["new"] for line in made.keys] == ["k2"]
    assert [gap["from"][:10] for gap in made.silences] == ["2026-11-01", "2026-11-03"]
    assert make_report(leaves, period, "acme").entries == 1


def test_an_empty_period_is_one_silence():
    made = make_report([], parse_period("2026-11", NOW))
    assert made.entries == 0
    assert len(made.silences) == 1


def test_a_report_tells_who_read_which_content():
    start = at("2026-11-01")
    leaves = [
        leaf(0, start, "agent.call"),
        leaf(1, start + 1, "audit.content_read", actor="ben", data={"index": 0}),
    ]

    made = make_report(leaves, parse_period("2026-11", NOW))

    assert [(line["actor"], line["read"]) for line in made.reads] == [("ben", 0)]


def test_days_to_come_are_no_gap():
    period = parse_period("2026-11", NOW)
    made = make_report([leaf(0, period.start, "x")], period, now=period.start + 60.0)
    assert made.silences == []
