"""Time expressions, asked on Wednesday 16 August 2023, 15:30 UTC."""

from datetime import UTC, datetime

import pytest

from cortex.memory.temporal import TimeRange, parse_time_range

NOW = datetime(2023, 8, 16, 15, 30, tzinfo=UTC).timestamp()


def day(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        ("what did I do last week", "2023-08-07", "2023-08-14"),
        ("this week's plan", "2023-08-14", "2023-08-21"),
        ("plans for next week", "2023-08-21", "2023-08-28"),
        ("last weekend", "2023-08-12", "2023-08-14"),
        ("last month", "2023-07-01", "2023-08-01"),
        ("this year", "2023-01-01", "2024-01-01"),
        ("last year", "2022-01-01", "2023-01-01"),
        ("in May 2023", "2023-05-01", "2023-06-01"),
        ("in may", "2023-05-01", "2023-06-01"),
        ("in December", "2022-12-01", "2023-01-01"),
        ("last May", "2023-05-01", "2023-06-01"),
        ("next May", "2024-05-01", "2024-06-01"),
        ("on 7 May 2023", "2023-05-07", "2023-05-08"),
        ("on May 7th, 2023", "2023-05-07", "2023-05-08"),
        ("the 7th of May", "2023-05-07", "2023-05-08"),
        ("on 24 December", "2022-12-24", "2022-12-25"),
        ("on 2023-05-07", "2023-05-07", "2023-05-08"),
        ("today", "2023-08-16", "2023-08-17"),
        ("who came yesterday?", "2023-08-15", "2023-08-16"),
        ("the day before yesterday", "2023-08-14", "2023-08-15"),
        ("two days ago", "2023-08-14", "2023-08-15"),
        ("a week ago", "2023-08-06", "2023-08-13"),
        ("a couple of months ago", "2023-06-01", "2023-07-01"),
        ("3 years ago", "2020-01-01", "2021-01-01"),
        ("last Friday", "2023-08-11", "2023-08-12"),
        ("on Friday", "2023-08-11", "2023-08-12"),
        ("next Monday", "2023-08-21", "2023-08-22"),
        ("last Wednesday", "2023-08-09", "2023-08-10"),
        ("last summer", "2022-06-01", "2022-09-01"),
        ("in the summer of 2022", "2022-06-01", "2022-09-01"),
        ("last winter", "2022-12-01", "2023-03-01"),
        ("in Q1 2023", "2023-01-01", "2023-04-01"),
        ("in 2021", "2021-01-01", "2022-01-01"),
        ("compare May 2023 and July 2023", "2023-05-01", "2023-08-01"),
        ("two weeks before August 11, 2023", "2023-08-11", "2023-08-12"),
    ],
)
def test_pointing_at_a_time(query: str, start: str, end: str) -> None:
    assert parse_time_range(query, NOW) == TimeRange(day(start), day(end), hard=False)


@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        ("anything before March?", None, "2023-03-01"),
        ("until last month", None, "2023-08-01"),
        ("by 2023-07-01", None, "2023-07-02"),
        ("after June", "2023-07-01", None),
        ("since 2022", "2022-01-01", None),
        ("since the beginning of May", "2023-05-01", None),
        ("between March and June", "2023-03-01", "2023-07-01"),
        ("from November to February", "2022-11-01", "2023-03-01"),
        ("between 7 May and 10 May", "2023-05-07", "2023-05-11"),
        ("after June and before August", "2023-07-01", "2023-08-01"),
    ],
)
def test_bounding_a_time(query: str, start: str | None, end: str | None) -> None:
    expected = TimeRange(start and day(start), end and day(end), hard=True)
    assert parse_time_range(query, NOW) == expected


def test_the_last_days_end_now() -> None:
    found = parse_time_range("in the last 3 weeks", NOW)
    assert found == TimeRange(NOW - 21 * 86_400, NOW, hard=False)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "What does Ann like?",
        "May I ask something?",
        "do you march on",
        "she won 2023 points",
        "February 30 2023",
        "9999 years ago",
        "after June and before May",
        "between us and them",
        "from 3 to 5 people",
    ],
)
def test_no_time_is_named(query: str) -> None:
    assert parse_time_range(query, NOW) is None


def test_days_begin_on_the_wall_clock_of_the_asker() -> None:
    late = datetime(2023, 8, 16, 23, 30, tzinfo=UTC).timestamp()
    found = parse_time_range("today", late, utc_offset_seconds=2 * 3600)
    assert found is not None
    assert found.start == day("2023-08-17") - 2 * 3600


def test_a_leap_day_a_year_ago() -> None:
    leap = datetime(2024, 2, 29, tzinfo=UTC).timestamp()
    assert parse_time_range("in the last 1 year", leap) == TimeRange(
        day("2023-02-28"), leap, hard=False
    )


def test_the_end_of_a_range_is_outside() -> None:
    span = TimeRange(1.0, 2.0, hard=True)
    assert [span.holds(moment) for moment in (0.5, 1.0, 2.0)] == [False, True, False]
    assert TimeRange(None, None, hard=False).holds(0.0)


def test_a_range_cannot_end_before_it_starts() -> None:
    with pytest.raises(ValueError, match="before it starts"):
        TimeRange(2.0, 1.0, hard=True)
