"""How soon work beside requests goes on after it failed."""

import asyncio
import io

from cortex.app import LOOP_BACKOFF_SECONDS_MAX, LOOP_BACKOFF_SECONDS_MIN, Loop
from cortex.telemetry.logs import LogOptions, build_logger
from cortex.testing.memory import VirtualClock


async def test_a_part_waits_longer_each_time_unless_it_worked_meanwhile():
    clock = VirtualClock()
    worked = [0.0] * 9 + [LOOP_BACKOFF_SECONDS_MAX + 1, 0.0]
    waits: list[float] = []
    ended = clock.monotonic()
    done = asyncio.Event()

    async def run() -> None:
        nonlocal ended
        waits.append(clock.monotonic() - ended)
        if len(waits) > len(worked):
            done.set()
            await asyncio.Event().wait()
        await clock.sleep(worked[len(waits) - 1])
        ended = clock.monotonic()
        raise ValueError

    log = build_logger(LogOptions(), clock, stream=io.StringIO())
    loop = Loop("part", run, clock, log).component()
    async with asyncio.TaskGroup() as tasks:
        await loop.start(tasks)
        async with asyncio.timeout(60):
            await done.wait()
        await loop.stop()
    assert waits[1:5] == [1.0, 2.0, 4.0, 8.0]
    assert max(waits) == LOOP_BACKOFF_SECONDS_MAX < 30
    assert waits[-2:] == [LOOP_BACKOFF_SECONDS_MIN, 2 * LOOP_BACKOFF_SECONDS_MIN]
