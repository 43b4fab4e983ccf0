"""What the watch sees, whom it lets wait, and that it stays small."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.foundation.bucket import Rate
from cortex.security.intrusion import (
    DENIALS,
    Denial,
    Reason,
    Signal,
    SignalType,
    Watch,
    WatchOptions,
    client_of,
    judge,
)
from cortex.security.intrusion_reports import IntrusionReports
from cortex.storage import outbox
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database


def junk(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def of(signals: list[Signal], kind: SignalType) -> list[Signal]:
    return [signal for signal in signals if signal.type is kind]


@pytest.fixture
def watch(clock) -> Watch:
    return Watch(clock)


def test_a_few_refusals_are_a_mistake(watch, clock):
    for _ in range(DENIALS.requests):
        watch.denied("10.0.0.1", Reason.EXPIRED_TOKEN)
    assert watch.hold("10.0.0.1") == 0
    assert of(watch.take(), SignalType.REPEATED) == []


def test_repeated_refusals_are_a_sign_and_cost_time(watch, clock):
    for _ in range(DENIALS.requests + 1):
        watch.denied("10.0.0.1", Reason.EXPIRED_TOKEN)
    assert watch.hold("10.0.0.1") == 1.0
    assert watch.hold("10.0.0.2") == 0
    signal = of(watch.take(), SignalType.REPEATED)[0]
    assert (signal.client, signal.reason, signal.value) == (
        "10.0.0.1",
        "expired_token",
        1.0,
    )


def test_each_further_sign_doubles_the_wait_up_to_a_limit(watch, clock):
    waits = []
    for _ in range(DENIALS.requests + 12):
        watch.denied("c", Reason.NO_TOKEN)
        wait = watch.hold("c")
        if wait:
            waits.append(wait)
            clock.advance(wait)
            if len(waits) > 2 and waits[-1] < waits[-2]:
                break
    assert waits[:5] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert max(waits) <= 300.0


def test_a_quiet_client_is_forgiven(watch, clock):
    for _ in range(DENIALS.requests + 1):
        watch.denied("c", Reason.NO_TOKEN)
    clock.advance(600)
    for _ in range(DENIALS.requests):
        watch.denied("c", Reason.NO_TOKEN)
    assert watch.hold("c") == 0


def test_different_unknown_tokens_are_spraying(watch):
    for number in range(15):
        watch.denied("c", Reason.UNKNOWN_TOKEN, junk(number))
    assert len(of(watch.take(), SignalType.SPRAYED)) == 1
    assert watch.hold("c") > 0


def test_one_wrong_token_over_and_over_is_not_spraying(watch):
    for _ in range(15):
        watch.denied("c", Reason.UNKNOWN_TOKEN, junk(1))
    assert of(watch.take(), SignalType.SPRAYED) == []


def test_slow_spraying_by_one_client_is_below_the_sign(watch, clock):
    for number in range(30):
        watch.denied("c", Reason.UNKNOWN_TOKEN, junk(number))
        clock.advance(10)
    assert of(watch.take(), SignalType.SPRAYED) == []


def test_spraying_by_many_clients_is_seen_as_a_whole(watch):
    for number in range(1_100):
        watch.denied(f"10.0.{number // 250}.{number % 250}", Reason.UNKNOWN_TOKEN)
    signals = of(watch.take(), SignalType.SPRAYED)
    assert [signal.client for signal in signals] == ["*"]


def test_a_rate_that_nobody_honest_has(watch, clock):
    for _ in range(2_100):
        watch.accepted("ci")
    for _ in range(10):
        watch.accepted("ana")
    signals = of(watch.take(), SignalType.IMPOSSIBLE_RATE)
    assert [signal.client for signal in signals] == ["ci"]
    for _ in range(2_100):
        watch.accepted("ci")
    assert watch.take() == []


def test_refusals_are_told_as_digests_and_none_is_lost(watch, clock):
    told = 0
    for _ in range(300):
        watch.denied("c", Reason.NO_TOKEN)
        clock.advance(1)
        signals = of(watch.take(), SignalType.DENIED)
        told += sum(signal.count for signal in signals)
    clock.advance(60)
    told += sum(s.count for s in of(watch.take(), SignalType.DENIED))
    assert told == 300


def test_a_flood_of_clients_is_a_number_and_not_a_flood_of_signals(clock):
    watch = Watch(clock, WatchOptions(clients_max=100))
    for number in range(5_000):
        watch.denied(f"c{number}", Reason.UNKNOWN_TOKEN, junk(number))
    assert len(watch) == 100
    signals = watch.take()
    assert len(signals) <= 202
    counted = sum(s.count for s in signals if s.type is SignalType.DENIED)
    assert counted == 5_000


def test_tampering_is_never_held_back(clock):
    watch = Watch(clock, WatchOptions(signals=Rate(1, 60.0)))
    for index in range(5):
        watch.tampering("ledger", "entry_changed", index)
    signals = watch.take()
    assert [signal.value for signal in signals] == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("x:y", "x:y"),
        ("u" * 100, "u" * 64),
    ],
)
def test_what_counts_as_one_client(address, client):
    assert client_of(address) == client


denials = st.lists(
    st.tuples(st.floats(0, 120), st.sampled_from(Reason), st.integers(0, 2**64 - 1)),
    max_size=60,
)


@given(denials)
def test_what_is_remembered_stays_sane(steps):
    options = WatchOptions()
    suspect, now, told = None, 0.0, 0
    for gap, reason, token in steps:
        now += gap
        before = suspect
        suspect, signs = judge(before, Denial(reason, token), now, options)
        again = judge(before, Denial(reason, token), now, options)
        assert again == (suspect, signs)
        assert suspect.waits_until - now <= options.wait_max_seconds
        assert 0 <= suspect.tried < 2**64
        told += sum(count for kind, count in signs if kind is SignalType.DENIED)
    assert told + (suspect.untold if suspect else 0) == len(steps)


async def test_signals_become_events(watch, clock, ids, tmp_path: Path):
    steps = load_migrations("cortex.storage")
    database = Database(tmp_path / "cortex.db", clock=clock, migrations=steps)
    await database.open()
    try:
        reports = IntrusionReports(watch, database, clock=clock, ids=ids)
        assert await reports.report() == 0
        for number in range(DENIALS.requests + 1):
            watch.denied("10.0.0.1", Reason.UNKNOWN_TOKEN, junk(number))
        for _ in range(3_000):
            watch.accepted("ci")
        watch.tampering("ledger", "entry_changed", 17)
        watch.tampering("ledger", "checkpoint_missing")
        assert await reports.report() == 6
        rows = await database.read(lambda c: outbox.read_after(c, 0, 10))
        kinds = {row.type for row in rows}
        assert kinds == {kind.value for kind in SignalType}
        assert b'"index":17' in b"".join(row.body for row in rows)
    finally:
        await database.close()
