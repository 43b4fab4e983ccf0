"""Quotas around the journeys: what is refused, and what is charged."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from cortex.agents.checking import Checker
from cortex.agents.model import Output
from cortex.agents.planning import Planner
from cortex.foundation.errors import RateLimited
from cortex.foundation.ids import Uuid7Source
from cortex.memory.model import MemoryPatch, NewMemory
from cortex.memory.terms import TermAnalyser
from cortex.operations.quotas import Measure
from cortex.storage.errors import StorageError
from cortex.testing.surroundings import fake_world
from cortex.usecases.agent_memory import AgentMemory
from cortex.usecases.embed import EmbedRequest
from cortex.usecases.media import MediaOptions
from cortex.usecases.metering import metered, metered_remember
from cortex.usecases.plan import MakePlan, PlanRequest
from cortex.usecases.reflect import Reflect, ReflectRequest
from cortex.usecases.remember import Remember, UpdateMemory


class Meters:
    """Counts, and refuses all once it is told that everything is used up."""

    def __init__(self) -> None:
        self.used: Counter[Measure] = Counter()
        self.empty = False

    def check(self, tenant, *measures):
        assert tenant == "local"
        if self.empty and measures:
            message = "used up"
            raise RateLimited(message)

    def add(self, tenant, used):
        assert tenant == "local"
        self.used.update(used)


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
def cases(house, meters):
    async def changed(_namespace):
        """Nothing is kept of it here."""

    def told(*_):
        """Nobody listens."""

    clock, store = house.world.clock, house.world.store
    remember = Remember(store, house.preparing)
    keep = metered_remember(remember, meters)
    memory = AgentMemory(house.search, keep, store.get, None, house.embedder)
    whole = replace(
        fake_world(clock, Uuid7Source(clock)).use_cases,
        remember=remember,
        update_memory=UpdateMemory(store, house.preparing, changed),
        plan=MakePlan(memory, Planner(TermAnalyser()), told, clock),
        reflect=Reflect(memory, Checker(TermAnalyser()), told, clock),
    )
    return metered(whole, meters)


async def test_new_words_of_a_memory_are_charged_and_other_fields_are_not(
    house, call, cases, meters
):
    (stored,) = await cases.remember(None, house.namespace, [NewMemory("tea")], call)
    assert meters.used == {Measure.EMBEDDINGS: 1, Measure.BYTES: 3}

    async def update(patch):
        return await cases.update_memory(house.namespace, stored.id, patch, call)

    await update(MemoryPatch(tags=("drinks",)))
    assert meters.used == {Measure.EMBEDDINGS: 1, Measure.BYTES: 3}
    await update(MemoryPatch(content="green tea"))
    assert meters.used == {Measure.EMBEDDINGS: 2, Measure.BYTES: 12}
    meters.empty = True
    with pytest.raises(RateLimited):
        await update(MemoryPatch(content="a whole library" * 1_000))
    assert (await update(MemoryPatch(importance=0.1))).content == "green tea"


class Leaving:
    """A journey whose caller leaves in the midst of it."""

    async def __call__(self, *_):
        raise asyncio.CancelledError

    async def text(self, *_):
        raise asyncio.CancelledError


class Failing:
    """A journey that fails."""

    async def __call__(self, *_):
        raise StorageError("the disk is away")

    async def text(self, *_):
        raise StorageError("the disk is away")


@pytest.mark.parametrize(
    ("journey", "error", "charged"),
    [(Leaving(), asyncio.CancelledError, True), (Failing(), StorageError, False)],
)
async def test_who_leaves_is_charged_for_what_goes_on_and_a_failure_is_free(
    house, call, cases, meters, journey, error, charged
):
    names = ("remember", "append_messages", "embed", "embed_media", "update_memory")
    broken = metered(replace(cases, **dict.fromkeys(names, journey)), meters)
    place, tea = house.namespace, [NewMemory("tea")]
    cost = {Measure.EMBEDDINGS: 1, Measure.BYTES: 3}
    calls = (
        (lambda: broken.remember(None, place, tea, call), cost),
        (lambda: broken.append_messages(place, "s", tea, call), cost),
        (
            lambda: broken.update_memory(place, "i", MemoryPatch(content="tea"), call),
            cost,
        ),
        (
            lambda: broken.embed(EmbedRequest(("tea", "milk"), tenant="local")),
            {Measure.EMBEDDINGS: 2},
        ),
        (
            lambda: broken.embed_media.text("tea", MediaOptions(tenant="local")),
            {Measure.EMBEDDINGS: 1},
        ),
    )
    for begin, used in calls:
        meters.used.clear()
        with pytest.raises(error):
            await begin()
        assert meters.used == (used if charged else {})


async def test_plans_and_reflections_are_charged_as_what_they_are_kept_as(
    house, call, cases, meters
):
    plan = PlanRequest("Move the launch to Friday")
    reflect = ReflectRequest(Output("The launch is on Friday."))
    made = await cases.plan(None, house.namespace, plan, call)
    kept = await house.world.store.get(house.namespace, made.id)
    size = len(kept.content.encode())
    assert meters.used == {Measure.EMBEDDINGS: 1, Measure.BYTES: size}
    judged = await cases.reflect(None, house.namespace, reflect, call)
    kept = await house.world.store.get(house.namespace, judged.id)
    size += len(kept.content.encode())
    assert meters.used == {Measure.EMBEDDINGS: 2, Measure.BYTES: size}
    meters.empty = True
    with pytest.raises(RateLimited):
        await cases.plan(None, house.namespace, plan, call)
    with pytest.raises(RateLimited):
        await cases.reflect(None, house.namespace, reflect, call)
