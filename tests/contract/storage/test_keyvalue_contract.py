"""What every keeper of key-values promises."""

import asyncio

import pytest
from redis.asyncio import Redis

from cortex.foundation.errors import (
    PayloadTooLarge,
    PreconditionFailed,
    ValidationError,
)
from cortex.foundation.ids import Uuid7Source
from cortex.foundation.limits import STATE_VALUE_BYTES_MAX
from cortex.foundation.tenancy import Namespace
from cortex.storage.errors import StorageError, StorageUnreachable
from cortex.storage.keyvalue import ABSENT, KeyValue
from cortex.storage.keyvalue_redis import RedisKeyValue
from cortex.storage.keyvalue_sqlite import SqliteKeyValue
from cortex.storage.sqlite import Database
from cortex.testing.clock import ManualClock

NS = Namespace("tenant", "default")


async def keys(keeper: KeyValue, **options: str) -> list[str]:
    return [entry.key for entry in await keeper.scan(NS, limit=100, **options)]


async def test_what_was_put_is_got(keeper: KeyValue) -> None:
    assert await keeper.get(NS, "a") is None
    put = await keeper.put(NS, "a", b"\x00\xffbytes")
    assert await keeper.get(NS, "a") == put
    assert (put.key, put.value, put.expires_at) == ("a", b"\x00\xffbytes", None)
    empty = await keeper.put(NS, "a", b"")
    assert empty.etag != put.etag
    assert await keeper.get(NS, "a") == empty


async def test_an_equal_value_is_still_a_new_version(keeper: KeyValue) -> None:
    first = await keeper.put(NS, "a", b"x")
    second = await keeper.put(NS, "a", b"x")
    assert first.etag != second.etag


async def test_compare_and_set(keeper: KeyValue) -> None:
    created = await keeper.put(NS, "a", b"1", expected_etag=ABSENT)
    with pytest.raises(PreconditionFailed) as refusal:
        await keeper.put(NS, "a", b"2", expected_etag=ABSENT)
    assert refusal.value.data["etag"] == created.etag
    changed = await keeper.put(NS, "a", b"2", expected_etag=created.etag)
    with pytest.raises(PreconditionFailed):
        await keeper.put(NS, "a", b"3", expected_etag=created.etag)
    with pytest.raises(PreconditionFailed):
        await keeper.put(NS, "other", b"3", expected_etag=created.etag)
    assert await keeper.get(NS, "a") == changed
    assert await keeper.get(NS, "other") is None


async def test_of_many_who_compare_and_set_one_wins(keeper: KeyValue) -> None:
    start = await keeper.put(NS, "a", b"start")
    results = await asyncio.gather(
        *(
            keeper.put(NS, "a", f"{n}".encode(), expected_etag=start.etag)
            for n in range(10)
        ),
        return_exceptions=True,
    )
    winners = [r for r in results if not isinstance(r, PreconditionFailed)]
    assert [await keeper.get(NS, "a")] == winners


async def test_delete(keeper: KeyValue) -> None:
    entry = await keeper.put(NS, "a", b"1")
    with pytest.raises(PreconditionFailed):
        await keeper.delete(NS, "a", expected_etag="another")
    assert await keeper.delete(NS, "a", expected_etag=entry.etag)
    assert not await keeper.delete(NS, "a")
    with pytest.raises(PreconditionFailed):
        await keeper.delete(NS, "a", expected_etag=entry.etag)
    assert await keys(keeper) == []


async def test_time_to_live(keeper: KeyValue, clock: ManualClock) -> None:
    entry = await keeper.put(NS, "a", b"1", ttl_seconds=10)
    assert entry.expires_at == clock.now() + 10
    await keeper.put(NS, "stays", b"1", ttl_seconds=10)
    await keeper.put(NS, "stays", b"2")
    clock.advance(9.999)
    assert await keeper.get(NS, "a") == entry
    clock.advance(0.001)
    assert await keys(keeper) == ["stays"]
    assert await keeper.get(NS, "a") is None
    assert not await keeper.delete(NS, "a")
    with pytest.raises(PreconditionFailed):
        await keeper.put(NS, "a", b"2", expected_etag=entry.etag)
    await keeper.put(NS, "a", b"2", expected_etag=ABSENT)
    assert await keys(keeper) == ["a", "stays"]


async def test_a_clock_that_steps_back_revives_nothing(
    keeper: KeyValue, clock: ManualClock
) -> None:
    await keeper.put(NS, "a", b"1", ttl_seconds=10)
    clock.advance(20)
    assert await keeper.get(NS, "a") is None
    clock.step(-3_600)
    assert await keeper.get(NS, "a") is None
    assert await keys(keeper) == []
    await keeper.put(NS, "b", b"1", ttl_seconds=10)
    assert (await keeper.get(NS, "b")) is not None


async def test_a_clock_that_steps_back_makes_nothing_live_longer(
    keeper: KeyValue, clock: ManualClock
) -> None:
    clock.step(-3_600)
    await keeper.put(NS, "a", b"1", ttl_seconds=10)
    clock.advance(9)
    assert await keys(keeper) == ["a"]
    clock.advance(1)
    assert await keeper.get(NS, "a") is None
    assert await keys(keeper) == []


async def test_scan_pages_in_order_of_code_points(keeper: KeyValue) -> None:
    names = ["a", "a/1", "a/é", "a/\U0001f600", "b"]
    for name in reversed(names):
        await keeper.put(NS, name, name.encode())
    assert await keys(keeper) == names
    assert await keys(keeper, prefix="a/") == names[1:4]
    assert await keys(keeper, prefix="a/", after="a/1") == names[2:4]
    assert await keys(keeper, after="a/é") == names[3:]
    assert await keys(keeper, prefix="b", after="a") == ["b"]
    assert await keys(keeper, prefix="zzz") == []
    page = await keeper.scan(NS, limit=2)
    assert [(e.key, e.value) for e in page] == [("a", b"a"), ("a/1", b"a/1")]


async def test_namespaces_and_tenants_do_not_see_each_other(keeper: KeyValue) -> None:
    others = [
        Namespace("tenant", "other"),
        Namespace("tenant2", "default"),
        Namespace("tenant:default", "x"),
        Namespace("tenant", "default:x"),
    ]
    await keeper.put(NS, "a", b"mine")
    for number, other in enumerate(others):
        assert await keeper.get(other, "a") is None
        await keeper.put(other, "a", f"{number}".encode())
    for number, other in enumerate(others):
        (entry,) = await keeper.scan(other, limit=10)
        assert entry.value == f"{number}".encode()
    assert await keeper.clear(NS) == 1
    assert await keeper.clear(NS) == 0
    assert await keys(keeper) == []
    for other in others:
        assert await keeper.get(other, "a") is not None


async def test_clear_counts_only_the_living(
    keeper: KeyValue, clock: ManualClock
) -> None:
    await keeper.put(NS, "a", b"1", ttl_seconds=1)
    await keeper.put(NS, "b", b"1")
    clock.advance(2)
    assert await keeper.clear(NS) == 1


async def test_the_least_recently_used_goes_first(keeper: KeyValue) -> None:
    for name in "abcde":
        await keeper.put(NS, name, b"1")
    await keeper.get(NS, "a")
    await keeper.put(NS, "b", b"2")
    await keeper.put(NS, "f", b"1")
    await keeper.put(NS, "g", b"1")
    assert await keys(keeper) == ["a", "b", "e", "f", "g"]


@pytest.mark.parametrize("key", ["", "x" * 513, "nul\x00", "line\n", "\ud800"])
async def test_malformed_keys(keeper: KeyValue, key: str) -> None:
    for call in (
        keeper.get(NS, key),
        keeper.put(NS, key, b"1"),
        keeper.delete(NS, key),
    ):
        with pytest.raises(ValidationError) as refusal:
            await call
        assert refusal.value.data["field"] == "key"


async def test_malformed_values(keeper: KeyValue) -> None:
    await keeper.put(NS, "k" * 512, b"x" * STATE_VALUE_BYTES_MAX)
    with pytest.raises(PayloadTooLarge):
        await keeper.put(NS, "a", b"x" * (STATE_VALUE_BYTES_MAX + 1))
    for ttl in (0, -1, float("nan"), float("inf"), 1e12):
        with pytest.raises(ValidationError):
            await keeper.put(NS, "a", b"1", ttl_seconds=ttl)
    for limit in (0, 1_001):
        with pytest.raises(ValidationError):
            await keeper.scan(NS, limit=limit)
    assert await keeper.get(NS, "a") is None


async def test_sqlite_survives_a_restart(database: Database) -> None:
    clock = ManualClock()
    before = SqliteKeyValue(database, clock=clock, ids=Uuid7Source(clock))
    entry = await before.put(NS, "a", b"1", ttl_seconds=60)
    await before.put(NS, "short", b"1", ttl_seconds=1)
    await database.close()
    await database.open()
    clock.advance(2)
    after = SqliteKeyValue(database, clock=clock, ids=Uuid7Source(clock))
    assert await after.scan(NS, limit=10) == [entry]
    assert await after.sweep() == 1


async def test_a_server_that_is_gone_is_named(clock: ManualClock) -> None:
    keeper = RedisKeyValue.from_url(
        "redis://127.0.0.1:1", clock=clock, ids=Uuid7Source(clock)
    )
    with pytest.raises(StorageUnreachable) as failure:
        await keeper.get(NS, "a")
    assert failure.value.retry_after_seconds
    with pytest.raises(StorageUnreachable):
        await keeper.ping()
    await keeper.close()


async def test_a_server_that_refuses_is_named(
    redis_client: Redis, clock: ManualClock
) -> None:
    keeper = RedisKeyValue(redis_client, clock=clock, ids=Uuid7Source(clock))
    await keeper.ping()
    await redis_client.set("{cortex:tenant|default}:names", "not a sorted set")
    with pytest.raises(StorageError, match="refused"):
        await keeper.put(NS, "a", b"1")


async def test_the_server_itself_expires_values(
    redis_client: Redis, clock: ManualClock
) -> None:
    keeper = RedisKeyValue(redis_client, clock=clock, ids=Uuid7Source(clock))
    await keeper.put(NS, "a", b"1", ttl_seconds=100)
    remaining = await redis_client.pttl("{cortex:tenant|default}:v:a")
    assert 0 < remaining <= 100_000
