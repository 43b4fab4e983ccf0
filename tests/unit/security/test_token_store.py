"""Issuing, checking, rotating and revoking tokens over a real file."""

import asyncio
import string
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex.foundation.errors import (
    Conflict,
    PermissionDenied,
    Unauthenticated,
    ValidationError,
)
from cortex.foundation.tenancy import Principal
from cortex.security.errors import TokenNotFound
from cortex.security.issued_tokens import NewToken, TokenState, is_well_formed
from cortex.security.token_store import (
    REVOCATION_SECONDS_MAX,
    TokenStore,
    TokenStoreOptions,
)
from cortex.storage import outbox
from cortex.storage.errors import StorageClosed
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database

CHIEF = Principal("chief", "acme", frozenset({"*"}))
NEW = NewToken("ci", frozenset({"memory"}), "acme", ("team/*",), ttl_seconds=600)


def database_at(path: Path, clock) -> Database:
    steps = load_migrations("cortex.storage") + load_migrations("cortex.security")
    return Database(path, clock=clock, migrations=steps)


@pytest.fixture
async def database(tmp_path, clock):
    database = database_at(tmp_path / "cortex.db", clock)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def store(database, clock, ids) -> TokenStore:
    return TokenStore(database, clock=clock, ids=ids)


async def test_an_issued_token_lets_its_holder_in(store):
    issued = await store.issue(NEW, by=CHIEF)
    assert store.authenticate(issued.value) == Principal(
        "ci", "acme", frozenset({"memory"}), ("team/*",)
    )
    assert store.recall(issued.value) is not None


async def test_the_value_is_nowhere_but_in_the_answer(store, database, tmp_path):
    issued = await store.issue(NEW, by=CHIEF)
    store.authenticate(issued.value)
    assert issued.value not in repr(issued)
    assert all(
        issued.value not in repr(info) for info in await store.list("acme", dead=True)
    )
    await database.checkpoint_truncate()
    secret = issued.value.removeprefix("cortex_")[:43].encode()
    for file in tmp_path.iterdir():
        assert secret not in file.read_bytes()


@pytest.mark.parametrize(
    "junk", ["", "x", "cortex_", "cortex_" + "A" * 49, "cortex_" + "é" * 49, "x" * 9000]
)
async def test_junk_is_unknown(store, junk):
    with pytest.raises(Unauthenticated):
        store.authenticate(junk)


async def test_a_changed_character_is_unknown_and_never_reaches_the_file(
    store, database
):
    value = (await store.issue(NEW, by=CHIEF)).value
    other = value[:20] + ("A" if value[20] != "A" else "B") + value[21:]
    assert is_well_formed(value)
    assert not is_well_formed(other)


async def test_a_token_ends_on_time(store, clock):
    value = (await store.issue(NEW, by=CHIEF)).value
    store.authenticate(value)
    clock.advance(599.9)
    store.authenticate(value)
    clock.advance(0.1)
    with pytest.raises(Unauthenticated, match="expired"):
        store.authenticate(value)


async def test_revoking_holds_at_once_and_again_does_nothing(store):
    issued = await store.issue(NEW, by=CHIEF)
    store.authenticate(issued.value)
    assert await store.revoke("acme", issued.token.id, by=CHIEF) == (issued.token.id,)
    assert store.recall(issued.value) is None
    with pytest.raises(Unauthenticated, match="revoked"):
        store.authenticate(issued.value)
    assert await store.revoke("acme", issued.token.id, by=CHIEF) == ()


async def test_what_was_made_with_a_token_ends_with_it(store):
    parent = await store.issue(
        NewToken("agent", frozenset({"memory", "admin"}), "acme"), by=CHIEF
    )
    holder = store.authenticate(parent.value)
    child = await store.issue(
        NewToken("task", frozenset({"memory"}), "acme", ttl_seconds=60, ephemeral=True),
        by=holder,
    )
    grandchild = await store.issue(
        NewToken("part", frozenset({"memory"}), "acme"),
        by=store.authenticate(child.value),
    )
    other = await store.issue(NEW, by=CHIEF)
    ended = await store.revoke("acme", parent.token.id, by=CHIEF)
    assert set(ended) == {i.token.id for i in (parent, child, grandchild)}
    assert store.authenticate(other.value).subject == "ci"


async def test_another_process_follows_within_the_named_time(
    store, tmp_path, clock, ids
):
    """The second store has its own connections to the same file."""
    second = database_at(tmp_path / "cortex.db", clock)
    await second.open()
    try:
        elsewhere = TokenStore(second, clock=clock, ids=ids)
        issued = await store.issue(NEW, by=CHIEF)
        elsewhere.authenticate(issued.value)
        await store.revoke("acme", issued.token.id, by=CHIEF)
        clock.advance(REVOCATION_SECONDS_MAX)
        with pytest.raises(Unauthenticated, match="revoked"):
            elsewhere.authenticate(issued.value)
    finally:
        await second.close()


async def test_nobody_is_let_in_when_revocations_cannot_be_read(store, database, clock):
    value = (await store.issue(NEW, by=CHIEF)).value
    store.authenticate(value)
    await database.close()
    assert store.recall(value) is not None
    clock.advance(REVOCATION_SECONDS_MAX)
    with pytest.raises(StorageClosed):
        store.authenticate(value)


async def test_a_row_read_before_a_revocation_is_not_remembered_after_it(store):
    issued = await store.issue(NEW, by=CHIEF)
    generation = store._generation
    await store.revoke("acme", issued.token.id, by=CHIEF)
    store._remember(b"digest", issued.token, generation)
    assert not store._verified


async def test_rotation_overlaps(store, clock):
    old = await store.issue(NEW, by=CHIEF)
    new = await store.rotate("acme", old.token.id, by=CHIEF, overlap_seconds=30)
    assert store.authenticate(old.value) == store.authenticate(new.value)
    clock.advance(30)
    with pytest.raises(Unauthenticated):
        store.authenticate(old.value)
    assert store.authenticate(new.value).subject == "ci"
    listed = {i.id: i for i in await store.list("acme", dead=True)}
    assert listed[old.token.id].replaced_by == new.token.id
    assert listed[new.token.id].expires_at == new.token.created_at + 600


async def test_a_token_is_rotated_once_and_alive(store, clock):
    old = await store.issue(NEW, by=CHIEF)
    await store.rotate("acme", old.token.id, by=CHIEF)
    with pytest.raises(Conflict, match="successor"):
        await store.rotate("acme", old.token.id, by=CHIEF)
    dead = await store.issue(replace(NEW, name="dead"), by=CHIEF)
    await store.revoke("acme", dead.token.id, by=CHIEF)
    with pytest.raises(Conflict, match="revoked"):
        await store.rotate("acme", dead.token.id, by=CHIEF)


async def test_a_name_means_one_living_holder(store, clock, database, ids):
    await store.issue(NEW, by=CHIEF)
    with pytest.raises(Conflict):
        await store.issue(NEW, by=CHIEF)
    clock.advance(600)
    await store.issue(NEW, by=CHIEF)
    options = TokenStoreOptions(reserved_names=frozenset({"static"}))
    with pytest.raises(Conflict):
        await TokenStore(database, clock=clock, ids=ids, options=options).issue(
            replace(NEW, name="static"), by=CHIEF
        )


async def test_nobody_gives_more_than_they_have(store):
    maker = Principal("m", "acme", frozenset({"memory", "admin"}), ("team/a/*",))
    good = NewToken("t", frozenset({"memory"}), "acme", ("team/a/x",))
    for beyond in (
        replace(good, scopes=frozenset({"audit"})),
        replace(good, scopes=frozenset({"*"})),
        replace(good, tenant="other"),
        replace(good, namespaces=("team/*",)),
        replace(good, namespaces=("*",)),
        replace(good, namespaces=("team/b",)),
    ):
        with pytest.raises(PermissionDenied):
            await store.issue(beyond, by=maker)
    await store.issue(good, by=maker)


async def test_tenants_do_not_see_one_another(store):
    issued = await store.issue(NEW, by=CHIEF)
    stranger = Principal("chief", "other", frozenset({"*"}))
    assert await store.list("other", dead=True) == []
    with pytest.raises(TokenNotFound):
        await store.revoke("other", issued.token.id, by=stranger)
    with pytest.raises(PermissionDenied):
        await store.revoke("acme", issued.token.id, by=stranger)
    with pytest.raises(PermissionDenied):
        await store.rotate("acme", issued.token.id, by=stranger)
    assert store.authenticate(issued.value)


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"tenant": "a b"},
        {"scopes": frozenset()},
        {"scopes": frozenset({"everything"})},
        {"namespaces": ()},
        {"namespaces": ("a*b",)},
        {"namespaces": ("{subject}/*",)},
        {"ttl_seconds": 0.0},
        {"ttl_seconds": float("nan")},
        {"ephemeral": True, "ttl_seconds": 3_601.0},
        {"ephemeral": True, "ttl_seconds": None},
    ],
)
async def test_what_cannot_be_issued(store, change):
    with pytest.raises(ValidationError):
        await store.issue(replace(NEW, **change), by=CHIEF)


async def test_listing_is_paged_and_hides_the_dead(store, clock):
    issued = [await store.issue(replace(NEW, name=f"t{n}"), by=CHIEF) for n in range(5)]
    await store.revoke("acme", issued[1].token.id, by=CHIEF)
    alive = await store.list("acme", dead=False)
    assert [i.name for i in alive] == ["t0", "t2", "t3", "t4"]
    page = await store.list("acme", dead=True, after=issued[0].token.id, limit=2)
    assert [i.state(clock.now()) for i in page] == [
        TokenState.REVOKED,
        TokenState.ACTIVE,
    ]
    assert await store.purge(clock.now() + 1) == 1


async def test_every_change_is_an_event_without_the_value(store, database):
    issued = await store.issue(NEW, by=CHIEF, correlation_id="c-1")
    rotated = await store.rotate("acme", issued.token.id, by=CHIEF)
    await store.revoke("acme", rotated.token.id, by=CHIEF)
    rows = await database.read(lambda c: outbox.read_after(c, 0, 10))
    assert [row.type for row in rows] == [
        "security.token_issued",
        "security.token_rotated",
        "security.token_revoked",
    ]
    text = b"".join(row.body for row in rows).decode()
    assert "c-1" in text
    assert issued.value not in text
    assert rotated.value not in text


async def test_memory_is_bounded(database, clock, ids):
    options = TokenStoreOptions(verified_tokens_max=3)
    store = TokenStore(database, clock=clock, ids=ids, options=options)
    for n in range(6):
        issued = await store.issue(replace(NEW, name=f"t{n}"), by=CHIEF)
        store.authenticate(issued.value)
    assert len(store._verified) == 3


async def test_checks_race_with_revocations_without_a_ghost(store):
    """After revoke returned, no thread may get the token accepted again."""
    for n in range(10):
        issued = await store.issue(replace(NEW, name=f"r{n}"), by=CHIEF)
        stop = threading.Event()

        def hammer(value=issued.value, stop=stop):
            while not stop.is_set():
                try:
                    store.authenticate(value)
                except Unauthenticated:
                    return

        threads = [threading.Thread(target=hammer) for _ in range(3)]
        for thread in threads:
            thread.start()
        await asyncio.sleep(0.005)
        await store.revoke("acme", issued.token.id, by=CHIEF)
        refused = store.recall(issued.value) is None
        stop.set()
        for thread in threads:
            thread.join()
        assert refused
        assert store.recall(issued.value) is None


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet=string.ascii_letters + string.digits + "-_", max_size=60))
def test_made_up_values_fail_the_checksum(text):
    assert not is_well_formed("cortex_" + text)
