"""Envelopes as Sentry's own package reads them, over a real socket, and bad servers."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from sentry_sdk.utils import Dsn as OfficialDsn

from cortex.foundation.errors import ValidationError
from cortex.foundation.tenancy import check_name
from cortex.telemetry.dsn import parse_dsn
from cortex.telemetry.errors import ErrorCollector, ErrorGroup
from cortex.telemetry.sentry import (
    BACKOFF_SECONDS,
    GROUPS_WAITING_MAX,
    Origin,
    SentrySender,
    Told,
    kept_back,
)
from cortex.testing.clock import ManualClock

ORIGIN = Origin("1.2.3", "production")
KEY = "0123456789abcdef0123456789abcdef"
START = 1_700_000_000.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def sender(sentry: Any, clock: ManualClock) -> AsyncIterator[SentrySender]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield sender_to(sentry.dsn, clock, client)


def sender_to(dsn: str, clock: ManualClock, client: httpx.AsyncClient) -> SentrySender:
    async def post(url: str, body: bytes, headers: dict[str, str]) -> Told:
        try:
            answer = await client.post(url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise ConnectionError from error
        return Told(answer.status_code, dict(answer.headers))

    numbers = itertools.count(1)
    return SentrySender(
        parse_dsn(dsn), ORIGIN, post, clock, lambda: f"{next(numbers):032x}"
    )


def met(clock: ManualClock, message: str = "a b") -> ErrorGroup:
    collector = ErrorCollector(clock)
    try:
        check_name(message, "name")
    except ValidationError as error:
        collector.caught(error, "POST /memory")
    (group,) = collector.take()
    return group


def other(group: ErrorGroup, number: int) -> ErrorGroup:
    return replace(group, fingerprint=f"{number:016x}")


async def test_an_event_arrives_as_the_official_package_reads_it(
    sentry: Any, sender: SentrySender, clock: ManualClock
) -> None:
    group = replace(met(clock), last_correlation_id="order-7")
    sender.offer([group])
    await sender.flush()
    (taken,), (head,) = sentry.taken, sentry.heads
    assert head.startswith("post /base/api/42/envelope/ ")
    assert f"sentry_version=7, sentry_key={KEY}" in head
    assert "content-type: application/x-sentry-envelope" in head
    assert taken.headers["event_id"] == f"{1:032x}"
    assert taken.headers["sent_at"] == "2023-11-14T22:13:20Z"
    [item] = taken.items
    assert (item.type, item.data_category) == ("event", "error")
    event = taken.get_event()
    assert event["event_id"] == taken.headers["event_id"]
    assert event["fingerprint"] == [group.fingerprint]
    assert event["environment"] == "production"
    assert event["release"] == "cortex@1.2.3"
    assert event["transaction"] == "POST /memory"
    assert event["tags"]["code"] == "VALIDATION_ERROR"
    assert event["tags"]["correlation_id"] == "order-7"
    assert event["extra"]["occurrences"] == 1
    [fault] = event["exception"]["values"]
    assert fault["type"] == "ValidationError"
    last = fault["stacktrace"]["frames"][-1]
    assert (last["module"], last["in_app"]) == ("cortex.foundation.tenancy", True)
    assert last["function"] == "check_name"
    assert last["lineno"] > 0
    assert (sender.sent, sender.dropped) == (1, 0)


async def test_secrets_and_people_stay_here(
    sentry: Any, sender: SentrySender, clock: ManualClock
) -> None:
    collector = ErrorCollector(clock)
    leak = RuntimeError("Bearer abcdef0123456789 of ann@example.org")
    collector.caught(leak, "GET /")
    sender.offer(collector.take())
    await sender.flush()
    sent = sentry.taken[0].serialize()
    assert b"abcdef0123456789" not in sent
    assert b"ann@example.org" not in sent


async def test_a_storm_of_one_fault_is_one_event(
    sentry: Any, sender: SentrySender, clock: ManualClock
) -> None:
    for _ in range(1_000):
        sender.offer([met(clock)])
        clock.advance(1)
    await sender.flush()
    [event] = sentry.events
    assert event["extra"]["occurrences"] == 1_000
    assert event["extra"]["first_seen"] == "2023-11-14T22:13:20Z"
    assert event["timestamp"] == START + 999


async def test_more_faults_than_have_room_are_dropped_and_counted(
    sentry: Any, sender: SentrySender, clock: ManualClock
) -> None:
    group = met(clock)
    sender.offer([other(group, number) for number in range(GROUPS_WAITING_MAX + 7)])
    assert sender.dropped == 7
    await sender.flush()
    assert len(sentry.taken) == sender.sent == GROUPS_WAITING_MAX


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ("429 Busy\r\nretry-after: 17", 17),
        ("429 Busy", BACKOFF_SECONDS),
        ("429 Busy\r\nx-sentry-rate-limits: 30:transaction:key", BACKOFF_SECONDS),
        ("429 Busy\r\nretry-after: 9\r\nx-sentry-rate-limits: 40:error:key", 40),
        ("503 Away", BACKOFF_SECONDS),
    ],
)
async def test_a_server_that_wants_none_is_left_alone_and_asked_again(
    sentry: Any, sender: SentrySender, clock: ManualClock, answer: str, seconds: int
) -> None:
    sentry.answers.append(answer)
    group = met(clock)
    sender.offer([group, other(group, 1)])
    await sender.flush()
    assert len(sentry.taken) == 1
    clock.advance(seconds - 1)
    await sender.flush()
    assert len(sentry.taken) == 1
    sender.offer([met(clock)])
    clock.advance(1)
    await sender.flush()
    assert len(sentry.taken) == 3
    counts = {e["fingerprint"][0]: e["extra"]["occurrences"] for e in sentry.events[1:]}
    assert counts == {group.fingerprint: 2, f"{1:016x}": 1}
    assert (sender.sent, sender.dropped) == (2, 0)


async def test_a_limit_comes_with_a_good_answer_too(
    sentry: Any, sender: SentrySender, clock: ManualClock
) -> None:
    sentry.answers.append("200 OK\r\nx-sentry-rate-limits: 5:error;default:org")
    group = met(clock)
    sender.offer([group, other(group, 1)])
    await sender.flush()
    assert len(sentry.taken) == 1
    clock.advance(5)
    await sender.flush()
    assert len(sentry.taken) == 2


async def test_what_the_server_refuses_for_good_is_dropped(
    sentry: Any, sender: SentrySender, clock: ManualClock
) -> None:
    sentry.answers.append("403 Forbidden")
    sender.offer([met(clock)])
    await sender.flush()
    await sender.flush()
    assert len(sentry.taken) == 1
    assert (sender.sent, sender.dropped) == (0, 1)


@pytest.mark.parametrize("fault", ["silent", "dead"])
async def test_a_slow_or_dead_server_costs_one_try_a_minute(
    sentry: Any, clock: ManualClock, fault: str
) -> None:
    sentry.silent = fault == "silent"
    dsn = sentry.dsn if sentry.silent else f"http://{KEY}@127.0.0.1:9/1"
    async with httpx.AsyncClient(timeout=0.05) as client:
        sender = sender_to(dsn, clock, client)
        sender.offer([met(clock)])
        await sender.flush()
        await sender.flush()
        assert (sender.sent, sender.dropped) == (0, 0)
    async with httpx.AsyncClient() as client:
        sentry.silent = False
        sentry.bodies.clear()
        again = sender_to(sentry.dsn, clock, client)
        again.offer(list(sender._waiting.values()))
        await again.flush()
    assert len(sentry.taken) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("60:error:organization", 60),
        ("60::organization", 60),
        ("60", 60),
        ("2700:default;error;security:organization:quota, 60:transaction:key", 2700),
        ("60:transaction:key", 0),
        ("many:error:key", 0),
        ("nan:error:key,inf:error:key,-1:error:key", 0),
        ("999999999:error:key", 86_400),
        (",,:", 0),
    ],
)
def test_limits_are_read_as_they_are_meant(header: str, seconds: float) -> None:
    told = Told(200, {"x-sentry-rate-limits": header})
    assert kept_back(told, START) == seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (format_datetime(datetime.fromtimestamp(START + 90, UTC), usegmt=True), 90),
        (format_datetime(datetime.fromtimestamp(START - 90, UTC), usegmt=True), 60),
        ("soon", 60),
        ("1.5", 1.5),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str, seconds: float) -> None:
    assert kept_back(Told(429, {"retry-after": header}), START) == seconds


@pytest.mark.parametrize(
    "dsn",
    [
        "https://abc123@o1.ingest.example.org/42",
        "https://abc123:old-secret@sentry.example.org:8443/some/where/7",
        "http://abc@127.0.0.1:9000/1",
    ],
)
def test_a_dsn_is_read_as_the_official_package_reads_it(dsn: str) -> None:
    official = OfficialDsn(dsn)
    ours = parse_dsn(dsn)
    assert ours.url == official.to_auth("x").get_api_url()
    assert ours.key == official.public_key
    assert official.public_key not in repr(ours)


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "sentry.example.org",
        "https://sentry.example.org/1",
        "https://key@sentry.example.org",
        "ftp://key@sentry.example.org/1",
        "https://key@sentry.example.org/1?x=1",
        "https://ke\ny@sentry.example.org/1",
    ],
)
def test_a_wrong_dsn_is_refused_without_repeating_it(dsn: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_dsn(dsn)
    assert "sentry.example.org" not in str(caught.value)
