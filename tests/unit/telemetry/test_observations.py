"""Kept traces and errors go to their stores in good time."""

import asyncio
import contextlib
import random
from collections.abc import Sequence

import pytest

from cortex.foundation.errors import StorageFull
from cortex.telemetry.errors import ErrorCollector, ErrorGroup
from cortex.telemetry.metrics import Metrics
from cortex.telemetry.observations import FLUSH_SECONDS, GATHER_SECONDS, Observations
from cortex.telemetry.tracing.model import TraceRecord
from cortex.telemetry.tracing.sampling import Sampling
from cortex.telemetry.tracing.tracer import MANY_TRACES, Tracer
from cortex.testing.memory import VirtualClock


class Stores:
    """Both stores, in memory."""

    def __init__(self) -> None:
        self.writes: list[list[str]] = []
        self.groups: list[ErrorGroup] = []

    async def keep(self, traces: Sequence[TraceRecord]) -> None:
        self.writes.append([trace.top.name for trace in traces])

    async def add(self, groups: Sequence[ErrorGroup]) -> None:
        self.groups += groups


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def tracer(clock: VirtualClock) -> Tracer:
    return Tracer(clock, random.Random(3).getrandbits, Sampling(ratio=1.0))


async def written(
    clock: VirtualClock, tracer: Tracer, seconds: float, error: str = ""
) -> list[list[str]]:
    """Return what is in the store so long after a request."""
    stores = Stores()
    collector = ErrorCollector(clock)
    metrics = Metrics(brand="b", version="1")
    observations = Observations(tracer, collector, stores, stores, clock, metrics)  # type: ignore[arg-type]
    running = asyncio.create_task(observations.run())
    await asyncio.sleep(0)
    with tracer.root("request") as root:
        if error:
            root.fail(error)
    until = clock.monotonic() + seconds
    while clock.monotonic() < until:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    return stores.writes


async def test_an_ordinary_trace_waits_for_company(clock, tracer):
    assert await written(clock, tracer, 2 * FLUSH_SECONDS) == []
    assert await written(clock, tracer, GATHER_SECONDS + 2 * FLUSH_SECONDS) == [
        ["request", "request"]
    ]


async def test_the_trace_of_an_error_is_written_at_the_next_occasion(clock, tracer):
    assert await written(clock, tracer, 2 * FLUSH_SECONDS, "BOOM") == [["request"]]


async def test_many_traces_are_company_enough(clock, tracer):
    for _ in range(MANY_TRACES):
        with tracer.root("earlier"):
            pass
    [block] = await written(clock, tracer, 2 * FLUSH_SECONDS)
    assert len(block) == MANY_TRACES + 1


async def test_a_store_that_fails_for_a_while_costs_no_count(clock, tracer):
    class Full(Stores):
        fails = 2

        async def add(self, groups: Sequence[ErrorGroup]) -> None:
            if self.fails:
                self.fails -= 1
                raise StorageFull("full")
            await super().add(groups)

    stores, told = Full(), []
    collector = ErrorCollector(clock)
    observations = Observations(
        tracer, collector, stores, stores, clock,  # type: ignore[arg-type]
        Metrics(brand="b", version="1"), None, told.extend,
    )  # fmt: skip
    for kind in (KeyError, IndexError, KeyError):
        collector.caught(kind(), "GET /x")
        with contextlib.suppress(StorageFull):
            await observations.flush()
    counts: dict[str, int] = {}
    for group in stores.groups:
        counts[group.type] = counts.get(group.type, 0) + group.count
    assert counts == {"KeyError": 2, "IndexError": 1}
    assert len(told) == 3
