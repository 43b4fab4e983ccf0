"""The bus never waits: the slow are dropped and told, the failing are recorded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cortex.bus.events import Event
from cortex.bus.memory import Bus, BusOptions, SubscriberTooSlow
from cortex.foundation.errors import Conflict, NotFound
from cortex.testing.clock import ManualClock


def miss(key: str, *, tenant: str = "local", kind: str = "cache.miss") -> Event:
    data = {"cache": "c", "key": key, "rule": "r"}
    return Event(id=key, type=kind, source="/t", time=0.0, tenant=tenant, data=data)


@asynccontextmanager
async def running(bus: Bus) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        group.create_task(bus.run())
        await asyncio.sleep(0)
        yield
        await bus.stop()


async def test_handlers_get_what_they_asked_for_in_order() -> None:
    bus = Bus(clock=ManualClock())
    everything: list[str] = []
    alerts: list[str] = []

    async def keep_all(event: Event) -> None:
        everything.append(event.id)

    async def keep_alerts(event: Event) -> None:
        alerts.append(event.id)

    bus.subscribe("all", keep_all)
    with pytest.raises(Conflict):
        bus.subscribe("all", keep_all)
    bus.publish(miss("before run"))
    async with running(bus):
        bus.subscribe("alerts", keep_alerts, types=["alert.resolved"])
        bus.publish(miss("a"))
        bus.publish(miss("b", kind="alert.resolved"))
    assert everything == ["before run", "a", "b"]
    assert alerts == ["b"]


async def test_a_failing_handler_is_retried_then_recorded() -> None:
    clock = ManualClock()
    bus = Bus(clock=clock, options=BusOptions(tries_max=2, retry_seconds=1.0))
    calls: list[str] = []
    broken = True

    async def picky(event: Event) -> None:
        calls.append(event.id)
        if broken and event.id == "bad":
            message = "cannot"
            raise ValueError(message)

    bus.subscribe("picky", picky)
    async with running(bus):
        bus.publish(miss("bad"))
        bus.publish(miss("good"))
        while "good" not in calls:
            clock.advance(0.5)
            await asyncio.sleep(0)
        (letter,) = bus.dead_letters()
        assert (letter.reason, letter.tries) == ("ValueError: cannot", 2)
        with pytest.raises(ValueError, match="cannot"):
            await bus.retry("picky", "bad")
        broken = False
        await bus.retry("picky", "bad")
        assert bus.dead_letters() == ()
        with pytest.raises(NotFound):
            await bus.retry("picky", "bad")
    assert calls == ["bad", "bad", "good", "bad", "bad"]


async def test_a_handler_that_falls_behind_loses_events_into_dead_letters() -> None:
    bus = Bus(clock=ManualClock(), options=BusOptions(queue_events_max=2))
    seen: list[str] = []

    async def keep(event: Event) -> None:
        seen.append(event.id)

    bus.subscribe("slow", keep)
    for key in "abc":
        bus.publish(miss(key))
    async with running(bus):
        await asyncio.sleep(0)
    assert seen == ["a", "b"]
    assert [letter.event.id for letter in bus.dead_letters()] == ["c"]


async def test_a_stream_shows_one_tenant_only() -> None:
    bus = Bus(clock=ManualClock())
    async with bus.stream(tenant="mine", types=["cache.miss"]) as stream:
        bus.publish(miss("a", tenant="mine"))
        bus.publish(miss("b", tenant="other"))
        bus.publish(miss("c", tenant="mine", kind="alert.resolved"))
        bus.publish(miss("d", tenant="mine"))
        assert [(await anext(stream)).id, (await anext(stream)).id] == ["a", "d"]
    bus.publish(miss("e", tenant="mine"))
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_slow_stream_is_dropped_and_told_while_others_go_on() -> None:
    bus = Bus(clock=ManualClock(), options=BusOptions(queue_events_max=3))
    async with bus.stream() as slow, bus.stream() as quick:
        for number in range(5):
            bus.publish(miss(f"{number}"))
            assert (await anext(quick)).id == f"{number}"
        with pytest.raises(SubscriberTooSlow, match="Last-Event-ID"):
            await anext(slow)


async def test_stopping_ends_streams_after_what_is_queued() -> None:
    bus = Bus(clock=ManualClock())
    async with bus.stream() as stream:
        async with running(bus):
            bus.publish(miss("a"))
        assert [event.id async for event in stream] == ["a"]
    async with bus.stream() as late:
        assert [event async for event in late] == []


async def test_unsubscribing_frees_the_name() -> None:
    bus = Bus(clock=ManualClock())
    seen: list[str] = []

    async def keep(event: Event) -> None:
        seen.append(event.id)

    async with running(bus):
        bus.subscribe("x", keep)
        bus.publish(miss("a"))
        bus.unsubscribe("x")
        bus.publish(miss("b"))
        bus.subscribe("x", keep)
        bus.publish(miss("c"))
    assert sorted(seen) == ["a", "c"]


async def test_a_letter_that_newer_ones_pushed_out_may_be_taken_all_the_same() -> None:
    bus = Bus(clock=ManualClock(), options=BusOptions(tries_max=1, dead_letters_max=1))
    gate, taken = asyncio.Event(), []

    async def picky(event: Event) -> None:
        if bus.dead_letters() and event.id == "first":
            await gate.wait()
            taken.append(event.id)
            return
        message = "cannot"
        raise ValueError(message)

    bus.subscribe("picky", picky)
    async with running(bus), asyncio.timeout(60):
        bus.publish(miss("first"))
        while not bus.dead_letters():
            await asyncio.sleep(0)
        retrying = asyncio.create_task(bus.retry("picky", "first"))
        bus.publish(miss("second"))
        while bus.dead_letters()[0].event.id != "second":
            await asyncio.sleep(0)
        gate.set()
        await retrying
    assert taken == ["first"]
    assert [letter.event.id for letter in bus.dead_letters()] == ["second"]
