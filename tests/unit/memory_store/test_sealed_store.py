"""An encrypted store: nothing to read in its files, everything to ask of it."""

import hashlib
import sqlite3

import pytest

from cortex.foundation.tenancy import Namespace
from cortex.memory import resealing
from cortex.memory.model import MemoryPatch, NewMemory, Origin, Selection, Tier
from cortex.memory.resealing import Resealing
from cortex.memory.sessions import NewSession, Sessions
from cortex.memory.trust import SourceKind
from cortex.memory.writes import move_tier
from cortex.security.data_keys import DataKeys
from cortex.security.envelope import Keyring, MasterKey
from cortex.security.errors import DecryptionFailed
from cortex.security.sealing import BLIND_PURPOSE, STORE_PURPOSE, TenantSeals
from cortex.testing.memory import CONTEXT, memory_world, prepare

MASTER = MasterKey(b"m" * 32)
WORDS = {
    "content": "Zebrafinch sings at four",
    "author": "Quirinus Author",
    "user_id": "wilhelmina-user",
    "agent_id": "agentia-77",
    "run_id": "runaway-run-9",
    "source": "https://secret-source.example",
    "tag": "tangerine-tag",
    "metadata": "metadata-marigold",
}


def item(content=WORDS["content"], **fields):
    return NewMemory(
        content,
        author=WORDS["author"],
        user_id=WORDS["user_id"],
        agent_id=WORDS["agent_id"],
        run_id=WORDS["run_id"],
        source=WORDS["source"],
        source_kind=SourceKind.USER,
        tags=(WORDS["tag"],),
        metadata={"flower": WORDS["metadata"]},
        **fields,
    )


@pytest.fixture
async def sealed(tmp_path):
    async with memory_world(tmp_path, master=MASTER) as world:
        yield world


def shown(world, *words):
    """Return the words that lie readable in any file of the home."""
    blobs = [path.read_bytes() for path in world.home.rglob("*") if path.is_file()]
    needles = words or tuple(WORDS.values())
    return [word for word in needles if any(word.encode() in blob for blob in blobs)]


async def listed(world, **conditions):
    page = await world.store.list(
        world.namespace, Selection(**conditions), cursor=None, limit=50
    )
    return [memory.content for memory in page.memories]


async def test_no_word_lies_in_a_file_whatever_is_done(sealed):
    [stored] = await sealed.add(item())
    assert shown(sealed) == []
    ns = sealed.namespace
    patch = MemoryPatch(content="Yellowhammer answers", tags=("ultramarine",))
    fresh = prepare(item("Yellowhammer answers"))
    changed = await sealed.store.update(
        ns, stored.id, patch, prepared=fresh, context=CONTEXT
    )
    assert (changed.content, changed.tags) == ("Yellowhammer answers", ("ultramarine",))
    assert changed.metadata == {"flower": WORDS["metadata"]}
    assert changed.user_id == WORDS["user_id"]
    for tier in (Tier.COLD, Tier.WARM, Tier.HOT):
        await sealed.database.write(
            lambda c, tier=tier: move_tier(
                c, (1, 1), tier, sealed.seals.writing(c, ns.tenant)
            )
        )
        found = await sealed.store.get(ns, stored.id)
        assert (found.content, found.tier) == ("Yellowhammer answers", tier)
    more = (*WORDS.values(), "Yellowhammer", "ultramarine")
    assert shown(sealed, *more) == []
    gone = await sealed.store.forget(ns, [stored.id], context=CONTEXT)
    digest = hashlib.sha256(b"Yellowhammer answers").hexdigest()
    assert gone.content_sha256 == (digest,), "the receipt names the real content"
    assert shown(sealed, *more) == []


async def test_vectors_and_terms_are_not_readable_either(sealed, tmp_path):
    prepared = prepare(item())
    await sealed.store.add(sealed.namespace, [prepared], context=CONTEXT)
    rows = sealed.database.read_inline(
        lambda c: c.execute(
            "SELECT m.terms, v.vectors FROM memories m JOIN memory_vectors v USING (seq)"
        ).fetchone()
    )
    assert prepared.terms not in rows[0]
    assert prepared.vectors[0].vector.astype("<f2").tobytes() not in rows[1]


async def test_lists_select_as_before(sealed):
    await sealed.add(item())
    await sealed.add(NewMemory("someone else's"))
    for name in ("author", "user_id", "agent_id", "tag"):
        assert await listed(sealed, **{name: WORDS[name]}) == [WORDS["content"]]
        assert await listed(sealed, **{name: "nobody"}) == []
    for origin in (Origin(source=WORDS["source"]), Origin(run_id=WORDS["run_id"])):
        assert await listed(sealed, origin=origin) == [WORDS["content"]]
    where = {"flower": WORDS["metadata"]}
    assert await listed(sealed, where=where) == [WORDS["content"]]
    assert await listed(sealed, where={"flower": "rose"}) == []


async def test_the_same_thing_is_stored_once(sealed):
    [first] = await sealed.add(item(occurred_at=1.0))
    [again] = await sealed.add(item(occurred_at=1.0))
    assert (again.id, again.created) == (first.id, False)
    [keyed] = await sealed.add(item("x", idempotency_key="k"))
    [twice] = await sealed.add(item("y", idempotency_key="k"))
    assert (twice.id, twice.created) == (keyed.id, False)
    assert await listed(sealed, idempotency_key="k") == ["x"]


async def test_conversations_are_sealed_and_forgotten_by_person(sealed):
    records = Sessions(
        sealed.database, sealed.store, clock=sealed.clock, ids=sealed.ids,
        seals=sealed.seals,
    )  # fmt: skip
    ns = sealed.namespace
    new = NewSession("s1", "Saffron title", "wilhelmina", "agentia", {"a": "Verdigris"})
    made = await records.create(ns, new)
    assert (made.title, made.user_id, made.metadata) == (
        "Saffron title", "wilhelmina", {"a": "Verdigris"},
    )  # fmt: skip
    assert [one.title for one in await records.list(ns, limit=9)] == ["Saffron title"]
    assert shown(sealed, "Saffron", "wilhelmina", "agentia", "Verdigris") == []
    await sealed.store.forget(ns, Selection(user_id="wilhelmina"), context=CONTEXT)
    assert await records.list(ns, limit=9) == []


async def test_what_is_moved_does_not_open(sealed):
    one, two = await sealed.say("the first one", "the second one")

    def swap(connection):
        connection.execute(
            "UPDATE memories SET content_z = (SELECT content_z FROM memories WHERE id = ?)"
            " WHERE id = ?",
            (one, two),
        )

    await sealed.database.write(swap)
    assert (await sealed.store.get(sealed.namespace, one)).content == "the first one"
    with pytest.raises(DecryptionFailed, match="changed or moved"):
        await sealed.store.get(sealed.namespace, two)


async def test_a_tenant_has_keys_of_its_own(sealed):
    other = Namespace("acme", "default")
    await sealed.say("ours")
    [theirs] = await sealed.say("theirs", ns=other)
    keys = DataKeys(sealed.database, Keyring(MASTER), clock=sealed.clock)
    assert await keys.tenants(STORE_PURPOSE) == ("acme", "local")
    await keys.destroy("acme")
    with pytest.raises(DecryptionFailed, match="is gone"):
        await sealed.store.get(other, theirs)
    assert await listed(sealed) == ["ours"]


async def test_a_data_key_is_rotated_and_older_words_stay_readable(sealed):
    [before] = await sealed.say("before the rotation")
    keys = DataKeys(sealed.database, Keyring(MASTER), clock=sealed.clock)
    await keys.rotate("local", STORE_PURPOSE)
    [after] = await sealed.say("after the rotation")
    for memory_id, content in ((before, "before"), (after, "after")):
        found = await sealed.store.get(sealed.namespace, memory_id)
        assert found.content == f"{content} the rotation"
    sealing = sealed.database.read_inline(
        lambda c: c.execute(
            "SELECT DISTINCT substr(sealed, 2, 16) FROM memories"
        ).fetchall()
    )
    assert len(sealing) == 2


async def test_a_master_key_is_exchanged_and_the_old_one_no_longer_needed(tmp_path):
    fresh = MasterKey(b"n" * 32)
    async with memory_world(tmp_path, master=MASTER) as world:
        [memory_id] = await world.say("kept over the exchange")
        keys = DataKeys(world.database, Keyring(fresh, [MASTER]), clock=world.clock)
        assert await keys.foreign() == ()
        assert await keys.rewrap() == 2
        late = DataKeys(world.database, Keyring(MASTER), clock=world.clock)
        assert await late.foreign() == (fresh.id,)
    async with memory_world(tmp_path, master=fresh) as world:
        found = await world.store.get(world.namespace, memory_id)
        assert found.content == "kept over the exchange"
    async with memory_world(tmp_path, master=MASTER) as world:
        with pytest.raises(DecryptionFailed, match="not at hand"):
            await world.store.get(world.namespace, memory_id)


class Steps:
    """A database that counts the steps of each unit."""

    def __init__(self, database):
        self.database = database
        self.taken = []

    async def write(self, unit):
        def counted(connection):
            self.taken.append(0)
            connection.set_progress_handler(self._tick, 10)
            try:
                return unit(connection)
            finally:
                connection.set_progress_handler(None, 0)

        return await self.database.write(counted)

    def _tick(self):
        self.taken[-1] += 1


async def test_sealing_takes_each_batch_as_long_as_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(resealing, "SEAL_BATCH", 10)
    async with memory_world(tmp_path) as plain:
        await plain.add(*(item(f"message {n}") for n in range(400)))
        keys = DataKeys(plain.database, Keyring(MASTER), clock=plain.clock)
        counted = Steps(plain.database)
        assert await Resealing(counted, TenantSeals(keys)).run() == 400
    batches = counted.taken[1:40]
    assert max(batches) < 1.5 * min(batches), batches


async def test_what_was_plain_is_sealed_and_its_bytes_are_cleared(tmp_path):
    async with memory_world(tmp_path) as plain:
        await plain.add(
            *(item(f"{WORDS['content']} {n}", occurred_at=float(n)) for n in range(450))
        )
        records = Sessions(
            plain.database, plain.store, clock=plain.clock, ids=plain.ids
        )
        await records.create(plain.namespace, NewSession("s1", "Saffron title"))
        assert shown(plain)
        keys = DataKeys(plain.database, Keyring(MASTER), clock=plain.clock)
        work = Resealing(plain.database, TenantSeals(keys))
        assert await work.run() == 451
        assert await work.run() == 0
        await plain.database.scrub()
        assert shown(plain, *WORDS.values(), "Saffron") == []
    async with memory_world(tmp_path, master=MASTER) as sealed:
        page = await sealed.store.list(
            sealed.namespace,
            Selection(user_id=WORDS["user_id"]),
            cursor=None,
            limit=500,
        )
        assert len(page.memories) == 450
        [again] = await sealed.add(item(f"{WORDS['content']} 7", occurred_at=7.0))
        assert not again.created, "the same thing as before it was sealed"
        assert shown(sealed) == []
    connection = sqlite3.connect(tmp_path / "cortex.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


async def test_both_purposes_have_a_key(sealed):
    await sealed.say("x")
    keys = DataKeys(sealed.database, Keyring(MASTER), clock=sealed.clock)
    for purpose in (STORE_PURPOSE, BLIND_PURPOSE):
        assert await keys.tenants(purpose) == ("local",)
