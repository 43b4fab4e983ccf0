"""Time expressions in a query: "last week", "before March", "on 7 May 2023".

`parse_time_range` finds the dates and periods that an English query names and makes
one half-open range of them, in epoch seconds. The words before an expression decide
what it means: "before", "until", "after", "since", "between ... and" are *bounds* and
exclude what lies outside; "in", "on", "during" and bare expressions only *point* at a
time, because people tell of a thing later than it happened ("What did Ann do on 3
May?" may be answered by a message of the 5th).

"Two weeks before 11 August" points at 11 August, the day it was told from. A date
without a year is the latest one that is not in the future. Weeks begin on Monday.
Words that are also names or verbs ("May", "March", "2023 rows") count only
beside a word that makes them a time.
"""

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - local wall time throughout
_DAY: Final = timedelta(days=1)
_MONTHS_PER_YEAR: Final = 12
_DAYS_PER_WEEK: Final = 7
_SATURDAY: Final = 5
_MONTHS_PER_SEASON: Final = 3

_YEARS: Final = range(2, 9_990)
"""Years of "now" around which the calendar has room for every expression."""

QUERY_CHARACTERS_MAX: Final = 10_000
"""Characters of a query that are looked at."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Epoch seconds from `start` up to and without `end`; `None` is open.

    `hard` says that the query excludes what lies outside; otherwise the range is
    where to look first.
    """

    start: float | None
    end: float | None
    hard: bool

    def __post_init__(self) -> None:
        """Refuse a range that ends before it starts."""
        if self.start is not None and self.end is not None and self.start > self.end:
            message = f"a range cannot end before it starts: {self.start}, {self.end}"
            raise ValueError(message)

    def holds(self, moment: float) -> bool:
        """Return whether `moment`, in epoch seconds, is inside."""
        return (self.start is None or moment >= self.start) and (
            self.end is None or moment < self.end
        )


@dataclass(frozen=True, slots=True)
class _Period:
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class _Found:
    """A period, where the query names it, and the word before it."""

    period: _Period
    start: int
    end: int
    relation: str


_MONTH_NAMES: Final = {
    name[:3].lower(): number
    for number, name in enumerate(calendar.month_name)
    if number
}
_WEEKDAYS: Final = {name[:3].lower(): day for day, name in enumerate(calendar.day_name)}
_SEASON_STARTS: Final = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_NUMBERS: Final = {
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "couple": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
}

_MONTH: Final = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?"
    r"|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_YEAR: Final = r"(?P<year>(?:19|20)\d\d)\b"
_OF_DAY: Final = r"(?P<day>[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?\b"
_COUNT: Final = (
    r"(?P<count>\d{1,4}|an?|one|(?:a )?couple(?: of)?|two|three|four|five|six|seven"
    r"|eight|nine|ten|eleven|twelve)"
)
_UNIT: Final = r"(?P<unit>day|week|month|year)s?\b"
_WHICH: Final = r"\b(?P<which>this|last|past|previous|next|coming)\s+"
_RELATION: Final = re.compile(
    # "two weeks before X" is not "before X"
    r"\b(?<!day )(?<!week )(?<!weekend )(?<!month )(?<!year )"
    r"(?<!days )(?<!weeks )(?<!months )(?<!years )"
    r"(before|prior to|earlier than|until|till|up to|by|after|later than|since"
    r"|between|from|and|to|through|in|on|during|around|of|for)"
    r"\s+(?:the\s+)?(?:(?:start|beginning|end|middle|month|year|week)\s+of\s+)?$"
)
_ENDS_AT_START: Final = frozenset({"before", "prior to", "earlier than"})
_ENDS_AT_END: Final = frozenset({"until", "till", "up to", "by"})
_STARTS_AT_END: Final = frozenset({"after", "later than"})
_OPENS_PAIR: Final = frozenset({"between", "from"})
_CLOSES_PAIR: Final = frozenset({"and", "to", "until", "till", "through", "up to"})
_JOINS_NOTHING: Final = frozenset({"and", "to", "of", "for"})


def parse_time_range(
    query: str, now: float, *, utc_offset_seconds: int = 0
) -> TimeRange | None:
    """Return the time range that `query` speaks of, or `None` when it names none.

    `now` is in epoch seconds; `utc_offset_seconds` shifts it to the asker's wall
    clock, by which days begin. Several bounds are intersected (a contradiction such
    as "after June and before May" gives `None`); several plain expressions give the
    range that holds all of them. A `now` at the ends of the calendar gives `None`.
    """
    try:
        local = _EPOCH + timedelta(seconds=now + utc_offset_seconds)
        if local.year not in _YEARS:
            return None
        found = _all_found(query[:QUERY_CHARACTERS_MAX].casefold(), local)
    except OverflowError:  # before year 1 or after 9999
        return None
    if not found:
        return None
    bounds = list(_bounds(found))
    if bounds:
        starts = [start for start, _ in bounds if start is not None]
        ends = [end for _, end in bounds if end is not None]
        first, last = max(starts, default=None), min(ends, default=None)
    else:
        first = min(one.period.start for one in found)
        last = max(one.period.end for one in found)
    if first is not None and last is not None and first > last:
        return None
    shift = timedelta(seconds=utc_offset_seconds)
    return TimeRange(
        None if first is None else (first - shift - _EPOCH).total_seconds(),
        None if last is None else (last - shift - _EPOCH).total_seconds(),
        hard=bool(bounds),
    )


def _bounds(
    found: list[_Found],
) -> Iterator[tuple[datetime | None, datetime | None]]:
    """Yield the start and end that each bounding expression demands."""
    at = 0
    while at < len(found):
        one = found[at]
        other = found[at + 1] if at + 1 < len(found) else None
        at += 1
        if (
            one.relation in _OPENS_PAIR
            and other is not None
            and other.relation in _CLOSES_PAIR
        ):
            at += 1
            yield _pair(one.period, other.period)
        elif one.relation in _ENDS_AT_START:
            yield None, one.period.start
        elif one.relation in _ENDS_AT_END:
            yield None, one.period.end
        elif one.relation in _STARTS_AT_END:
            yield one.period.end, None
        elif one.relation == "since":
            yield one.period.start, None


def _pair(first: _Period, second: _Period) -> tuple[datetime, datetime]:
    """Join two periods; "from May to March" begins a year earlier."""
    start = first.start
    if start > second.start and start.year > 1:
        day = min(start.day, calendar.monthrange(start.year - 1, start.month)[1])
        earlier = start.replace(year=start.year - 1, day=day)
        if earlier <= second.start and start - second.start < 366 * _DAY:
            start = earlier
    if start > second.start:
        return second.start, first.end
    return start, second.end


def _all_found(query: str, now: datetime) -> list[_Found]:
    """Return every expression, in order, the more specific form winning an overlap."""
    taken: list[_Found] = []
    for form, resolve, needs_relation in _FORMS:
        for match in form.finditer(query):
            if any(o.start < match.end() and match.start() < o.end for o in taken):
                continue
            before = _RELATION.search(query[max(0, match.start() - 40) : match.start()])
            relation = before.group(1) if before else ""
            if needs_relation and not _makes_a_time(relation, taken):
                continue
            period = resolve(match, now)
            if period is not None:
                taken.append(_Found(period, match.start(), match.end(), relation))
    return sorted(taken, key=lambda one: one.start)


def _makes_a_time(relation: str, taken: list[_Found]) -> bool:
    """Return whether a word such as "may" is a time after this relation."""
    if relation in _CLOSES_PAIR and any(o.relation in _OPENS_PAIR for o in taken):
        return True
    return bool(relation) and relation not in _JOINS_NOTHING


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _days(first: datetime, count: int = 1) -> _Period:
    return _Period(first, first + count * _DAY)


def _months(year: int, month: int, count: int = 1) -> _Period:
    last = (month - 1 + count) % _MONTHS_PER_YEAR + 1
    return _Period(
        datetime(year, month, 1),  # noqa: DTZ001
        datetime(year + (month - 1 + count) // _MONTHS_PER_YEAR, last, 1),  # noqa: DTZ001
    )


def _back(now: datetime, months: int) -> tuple[int, int]:
    """Return the year and month that lie `months` before now (negative: after)."""
    index = now.year * _MONTHS_PER_YEAR + now.month - 1 - months
    if not _MONTHS_PER_YEAR <= index < 9999 * _MONTHS_PER_YEAR:
        message = "outside the calendar"
        raise OverflowError(message)
    return index // _MONTHS_PER_YEAR, index % _MONTHS_PER_YEAR + 1


def _iso_date(match: re.Match[str], _now: datetime) -> _Period | None:
    year, month, day = (int(part) for part in match.group("year", "number", "day"))
    return _calendar_day(year, month, day)


def _calendar_day(year: int, month: int, day: int) -> _Period | None:
    if not 1 <= month <= _MONTHS_PER_YEAR:
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return _days(datetime(year, month, day))  # noqa: DTZ001


def _named_day(match: re.Match[str], now: datetime) -> _Period | None:
    month, day = _month_of(match), int(match["day"])
    if match["year"]:
        return _calendar_day(int(match["year"]), month, day)
    period = _calendar_day(now.year, month, day)
    if period is None or period.start > now:
        return _calendar_day(now.year - 1, month, day)
    return period


def _month_of(match: re.Match[str]) -> int:
    return _MONTH_NAMES[match["month"][:3]]


def _named_month(match: re.Match[str], now: datetime) -> _Period:
    month = _month_of(match)
    if match["year"]:
        return _months(int(match["year"]), month)
    return _months(now.year - (month > now.month), month)


def _which_month(match: re.Match[str], now: datetime) -> _Period:
    month = _month_of(match)
    if match["which"] in {"next", "coming"}:
        return _months(now.year + (month <= now.month), month)
    if match["which"] == "this":
        return _months(now.year, month)
    return _months(now.year - (month >= now.month), month)


def _quarter(match: re.Match[str], now: datetime) -> _Period:
    quarter = int(match["quarter"])
    first = (quarter - 1) * _MONTHS_PER_SEASON + 1
    year = int(match["year"]) if match["year"] else now.year - (first > now.month)
    return _months(year, first, _MONTHS_PER_SEASON)


def _season(match: re.Match[str], now: datetime) -> _Period:
    first = _SEASON_STARTS[match["season"]]
    if match["year"]:
        return _months(int(match["year"]), first, _MONTHS_PER_SEASON)
    period = _months(now.year, first, _MONTHS_PER_SEASON)
    over_needed = match["which"] in {"last", "past", "previous"}
    if period.start > now or (over_needed and period.end > now):
        return _months(now.year - 1, first, _MONTHS_PER_SEASON)
    return period


def _year(match: re.Match[str], _now: datetime) -> _Period:
    return _months(int(match["year"]), 1, _MONTHS_PER_YEAR)


def _which_unit(match: re.Match[str], now: datetime) -> _Period:
    steps = {"this": 0, "next": 1, "coming": 1}.get(match["which"], -1)
    unit = match["unit"]
    today = _midnight(now)
    if unit == "day":
        return _days(today + steps * _DAY)
    if unit == "month":
        return _months(*_back(now, -steps))
    if unit == "year":
        year, _ = _back(now, -steps * _MONTHS_PER_YEAR)
        return _months(year, 1, _MONTHS_PER_YEAR)
    monday = today - today.weekday() * _DAY + steps * _DAYS_PER_WEEK * _DAY
    if unit == "weekend":
        return _days(monday + _SATURDAY * _DAY, 2)
    return _days(monday, _DAYS_PER_WEEK)


def _which_weekday(match: re.Match[str], now: datetime) -> _Period:
    wanted = _WEEKDAYS[match["weekday"][:3]]
    today = _midnight(now)
    if match["which"] in {"next", "coming"}:
        return _days(today + ((wanted - now.weekday() - 1) % 7 + 1) * _DAY)
    back = (now.weekday() - wanted) % _DAYS_PER_WEEK
    if match["which"] and not back:
        back = _DAYS_PER_WEEK
    return _days(today - back * _DAY)


def _count_of(match: re.Match[str]) -> int:
    text = match["count"].removeprefix("a ").removesuffix(" of")
    return int(text) if text.isdigit() else _NUMBERS[text]


def _last_units(match: re.Match[str], now: datetime) -> _Period:
    return _Period(_ago(now, _count_of(match), match["unit"]), now)


def _units_ago(match: re.Match[str], now: datetime) -> _Period:
    """Return the day, or about one unit of time, that lies so far back."""
    count, unit = _count_of(match), match["unit"]
    then = _ago(now, count, unit)
    if unit == "day":
        return _days(_midnight(then))
    if unit == "week":
        return _days(_midnight(then) - 3 * _DAY, _DAYS_PER_WEEK)
    if unit == "month":
        return _months(then.year, then.month)
    return _months(then.year, 1, _MONTHS_PER_YEAR)


def _ago(now: datetime, count: int, unit: str) -> datetime:
    if unit == "day":
        return now - count * _DAY
    if unit == "week":
        return now - count * _DAYS_PER_WEEK * _DAY
    months = count * (_MONTHS_PER_YEAR if unit == "year" else 1)
    year, month = _back(now, months)
    day = min(now.day, calendar.monthrange(year, month)[1])
    return now.replace(year=year, month=month, day=day)


def _near_day(match: re.Match[str], now: datetime) -> _Period:
    steps = {
        "today": 0,
        "tonight": 0,
        "this morning": 0,
        "yesterday": -1,
        "last night": -1,
        "day before yesterday": -2,
        "tomorrow": 1,
    }
    return _days(_midnight(now) + steps[re.sub(r"\s+", " ", match[0])] * _DAY)


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_FORMS: Final[
    tuple[
        tuple[
            re.Pattern[str],
            Callable[[re.Match[str], datetime], _Period | None],
            bool,
        ],
        ...,
    ]
] = (
    # form, what it means, whether it counts only after a preposition
    (
        _form(r"\b(?P<year>(?:19|20)\d\d)-(?P<number>\d\d)-(?P<day>\d\d)\b"),
        _iso_date,
        False,
    ),
    (
        _form(rf"\b{_OF_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+(?:of\s+)?{_YEAR})?"),
        _named_day,
        False,
    ),
    (_form(rf"\b{_MONTH}\s+(?:the\s+)?{_OF_DAY}(?:,?\s+{_YEAR})?"), _named_day, False),
    (_form(rf"\b{_MONTH},?\s+(?:of\s+)?{_YEAR}"), _named_month, False),
    (_form(rf"\bq(?P<quarter>[1-4])\b(?:,?\s+(?:of\s+)?{_YEAR})?"), _quarter, False),
    (
        _form(
            r"\b(?:(?P<which>this|last|past|previous)\s+)"
            r"(?P<season>spring|summer|autumn|fall|winter)\b(?P<year>)"
        ),
        _season,
        False,
    ),
    (
        _form(
            rf"\b(?P<which>)(?P<season>spring|summer|autumn|fall|winter)\b"
            rf",?\s+(?:of\s+)?{_YEAR}"
        ),
        _season,
        False,
    ),
    (_form(rf"{_WHICH}{_MONTH}"), _which_month, False),
    (
        _form(
            r"\b(?:day\s+before\s+yesterday|yesterday|today|tonight|tomorrow"
            r"|last\s+night|this\s+morning)\b"
        ),
        _near_day,
        False,
    ),
    (_form(rf"\b{_COUNT}\s+{_UNIT}\s+(?:ago|earlier|back)\b"), _units_ago, False),
    (_form(rf"\b(?:last|past|previous)\s+{_COUNT}\s+{_UNIT}"), _last_units, False),
    (
        _form(rf"{_WHICH}(?P<unit>day|weekend|week|month|year)\b"),
        _which_unit,
        False,
    ),
    (
        _form(rf"{_WHICH}(?P<weekday>(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b"),
        _which_weekday,
        False,
    ),
    (
        _form(
            r"\b(?P<which>)(?P<weekday>(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b"
        ),
        _which_weekday,
        True,
    ),
    (
        _form(r"\b(?P<which>)(?P<season>spring|summer|autumn|fall|winter)\b(?P<year>)"),
        _season,
        True,
    ),
    (_form(rf"\b{_MONTH}(?P<year>)"), _named_month, True),
    (_form(rf"\b{_YEAR}"), _year, True),
)
