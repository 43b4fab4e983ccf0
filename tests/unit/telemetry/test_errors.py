import pytest

from cortex.foundation.errors import Unavailable, ValidationError
from cortex.foundation.tenancy import check_name
from cortex.telemetry import correlation
from cortex.telemetry.errors import GROUPS_PENDING_MAX, ErrorCollector
from cortex.telemetry.logs import LogOptions, build_logger
from cortex.testing.clock import ManualClock


@pytest.fixture
def clock():
    return ManualClock(1_000.0)


@pytest.fixture
def collector(clock):
    return ErrorCollector(clock)


def met(collector, work, place="GET /"):
    try:
        work()
    except Exception as error:  # noqa: BLE001
        collector.caught(error, place)


def test_the_same_fault_is_one_group_whatever_its_message(collector, clock):
    met(collector, lambda: check_name("a b", "one"))
    clock.advance(5)
    with correlation.bound("order-7"):
        met(collector, lambda: check_name("c d", "two"), "POST /memory")
    (group,) = collector.take()
    assert group.count == 2
    assert (group.first_seen, group.last_seen) == (1000, 1005)
    assert group.type == "ValidationError"
    assert group.code == "VALIDATION_ERROR"
    assert group.place == "cortex.foundation.tenancy:check_name"
    assert group.route == "POST /memory"
    assert group.message.startswith("two must be")
    assert group.last_correlation_id == "order-7"
    assert group.frames[-1].startswith("cortex.foundation.tenancy:check_name:")
    assert collector.take() == []


def test_other_kinds_and_places_are_other_groups(collector):
    def elsewhere():
        raise ValidationError("x", field="y")

    def other():
        raise Unavailable("x")

    for work in (lambda: check_name("a b", "one"), elsewhere, other):
        met(collector, work)
    assert len(collector.take()) == 3


def test_secrets_and_people_are_not_told(collector):
    def leak():
        raise ValueError("Bearer abcdef0123456789 of ann@example.org")

    met(collector, leak)
    (group,) = collector.take()
    assert group.message == "[redacted] of [personal]"


def test_a_flood_of_faults_is_bounded(collector):
    for n in range(GROUPS_PENDING_MAX + 3):
        kind = type(f"Kind{n}", (Exception,), {})
        collector.caught(kind(), "")
    assert len(collector.take()) == GROUPS_PENDING_MAX
    assert collector.dropped == 3


def test_what_is_logged_as_an_error_is_collected(collector, clock, capsys):
    log = build_logger(LogOptions(), clock, on_error=collector.caught)
    broken = RuntimeError("broken")
    log.error("loop failed", loop="upkeep", exc_info=broken)
    log.warning("expected", exc_info=broken)
    log.error("no exception")
    (group,) = collector.take()
    assert (group.type, group.route, group.count) == ("RuntimeError", "upkeep", 1)
    assert "broken" in capsys.readouterr().err
