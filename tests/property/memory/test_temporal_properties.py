"""Time expressions, whatever is asked and whenever."""

from hypothesis import given
from hypothesis import strategies as st

from cortex.memory.temporal import parse_time_range

PIECES = st.sampled_from(
    [
        "before",
        "after",
        "since",
        "until",
        "by",
        "between",
        "and",
        "from",
        "to",
        "in",
        "on",
        "during",
        "last",
        "next",
        "this",
        "past",
        "week",
        "month",
        "year",
        "day",
        "weekend",
        "ago",
        "two",
        "a",
        "couple",
        "of",
        "3",
        "9999",
        "may",
        "march",
        "june",
        "december",
        "7",
        "31",
        "30th",
        "2023",
        "1999",
        "2023-02-29",
        "q1",
        "summer",
        "winter",
        "friday",
        "today",
        "yesterday",
        "the",
        "first",
        ",",
        ".",
        "days",
        "weeks",
        "months",
        "years",
        "earlier",
    ]
)
QUERIES = st.lists(PIECES, max_size=12).map(" ".join) | st.text(max_size=80)
MOMENTS = st.floats(-62_135_596_800, 253_402_300_799)
OFFSETS = st.integers(-14 * 3600, 14 * 3600)


@given(QUERIES, MOMENTS, OFFSETS)
def test_a_range_starts_before_it_ends(query: str, now: float, offset: int) -> None:
    found = parse_time_range(query, now, utc_offset_seconds=offset)
    if found is not None:
        assert found.start is not None or found.end is not None
        if found.start is not None and found.end is not None:
            assert found.start <= found.end
            return
        assert found.hard


@given(QUERIES, MOMENTS)
def test_case_does_not_matter(query: str, now: float) -> None:
    folded = query.casefold()
    assert parse_time_range(folded, now) == parse_time_range(query, now)


@given(QUERIES, st.integers(0, 4_000_000_000), OFFSETS)
def test_the_wall_clock_only_shifts(query: str, now: int, offset: int) -> None:
    there = parse_time_range(query, now, utc_offset_seconds=offset)
    here = parse_time_range(query, now + offset)
    assert (there is None) == (here is None)
    if there is not None and here is not None:
        for one, other in ((there.start, here.start), (there.end, here.end)):
            assert (one is None and other is None) or one + offset == other


@given(st.dates(), st.integers(0, 4_000_000_000))
def test_a_full_date_is_that_day(day, now: int) -> None:
    if 1900 <= day.year < 2100:
        found = parse_time_range(f"on {day.day} {day:%B} {day.year}", now)
        assert found is not None
        assert found == parse_time_range(f"on {day.isoformat()}", now)
        assert found.end - found.start == 86_400


@given(st.integers(0, 4_000_000_000), st.integers(1, 500))
def test_what_is_ago_is_not_in_the_future(now: int, count: int) -> None:
    for unit in ("days", "weeks", "months", "years"):
        found = parse_time_range(f"{count} {unit} ago", now)
        assert found is None or found.start <= now
