from collections.abc import Sequence
from dataclasses import replace

import pytest

from cortex.foundation.canonical import canonical_json
from cortex.foundation.errors import PayloadTooLarge, Unavailable
from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.model import Memory, Modality, Tier
from cortex.security.signing import PackSigner
from cortex.usecases.model import Resource
from cortex.usecases.snapshot import Snapshot, SnapshotOptions, SnapshotSources

KEY = b"a key of at least sixteen bytes"
ANNA = Principal("anna", "acme", frozenset({"*"}))


class FakeClock:
    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def now(self) -> float:
        self.time += 0.001
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


class Shelf:
    def __init__(self) -> None:
        self.kept: dict[tuple[Namespace, str], dict] = {}

    async def load(self, namespace, reach):
        return self.kept.get((namespace, reach))

    async def save(self, namespace, reach, pack, *, ttl_seconds):
        self.kept[namespace, reach] = pack

    async def drop(self, namespace):
        self.kept = {
            key: kept for key, kept in self.kept.items() if key[0] != namespace
        }


class World:
    """A tenant's facts and resources, and a store that can go down."""

    def __init__(self) -> None:
        self.contents = ["The launch is on Friday.", "Anna likes tea."]
        self.resources: list[Resource] = []
        self.down = False
        self.shelf = Shelf()
        self.clock = FakeClock()

    async def facts(self, namespace: Namespace, limit: int) -> Sequence[Memory]:
        if self.down:
            raise Unavailable("the store is down")
        return [_memory(namespace, n, c) for n, c in enumerate(self.contents)][:limit]

    async def listed(self, principal: Principal) -> Sequence[Resource]:
        return self.resources

    def snapshot(self, **options: float) -> Snapshot:
        sources = SnapshotSources(
            self.facts, self.listed, lambda texts, limit: texts[0], len
        )
        return Snapshot(
            sources,
            shelf=self.shelf,
            signer=PackSigner(KEY),
            clock=self.clock,
            options=lambda: SnapshotOptions(**options),
        )


def _memory(namespace: Namespace, number: int, content: str) -> Memory:
    return Memory(
        id=f"m{number}", namespace=namespace, content=content, author="", kind="fact",
        session_id=None, agent_id=None, user_id=None, importance=0.5, tags=(),
        metadata={}, occurred_at=1.0, valid_from=None, valid_to=None, expires_at=None,
        created_at=1.0, updated_at=1.0, accessed_at=1.0, access_count=0, tier=Tier.HOT,
        modality=Modality.TEXT, embedding="ready", space="s", content_sha256="0" * 64,
    )  # fmt: skip


@pytest.fixture
def world() -> World:
    return World()


async def test_a_pack_is_fresh_and_its_signature_covers_exactly_what_is_returned(world):
    pack = await world.snapshot()(ANNA)
    assert pack["freshness"] == "fresh"
    assert pack["ttl_seconds"] == 120.0
    assert PackSigner(KEY).verify(pack)
    for member in pack:
        assert not PackSigner(KEY).verify({**pack, member: "changed"})
    assert not PackSigner(b"some other key, 16 bytes or more").verify(pack)


async def test_since_within_the_ttl_answers_from_the_cache(world):
    snapshot = world.snapshot()
    first = await snapshot(ANNA)
    world.contents = ["Something new."]
    again = await snapshot(ANNA, first["generated_at"])
    assert again["freshness"] == "cached"
    assert again["hot_facts"] == first["hot_facts"]
    assert PackSigner(KEY).verify(again)


async def test_after_the_ttl_or_with_another_since_it_is_made_anew(world):
    snapshot = world.snapshot()
    first = await snapshot(ANNA)
    assert (await snapshot(ANNA, "2020-01-01T00:00:00+00:00"))["freshness"] == "fresh"
    await world.clock.sleep(121)
    later = await snapshot(ANNA, first["generated_at"])
    assert later["freshness"] == "fresh"
    assert later["generated_at"] > first["generated_at"]


async def test_after_a_restart_the_kept_pack_is_restored(world):
    first = await world.snapshot()(ANNA)
    restored = await world.snapshot()(ANNA, first["generated_at"])
    assert restored["freshness"] == "restored"


async def test_a_store_that_is_down_gives_the_last_pack_as_stale(world):
    snapshot = world.snapshot()
    with_nothing_kept = World()
    with_nothing_kept.down = True
    with pytest.raises(Unavailable):
        await with_nothing_kept.snapshot()(ANNA)
    await snapshot(ANNA)
    world.down = True
    assert (await snapshot(ANNA))["freshness"] == "stale"


async def test_a_kept_pack_is_for_callers_of_the_same_reach(world):
    world.resources = [Resource("database:notes", "database", "notes", "u", {})]
    snapshot = world.snapshot()
    wide = await snapshot(ANNA)
    world.resources = []
    bob = Principal("bob", "acme", frozenset({"context"}))
    assert (await snapshot(bob, wide["generated_at"]))["resources"] == []
    assert (await snapshot(ANNA, wide["generated_at"]))["freshness"] == "cached"
    world.down = True
    assert (await snapshot(bob))["resources"] == []
    eve = Principal("eve", "acme", frozenset({"context"}), ("default",))
    with pytest.raises(Unavailable):
        await snapshot(eve)


async def test_a_forged_pack_on_the_shelf_is_not_used(world):
    snapshot = world.snapshot()
    first = await snapshot(ANNA)
    [key] = world.shelf.kept
    world.shelf.kept[key] = {**first, "summary": "forged"}
    assert (await snapshot(ANNA, first["generated_at"]))["freshness"] == "fresh"


async def test_over_the_cap_facts_go_first_then_resources(world):
    world.contents = ["word " * 100] * 20
    world.resources = [
        Resource(str(n), "database", "n" * 50, "u", {}) for n in range(5)
    ]
    pack = await world.snapshot(size_bytes_max=4_000)(ANNA)
    assert len(canonical_json(pack)) <= 4_000
    assert 0 < len(pack["hot_facts"]) < 20
    assert len(pack["resources"]) == 5
    bare = await world.snapshot(size_bytes_max=1_100)(ANNA)
    assert bare["hot_facts"] == []
    assert len(bare["resources"]) < 5


async def test_over_the_cap_even_when_bare_is_413(world):
    world.contents = ["x" * 1_000]
    with pytest.raises(PayloadTooLarge):
        await world.snapshot(size_bytes_max=500)(ANNA)


async def test_invalidating_drops_what_was_kept(world):
    snapshot = world.snapshot()
    first = await snapshot(ANNA)
    await snapshot.invalidate(ANNA.namespace())
    assert world.shelf.kept == {}
    assert (await snapshot(ANNA, first["generated_at"]))["freshness"] == "fresh"


async def test_facts_of_2_kb_and_more_are_left_out(world):
    world.contents = ["x" * 3_000, "short"]
    pack = await world.snapshot()(ANNA)
    assert [fact["content"] for fact in pack["hot_facts"]] == ["short"]


async def test_a_pack_whose_sources_changed_while_it_was_made_is_not_kept(world):
    snapshot = world.snapshot()
    read = world.facts

    async def slow(namespace, limit):
        facts = await read(namespace, limit)
        world.contents = ["Nothing of it is left."]
        await snapshot.invalidate(namespace)
        return facts

    snapshot._sources = replace(snapshot._sources, facts=slow)
    made = await snapshot(ANNA)
    assert world.shelf.kept == {}
    snapshot._sources = replace(snapshot._sources, facts=read)
    later = await snapshot(ANNA, made["generated_at"])
    assert later["hot_facts"] != made["hot_facts"]
    assert len(world.shelf.kept) == 1
