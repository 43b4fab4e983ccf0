"""Changing a memory: what is embedded, and what a refusal names."""

import asyncio

import pytest

from cortex.foundation.errors import Conflict, CortexError
from cortex.foundation.limits import TAGS_MAX
from cortex.memory.model import MemoryPatch
from cortex.usecases.remember import UPDATE_TRIES_MAX, UpdateMemory


@pytest.fixture
def update(house) -> UpdateMemory:
    async def changed(_namespace: object) -> None:
        """Nothing is kept of it here."""

    return UpdateMemory(house.world.store, house.preparing, changed)


async def test_what_says_nothing_new_is_not_embedded(house, call, update):
    (stored,) = await house.remember("tea is green")
    house.embedder.asked.clear()
    patch = MemoryPatch(tags=("drinks",), importance=0.9)
    memory = await update(house.namespace, stored.id, patch, call)
    assert (memory.tags, memory.importance) == (("drinks",), 0.9)
    assert house.embedder.asked == []
    memory = await update(house.namespace, stored.id, MemoryPatch(author="Ann"), call)
    assert memory.author == "Ann"
    assert house.embedder.asked == ["Ann: tea is green"]


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        (MemoryPatch(tags=("x",) * (TAGS_MAX + 1)), "tags"),
        (MemoryPatch(importance=2.0), "importance"),
        (MemoryPatch(content=" "), "content"),
        (MemoryPatch(valid_from=2.0, valid_to=1.0), "valid_to"),
    ],
)
async def test_a_refusal_names_the_field_of_the_change(
    house, call, update, patch, field
):
    (stored,) = await house.remember("tea is green")
    with pytest.raises(CortexError) as refused:
        await update(house.namespace, stored.id, patch, call)
    assert refused.value.data["field"] == field
    assert refused.value.message.startswith(f"{field} ")


class Meanwhile:
    """Prepares as ever; before it is done, somebody else changes the memory."""

    def __init__(self, house, call, *patches):
        self._house, self._call, self._patches = house, call, list(patches)
        self.memory_id = ""

    async def __call__(self, items):
        made = await self._house.preparing(items)
        if self._patches:
            await UpdateMemory(self._house.world.store, self._house.preparing, quiet)(
                self._house.namespace, self.memory_id, self._patches.pop(0), self._call
            )
        return made


async def quiet(_namespace):
    """Nobody listens."""


async def test_a_new_author_does_not_bring_back_words_that_were_rewritten(house, call):
    (stored,) = await house.remember("tea is green")
    meanwhile = Meanwhile(house, call, MemoryPatch(content="tea is black"))
    meanwhile.memory_id = stored.id
    update = UpdateMemory(house.world.store, meanwhile, quiet)
    await update(house.namespace, stored.id, MemoryPatch(author="Ann"), call)
    memory = await house.world.store.get(house.namespace, stored.id)
    assert (memory.author, memory.content) == ("Ann", "tea is black")
    assert house.embedder.asked[-1] == "Ann: tea is black"


async def test_what_is_rewritten_all_the_time_is_refused_in_the_end(house, call):
    (stored,) = await house.remember("tea is green")
    colours = (MemoryPatch(content=f"tea is {n}") for n in range(UPDATE_TRIES_MAX))
    meanwhile = Meanwhile(house, call, *colours)
    meanwhile.memory_id = stored.id
    update = UpdateMemory(house.world.store, meanwhile, quiet)
    with pytest.raises(Conflict, match="meanwhile"):
        await update(house.namespace, stored.id, MemoryPatch(author="Ann"), call)


async def test_packs_go_for_a_caller_that_left_too(house, call):
    (stored,) = await house.remember("tea is green")
    dropped = []

    async def changed(namespace):
        dropped.append(namespace)

    async def leaves(_items):
        raise asyncio.CancelledError

    update = UpdateMemory(house.world.store, leaves, changed)
    with pytest.raises(asyncio.CancelledError):
        await update(house.namespace, stored.id, MemoryPatch(author="Ann"), call)
    assert dropped == [house.namespace]
