import asyncio
import random

import pytest

from cortex.telemetry import tracing
from cortex.telemetry.tracing.model import Reason
from cortex.telemetry.tracing.sampling import Ended, Sampling, by_ratio, decide
from cortex.telemetry.tracing.spans import SPANS_PER_TRACE_MAX
from cortex.telemetry.tracing.tracer import KEPT_TRACES_MAX, Tracer
from cortex.testing.clock import ManualClock

CALLER = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.fixture
def clock():
    return ManualClock(1_000_000.0)


def made(clock, **options):
    return Tracer(clock, random.Random(7).getrandbits, Sampling(**options))


async def test_spans_of_all_tasks_of_a_request_hang_together(clock):
    tracer = made(clock, ratio=1.0)

    async def part(name):
        with tracing.span(name):
            await asyncio.sleep(0)
            with tracing.span(f"{name}.inner"):
                await asyncio.to_thread(lambda: tracing.span("thread").__enter__())

    with tracer.root("GET /"):
        await asyncio.gather(part("one"), part("two"))
        with tracing.span("last"):
            pass
    (trace,) = tracer.take()
    by_name = {span.name: span for span in trace.spans}
    top = by_name["GET /"]
    assert trace.top == top
    assert top.parent_id == ""
    for name in ("one", "two", "last"):
        assert by_name[name].parent_id == top.span_id
    assert by_name["one.inner"].parent_id == by_name["one"].span_id
    assert by_name["two.inner"].parent_id == by_name["two"].span_id
    assert len({span.span_id for span in trace.spans}) == len(trace.spans)
    assert {span.trace_id for span in trace.spans} == {top.trace_id}
    assert tracing.trace_ids() is None


def test_times_are_the_clocks(clock):
    tracer = made(clock, ratio=1.0)
    with tracer.root("outer"):
        clock.advance(1)
        with tracing.span("inner"):
            clock.advance(2)
    inner, outer = tracer.take()[0].spans
    assert (inner.start, inner.seconds) == (1_000_001.0, 2)
    assert (outer.start, outer.seconds) == (1_000_000.0, 3)


def test_a_callers_trace_is_continued(clock):
    tracer = made(clock)
    with tracer.root("GET /", CALLER) as root:
        handed_on = tracing.current_traceparent()
    assert handed_on == root.traceparent
    assert handed_on.split("-")[1] == "a" * 32
    (trace,) = tracer.take()
    assert trace.reason is Reason.CALLER
    assert trace.top.parent_id == "b" * 16


@pytest.mark.parametrize("caller", ["", "nonsense", f"00-{'0' * 32}-{'b' * 16}-01"])
def test_an_invalid_caller_begins_a_new_trace(clock, caller):
    tracer = made(clock, ratio=1.0)
    with tracer.root("GET /", caller):
        pass
    assert tracer.take()[0].top.parent_id == ""


def test_errors_and_slow_requests_are_kept_whatever_the_ratio(clock):
    tracer = made(clock, ratio=0.0001)
    for _ in range(20):
        with tracer.root("fine"):
            pass
    with tracer.root("failed") as root:
        root.fail("INTERNAL_ERROR")
    with pytest.raises(ValueError, match="x"), tracer.root("raised"):
        raise ValueError("x")
    with tracer.root("slow"):
        clock.advance(0.3)
    kept = {trace.top.name: trace for trace in tracer.take()}
    assert {name: trace.reason for name, trace in kept.items()} == {
        "failed": Reason.ERROR,
        "raised": Reason.ERROR,
        "slow": Reason.SLOW,
    }
    assert kept["raised"].top.error == "ValueError"
    assert all(trace.weight == 1 for trace in kept.values())


def test_a_stream_is_not_slow_for_being_endless(clock):
    tracer = made(clock, ratio=0.0001)
    with tracer.root("stream") as root:
        root.endless = True
        clock.advance(3600)
    assert tracer.take() == []


async def test_who_leaves_is_no_error(clock):
    tracer = made(clock, ratio=0.0001)

    async def request():
        with tracer.root("left"):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(request())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert tracer.take() == []


def test_another_ratio_holds_for_what_begins_from_then_on(clock):
    tracer = made(clock, ratio=0.0001)
    tracer.sample(Sampling(ratio=1.0))
    with tracer.root("request"):
        pass
    assert [one.reason for one in tracer.take()] == [Reason.RATIO]


def test_the_ratio_keeps_its_part_and_says_for_how_many_it_stands():
    draw = random.Random(3)
    ids = [f"{draw.getrandbits(128):032x}" for _ in range(20_000)]
    kept = [one for one in ids if by_ratio(0.1)(one)]
    assert 0.09 < len(kept) / len(ids) < 0.11
    facts = Ended(0.0, failed=False, asked_for=False, drawn=True)
    verdict = decide(facts, Sampling())
    assert verdict.reason is Reason.RATIO
    assert verdict.weight == pytest.approx(10)
    # Who keeps more keeps at least what others keep: their traces are whole.
    assert all(by_ratio(0.5)(one) for one in kept)


def test_the_part_of_an_event_is_kept_with_its_slow_request(clock):
    tracer = made(clock, ratio=0.0001)
    with tracer.root("slow") as root:
        clock.advance(1)
        caller = root.traceparent
    with tracer.root("ledger.keep", caller):
        pass
    kept = tracer.take()
    assert [trace.top.name for trace in kept] == ["slow", "ledger.keep"]
    assert kept[1].top.parent_id == kept[0].top.span_id


def test_outside_of_a_trace_and_when_off_nothing_is_recorded(clock):
    with tracing.span("alone", x=1) as part:
        part.set(y=2)
        assert not part.recorded
    tracer = made(clock, enabled=False)
    with tracer.root("GET /", CALLER) as root:
        assert root.traceparent == CALLER
        assert tracing.current_traceparent() == ""
        root.set(a=1)
        root.fail("x")
    assert root.kept_id == ""
    assert tracer.take() == []


def test_bounds_hold(clock):
    tracer = made(clock, ratio=1.0)
    with tracer.root("large"):
        for _ in range(SPANS_PER_TRACE_MAX + 10):
            with tracing.span("part"):
                pass
    (trace,) = tracer.take()
    assert len(trace.spans) == SPANS_PER_TRACE_MAX + 1
    assert trace.dropped == 11
    for _ in range(KEPT_TRACES_MAX + 5):
        with tracer.root("many"):
            pass
    assert len(tracer.take()) == KEPT_TRACES_MAX
    assert tracer.dropped_traces == 5
