"""S3-FIFO keeps what is used again; a load is shared by all who want it."""

import asyncio

import pytest

from cortex.foundation.cache import Cache


def test_get_and_put() -> None:
    cache: Cache[str, int] = Cache(2)
    assert cache.get("a") is None
    cache.put("a", 1)
    cache.put("a", 2)
    assert cache.get("a") == 2
    assert "a" in cache
    assert len(cache) == 1
    cache.discard("a")
    assert cache.get("a") is None
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.entries, stats.weight) == (1, 2, 0, 0)


def test_a_scan_does_not_push_out_what_is_used() -> None:
    cache: Cache[int, int] = Cache(100)
    for key in range(20):
        cache.put(key, key)
    for _ in range(3):
        for key in range(20):
            cache.get(key)
    for key in range(1_000, 2_000):
        cache.put(key, key)
    assert all(cache.get(key) == key for key in range(20))
    assert len(cache) == 100


def test_a_name_that_comes_back_goes_to_the_main_queue() -> None:
    cache: Cache[str, int] = Cache(10)
    cache.put("back", 1)
    for number in range(10):
        cache.put(f"n{number}", number)
    assert "back" not in cache
    cache.put("back", 2)
    for number in range(50):
        cache.put(f"m{number}", number)
    assert cache.get("back") == 2


def test_the_bound_is_of_weights() -> None:
    cache: Cache[str, bytes] = Cache(1_000, weigh=len)
    cache.put("large", b"x" * 900)
    cache.put("small", b"x" * 200)
    assert "large" not in cache
    cache.put("too large", b"x" * 1_001)
    assert "too large" not in cache
    assert cache.get("small") == b"x" * 200
    assert cache.stats().evictions == 1


def test_a_cache_of_nothing_holds_nothing() -> None:
    cache: Cache[str, int] = Cache(0)
    cache.put("a", 1)
    assert len(cache) == 0


async def test_one_load_for_many_callers() -> None:
    cache: Cache[str, int] = Cache(10)
    started = asyncio.Event()
    finish = asyncio.Event()
    loads = 0

    async def load() -> int:
        nonlocal loads
        loads += 1
        started.set()
        await finish.wait()
        return 7

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(cache.get_or_load("k", load)) for _ in range(20)]
        await started.wait()
        finish.set()
    assert [task.result() for task in tasks] == [7] * 20
    assert loads == 1
    assert await cache.get_or_load("k", load) == 7
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.joined) == (1, 1, 19)


async def test_a_failed_load_fails_all_and_is_not_kept() -> None:
    cache: Cache[str, int] = Cache(10)

    async def broken() -> int:
        await asyncio.sleep(0)
        message = "no"
        raise ValueError(message)

    async def whole() -> int:
        return 1

    failing = (cache.get_or_load("k", broken) for _ in range(5))
    results = await asyncio.gather(*failing, return_exceptions=True)
    assert [type(result) for result in results] == [ValueError] * 5
    assert await cache.get_or_load("k", whole) == 1


async def test_a_cancelled_loader_hands_over() -> None:
    cache: Cache[str, int] = Cache(10)
    started = asyncio.Event()

    async def endless() -> int:
        started.set()
        await asyncio.Event().wait()
        return 0

    async def quick() -> int:
        return 2

    loader = asyncio.gather(cache.get_or_load("k", endless))
    await started.wait()
    waiter = asyncio.gather(cache.get_or_load("k", quick))
    await asyncio.sleep(0)
    loader.cancel()
    assert await waiter == [2]
    with pytest.raises(asyncio.CancelledError):
        await loader


async def test_a_cancelled_waiter_does_not_stop_the_load() -> None:
    cache: Cache[str, int] = Cache(10)
    finish = asyncio.Event()

    async def load() -> int:
        await finish.wait()
        return 3

    loader = asyncio.gather(cache.get_or_load("k", load))
    await asyncio.sleep(0)
    waiter = asyncio.gather(cache.get_or_load("k", load))
    await asyncio.sleep(0)
    waiter.cancel()
    finish.set()
    assert await loader == [3]


async def test_what_is_discarded_while_loading_is_not_kept() -> None:
    cache: Cache[str, int] = Cache(10)
    finish = asyncio.Event()

    async def load() -> int:
        await finish.wait()
        return 1

    loader = asyncio.gather(cache.get_or_load("a", load), cache.get_or_load("b", load))
    await asyncio.sleep(0)
    cache.discard("a")
    finish.set()
    await loader
    assert "a" not in cache
    assert "b" in cache
    cache.clear()
    assert len(cache) == 0


def test_what_was_used_long_ago_leaves_the_main_queue() -> None:
    cache: Cache[int, int] = Cache(10)
    for key in range(10):
        cache.put(key, key)
        cache.get(key)
        cache.get(key)
    for key in range(100, 200):
        cache.put(key, key)
        cache.get(key)
        cache.get(key)
    assert not any(key in cache for key in range(10))
    assert len(cache) == 10
    cache.put(150, 0)
    held = next(key for key in range(199, 99, -1) if key in cache)
    cache.put(held, -1)
    assert cache.get(held) == -1
    cache.discard(held)
    assert held not in cache
