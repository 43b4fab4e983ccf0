"""Changing a memory: what is embedded, and what a refusal names."""

import pytest

from cortex.foundation.errors import CortexError
from cortex.foundation.limits import TAGS_MAX
from cortex.memory.model import MemoryPatch
from cortex.usecases.remember import UpdateMemory


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
