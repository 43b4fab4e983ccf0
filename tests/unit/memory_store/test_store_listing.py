"""Listing by keyset and selection; counts."""

import pytest

from cortex.foundation.errors import ValidationError
from cortex.foundation.tenancy import Namespace
from cortex.memory.errors import InvalidCursor
from cortex.memory.model import Memory, NewMemory, Selection, Tier, TimeRange
from cortex.testing.memory import CONTEXT, START, MemoryWorld


async def everything(
    world: MemoryWorld,
    selection: Selection,
    *,
    limit: int = 3,
    oldest_first: bool = False,
) -> list[Memory]:
    found: list[Memory] = []
    cursor = None
    while True:
        page = await world.store.list(
            world.namespace,
            selection,
            cursor=cursor,
            limit=limit,
            oldest_first=oldest_first,
        )
        assert len(page.memories) <= limit
        found += page.memories
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_pages_cover_all_once_in_both_orders(world: MemoryWorld) -> None:
    texts = [f"n{n}" for n in range(9)]
    await world.say(*texts)
    await world.say("foreign", ns=Namespace("other", "default"))
    newest = await everything(world, Selection())
    oldest = await everything(world, Selection(), oldest_first=True)
    assert [one.content for one in newest] == texts[::-1]
    assert [one.content for one in oldest] == texts


async def test_a_page_is_stable_while_others_add(world: MemoryWorld) -> None:
    await world.say("a", "b", "c")
    page = await world.store.list(world.namespace, Selection(), cursor=None, limit=2)
    await world.say("d")
    rest = await world.store.list(
        world.namespace, Selection(), cursor=page.next_cursor, limit=2
    )
    assert [one.content for one in (*page.memories, *rest.memories)] == ["c", "b", "a"]


SELECTIONS = [
    (Selection(session_id="s"), {"a", "b"}),
    (Selection(session_id="s", author="Ann"), {"a"}),
    (Selection(user_id="u"), {"a"}),
    (Selection(agent_id="g"), {"b"}),
    (Selection(author="Ann"), {"a", "c"}),
    (Selection(kind="fact"), {"c"}),
    (Selection(tag="red"), {"a", "c"}),
    (Selection(tag="re"), set()),
    (Selection(time_range=TimeRange(START + 1, START + 2)), {"b"}),
    (Selection(time_range=TimeRange(start=START + 1)), {"b", "c"}),
    (Selection(tiers=frozenset({Tier.WARM})), {"a", "b", "c"}),
    (Selection(tiers=frozenset({Tier.COLD, Tier.HOT})), set()),
    (Selection(where={"n": {"gte": 2}}), {"b", "c"}),
    (Selection(where={"n": {"gte": 2}}, author="Ann"), {"c"}),
]


@pytest.mark.parametrize(("selection", "wanted"), SELECTIONS)
async def test_selection(
    world: MemoryWorld, selection: Selection, wanted: set[str]
) -> None:
    await world.add(
        NewMemory(
            "a",
            author="Ann",
            session_id="s",
            user_id="u",
            tags=("red", "blue"),
            metadata={"n": 1},
            occurred_at=START,
        ),
        NewMemory(
            "b",
            author="Ben",
            session_id="s",
            agent_id="g",
            metadata={"n": 2},
            occurred_at=START + 1,
        ),
        NewMemory(
            "c",
            author="Ann",
            kind="fact",
            tags=("red",),
            metadata={"n": 3},
            occurred_at=START + 2,
        ),
    )
    found = await everything(world, selection, limit=1)
    assert {one.content for one in found} == wanted


async def test_expired_memories_are_not_listed(world: MemoryWorld) -> None:
    await world.add(NewMemory("short", ttl_seconds=5), NewMemory("long"))
    world.clock.advance(5)
    found = await everything(world, Selection())
    assert [one.content for one in found] == ["long"]


@pytest.mark.parametrize("cursor", ["", "x", "é", "W10", "a" * 500, "WzEsImJhZCJd"])
async def test_a_made_up_cursor_is_refused(world: MemoryWorld, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        await world.store.list(world.namespace, Selection(), cursor=cursor, limit=2)


async def test_a_cursor_fits_its_own_listing_only(world: MemoryWorld) -> None:
    await world.say("a", "b", "c")
    page = await world.store.list(world.namespace, Selection(), cursor=None, limit=1)
    for selection, oldest_first in (
        (Selection(kind="message"), False),
        (Selection(), True),
    ):
        with pytest.raises(InvalidCursor):
            await world.store.list(
                world.namespace,
                selection,
                cursor=page.next_cursor,
                limit=1,
                oldest_first=oldest_first,
            )


@pytest.mark.parametrize("limit", [0, -1, 501])
async def test_limit_out_of_range(world: MemoryWorld, limit: int) -> None:
    with pytest.raises(ValidationError) as caught:
        await world.store.list(world.namespace, Selection(), cursor=None, limit=limit)
    assert caught.value.data["field"] == "limit"


async def test_stats_by_tier_kind_and_namespace(world: MemoryWorld) -> None:
    work = Namespace("local", "work")
    await world.add(NewMemory("abc", kind="fact"), NewMemory("de"))
    await world.add(NewMemory("f"), ns=work)
    await world.add(NewMemory("foreign"), ns=Namespace("other", "default"))
    stats = await world.store.stats("local")
    assert (stats.total, stats.bytes_total) == (3, 6)
    assert stats.by_tier == {"warm": 3}
    assert stats.by_kind == {"fact": 1, "message": 2}
    assert stats.by_namespace == {"default": 2, "work": 1}
    one = await world.store.stats("local", work)
    assert (one.total, one.by_namespace) == (1, {"work": 1})
    assert await world.store.namespaces("local") == ("default", "work")
    with pytest.raises(ValueError, match="another tenant"):
        await world.store.stats("other", work)


async def test_a_key_names_the_one_memory_stored_under_it(world: MemoryWorld) -> None:
    await world.say("another")
    (stored,) = await world.add(NewMemory("tea", user_id="ana", idempotency_key="k"))
    await world.add(
        NewMemory("coffee", idempotency_key="k"), ns=Namespace("local", "elsewhere")
    )
    for oldest_first in (True, False):
        found = await everything(
            world, Selection(idempotency_key="k"), oldest_first=oldest_first
        )
        assert [one.id for one in found] == [stored.id]
    assert await everything(world, Selection(idempotency_key="x")) == []
    strangers = Selection(idempotency_key="k", user_id="bob")
    assert await everything(world, strangers) == []
    gone = await world.store.forget(
        world.namespace, Selection(idempotency_key="k"), context=CONTEXT
    )
    assert gone.ids == (stored.id,)
