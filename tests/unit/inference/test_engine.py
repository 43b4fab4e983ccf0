"""Loading on demand, one load for all who wait, and who goes when memory is short."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.foundation.errors import (
    Conflict,
    DeadlineExceeded,
    Draining,
    Overloaded,
)
from cortex.inference.engine import Engine, EngineOptions
from cortex.inference.errors import ModelUnusable, UnknownModel
from cortex.inference.ports import Outcome
from cortex.inference.providers import shipped_models
from cortex.inference.registry import ModelEntry, Registry
from cortex.inference.residency import Held, make_room
from cortex.testing.clock import ManualClock

INFO = replace(shipped_models()[0], memory_bytes=10)


@dataclass
class Toy:
    """A model that counts its openings; loading waits for the gate."""

    name: str
    memory_bytes: int = 10
    gate: threading.Event = field(default_factory=threading.Event)
    opened: int = 0
    closed: int = 0
    broken: bool = False

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def entry(self) -> ModelEntry["Toy"]:
        info = replace(INFO, name=self.name, memory_bytes=self.memory_bytes)
        return ModelEntry(info, self.open)

    def open(self) -> "Toy":
        self.gate.wait(10)
        if self.broken:
            message = "its file is gone"
            raise ModelUnusable(message)
        self.opened += 1
        return self

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def outcomes() -> list[Outcome]:
    return []


@pytest.fixture
async def engine(clock: ManualClock, outcomes: list[Outcome]) -> AsyncIterator[Engine]:
    options = EngineOptions(
        memory_bytes_max=25, threads=1, waiting_max=1, observe=outcomes.append
    )
    engine = Engine(Registry(), clock=clock, options=options)
    yield engine
    await engine.close()


async def test_many_callers_share_one_load(engine: Engine) -> None:
    toy = Toy("a")
    toy.gate.clear()

    async def use() -> None:
        async with engine.lease(toy.entry) as model:
            assert model is toy

    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(use())
        await asyncio.sleep(0)
        toy.gate.set()
    assert toy.opened == 1
    (row,) = engine.status()
    assert (row.loaded, row.misses, row.hits, row.loads) == (True, 5, 0, 1)
    await use()
    assert engine.status()[0].hits == 1


async def test_the_least_recently_used_makes_room(
    engine: Engine, clock: ManualClock
) -> None:
    a, b, c = Toy("a"), Toy("b"), Toy("c")
    for toy in (a, b, a, c):
        clock.advance(1)
        async with engine.lease(toy.entry):
            pass
    assert (a.closed, b.closed) == (0, 1)
    loaded = {row.info.name: (row.loaded, row.evictions) for row in engine.status()}
    assert loaded == {"a": (True, 0), "c": (True, 0), "b": (False, 1)}
    assert engine.memory_bytes == 20


async def test_a_model_in_use_never_goes(engine: Engine) -> None:
    a, b, c = Toy("a"), Toy("b"), Toy("c")
    async with engine.lease(a.entry), engine.lease(b.entry):
        with pytest.raises(Overloaded) as refused:
            await engine.warm_entry(c.entry)
        assert refused.value.retry_after_seconds
    assert (a.closed, b.closed) == (0, 0)
    await engine.warm_entry(c.entry)
    assert a.closed == 1


async def test_an_adopted_model_stays(engine: Engine) -> None:
    text, a, b = Toy("text"), Toy("a"), Toy("b")
    engine.adopt(text.entry, text)
    for toy in (a, b):
        await engine.warm_entry(toy.entry)
    assert (text.closed, a.closed) == (0, 1)
    assert engine.status()[0].pinned


async def test_a_cancelled_waiter_leaves_the_load_to_others(engine: Engine) -> None:
    toy = Toy("a")
    toy.gate.clear()
    first = asyncio.create_task(engine.warm_entry(toy.entry))
    second = asyncio.create_task(engine.warm_entry(toy.entry))
    await asyncio.sleep(0)
    first.cancel()
    toy.gate.set()
    await second
    assert toy.opened == 1
    assert first.cancelled()


async def test_a_failed_load_fails_all_who_wait_and_is_tried_anew(
    engine: Engine,
) -> None:
    toy = Toy("a", broken=True)
    with pytest.raises(ModelUnusable):
        await engine.warm_entry(toy.entry)
    toy.broken = False
    await engine.warm_entry(toy.entry)
    assert toy.opened == 1


async def test_a_model_over_the_whole_budget_says_what_to_set(engine: Engine) -> None:
    with pytest.raises(ModelUnusable, match="CORTEX_INFERENCE__MEMORY_MB"):
        await engine.warm_entry(Toy("huge", memory_bytes=26).entry)


async def test_work_of_a_caller_that_left_keeps_its_model(engine: Engine) -> None:
    a, b, c = Toy("a"), Toy("b"), Toy("c")
    began, gate = threading.Event(), threading.Event()

    def work(_model: Toy) -> None:
        began.set()
        gate.wait(10)

    call = asyncio.create_task(engine.call(a.entry, work))
    await asyncio.to_thread(began.wait, 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await engine.warm_entry(b.entry)
    await engine.warm_entry(c.entry)
    assert (a.closed, b.closed) == (0, 1)
    gate.set()


async def test_calls_are_bounded_observed_and_cancelled_while_they_wait(
    engine: Engine, outcomes: list[Outcome]
) -> None:
    toy = Toy("a")
    began, gate = threading.Event(), threading.Event()
    done: list[int] = []

    def work(number: int) -> None:
        began.set()
        gate.wait(10)
        done.append(number)

    first = asyncio.create_task(engine.call(toy.entry, lambda _: work(1)))
    await asyncio.to_thread(began.wait, 10)
    second = asyncio.create_task(engine.call(toy.entry, lambda _: work(2)))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await engine.call(toy.entry, lambda _: work(3))
    second.cancel()
    await asyncio.wait({second})
    gate.set()
    await first
    assert await engine.call(toy.entry, lambda model: model.name) == "a"
    assert done == [1]
    assert [outcome.ok for outcome in outcomes] == [False, True, True]


async def test_a_call_ends_at_its_deadline(clock: ManualClock) -> None:
    options = EngineOptions(threads=1, deadline_seconds=0.01)
    engine = Engine(Registry(), clock=clock, options=options)
    gate = threading.Event()
    with pytest.raises(DeadlineExceeded):
        await engine.call(Toy("a").entry, lambda _: gate.wait(10))
    gate.set()
    await engine.close()


async def test_a_closed_engine_takes_nothing(clock: ManualClock) -> None:
    engine = Engine(Registry(), clock=clock)
    toy = Toy("a")
    await engine.warm_entry(toy.entry)
    await engine.close()
    await engine.close()
    assert toy.closed == 1
    with pytest.raises(Draining):
        await engine.warm_entry(Toy("b").entry)


def test_the_registry_knows_each_name_once() -> None:
    toy = Toy("a")
    registry = Registry([toy.entry])
    registry.add(toy.entry)
    with pytest.raises(Conflict):
        registry.add(Toy("a", memory_bytes=11).entry)
    with pytest.raises(UnknownModel) as unknown:
        registry.get("gpt-2")
    assert unknown.value.data["known"] == ["a"]


HELD = st.builds(
    Held,
    name=st.uuids().map(str),
    memory_bytes=st.integers(0, 50),
    users=st.integers(0, 2),
    used_at=st.floats(0, 100),
    pinned=st.booleans(),
)


@given(held=st.lists(HELD, max_size=8), wanted=st.integers(0, 60))
def test_room_is_made_by_the_fewest_oldest_idle_models(
    held: list[Held], wanted: int
) -> None:
    budget = 100
    by_name = {model.name: model for model in held}
    going = make_room(held, wanted, budget)
    busy = sum(model.memory_bytes for model in held if not model.can_go)
    if going is None:
        assert busy + wanted > budget
        return
    left = sum(m.memory_bytes for m in held if m.name not in going)
    assert left + wanted <= budget
    assert all(by_name[name].can_go for name in going)
    if going:
        assert left + by_name[going[-1]].memory_bytes + wanted > budget
    staying = [m.used_at for m in held if m.can_go and m.name not in going]
    assert not staying or max(
        (by_name[name].used_at for name in going), default=0
    ) <= min(staying)
