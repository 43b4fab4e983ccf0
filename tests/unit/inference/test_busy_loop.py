"""Texts go on being embedded while the event loop is busy with something else."""

import asyncio
import threading

from cortex.foundation.clock import SystemClock
from cortex.inference.lanes import QUEUED_PER_LANE, ThreadLanes
from cortex.inference.ports import Vector
from cortex.testing.inference import ControlledText


class Counted(ControlledText):
    """Says when it has embedded as many texts as one turn hands out."""

    def __init__(self) -> None:
        super().__init__()
        self.many = threading.Event()

    def embed(self, text: str) -> Vector:
        vector = super().embed(text)
        if len(self.runs) == QUEUED_PER_LANE:
            self.many.set()
        return vector


async def test_a_lane_has_more_to_do_before_the_loop_comes_again() -> None:
    backend = Counted()
    lanes = ThreadLanes(backend, clock=SystemClock(), threads=1)
    texts = [lanes.submit(f"text {number}") for number in range(QUEUED_PER_LANE + 5)]
    # The loop does nothing else meanwhile, as when it is busy.
    assert backend.many.wait(60)
    await asyncio.gather(*texts)
    assert backend.runs == [f"text {number}" for number in range(QUEUED_PER_LANE + 5)]
    await asyncio.to_thread(lanes.close, 5.0)


async def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    backend = Counted()
    backend.gate.clear()
    lanes = ThreadLanes(backend, clock=SystemClock(), threads=1)
    first, given_up, last = (lanes.submit(text) for text in ("a", "b", "c"))
    given_up.cancel()
    await asyncio.sleep(0)
    backend.gate.set()
    await asyncio.gather(first, last)
    assert backend.runs == ["a", "c"]
    await asyncio.to_thread(lanes.close, 5.0)
