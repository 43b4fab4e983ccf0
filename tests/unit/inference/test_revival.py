"""A model that failed is tried again beside its callers."""

import asyncio

from cortex.foundation.breaker import Breaker, Permit, Phase
from cortex.inference.lanes import ThreadLanes
from cortex.inference.revival import Revival
from cortex.testing.inference import ControlledText
from cortex.testing.memory import VirtualClock


def opened(clock: VirtualClock) -> Breaker:
    breaker = Breaker(clock)
    while isinstance(permit := breaker.enter(), Permit):
        breaker.settle(permit, ok=False)
    return breaker


async def test_the_breaker_closes_when_a_try_has_a_vector() -> None:
    clock, backend = VirtualClock(), ControlledText()
    breaker = opened(clock)
    lanes = ThreadLanes(backend, clock=clock, threads=1)
    await Revival(lanes, breaker, clock).look()
    assert breaker.state.phase is Phase.CLOSED
    assert isinstance(breaker.enter(), Permit)
    assert len(backend.runs) == 1
    await asyncio.to_thread(lanes.close, 1.0)


async def test_nothing_is_tried_while_all_is_well_or_after_the_end() -> None:
    clock, backend = VirtualClock(), ControlledText()
    lanes = ThreadLanes(backend, clock=clock, threads=1)
    await Revival(lanes, Breaker(clock), clock).look()
    assert not backend.runs
    await asyncio.to_thread(lanes.close, 1.0)
    breaker = opened(clock)
    await Revival(lanes, breaker, clock).look()
    assert breaker.state.phase is Phase.OPEN
