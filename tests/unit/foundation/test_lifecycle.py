"""Components start in order, stop in reverse, and nothing outlives the whole."""

import asyncio

import pytest

from cortex.foundation.lifecycle import Component, Lifecycle, State
from cortex.testing.clock import ManualClock


class Journal:
    """Writes down what happens to components."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def component(
        self, name: str, *, fails: str = "", background: bool = False
    ) -> Component:
        async def start(tasks: asyncio.TaskGroup) -> None:
            if fails == "start":
                raise RuntimeError(name)
            if background:
                tasks.create_task(self._serve(name))
            self.lines.append(f"+{name}")

        async def stop() -> None:
            self.lines.append(f"-{name}")
            if fails == "stop":
                raise RuntimeError(name)
            if fails == "hang":
                await asyncio.Event().wait()

        return Component(name, start, stop)

    async def _serve(self, name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.lines.append(f"end {name}")


async def test_order_and_states() -> None:
    journal = Journal()
    states: list[State] = []
    lifecycle = Lifecycle(
        [journal.component("a"), journal.component("b", background=True)],
        clock=ManualClock(),
        on_state=states.append,
    )
    assert lifecycle.state is State.STOPPED
    async with lifecycle:
        await asyncio.sleep(0)
        assert lifecycle.state is State.READY
    assert journal.lines == ["+a", "+b", "-b", "-a", "end b"]
    assert states == [State.STARTING, State.READY, State.DRAINING, State.STOPPED]


async def test_a_failed_start_undoes_what_was_started() -> None:
    journal = Journal()
    parts = [
        journal.component("a", background=True),
        journal.component("b", fails="start"),
        journal.component("c"),
    ]
    lifecycle = Lifecycle(parts, clock=ManualClock())
    with pytest.raises(RuntimeError, match="b"):
        async with lifecycle:
            pytest.fail("must not become ready")
    assert journal.lines[:2] == ["+a", "-a"]
    assert lifecycle.state is State.STOPPED


async def test_a_failing_stop_is_reported_and_the_others_stop() -> None:
    journal = Journal()
    parts = [journal.component("a"), journal.component("b", fails="stop")]
    lifecycle = Lifecycle(parts, clock=ManualClock())
    async with lifecycle:
        pass
    assert journal.lines == ["+a", "+b", "-b", "-a"]
    assert lifecycle.report.failed == {"b": "RuntimeError: b"}


async def test_a_hanging_stop_is_cut_off_after_the_drain_time() -> None:
    journal = Journal()
    clock = ManualClock()
    parts = [journal.component("a"), journal.component("b", fails="hang")]
    lifecycle = Lifecycle(parts, clock=clock, drain_seconds=30)

    async def pass_time() -> None:
        while lifecycle.state is not State.STOPPED:
            await asyncio.sleep(0)
            if clock.sleepers:
                clock.advance(31)

    async with asyncio.TaskGroup() as group, lifecycle:
        group.create_task(pass_time())
    assert lifecycle.report.cut_off == ("b",)
    assert journal.lines[-1] == "-a"


async def test_an_error_in_the_block_leaves_as_it_is() -> None:
    journal = Journal()
    lifecycle = Lifecycle([journal.component("a")], clock=ManualClock())

    async def fail() -> None:
        async with lifecycle:
            message = "inside"
            raise ValueError(message)

    with pytest.raises(ValueError, match="inside"):
        await fail()
    assert journal.lines == ["+a", "-a"]


async def test_a_failing_background_task_brings_the_whole_down_in_order() -> None:
    journal = Journal()

    async def start(tasks: asyncio.TaskGroup) -> None:
        async def fail() -> None:
            raise RuntimeError("background")

        tasks.create_task(fail())

    async def stop() -> None:
        journal.lines.append("-x")

    parts = [journal.component("a"), Component("x", start, stop)]
    lifecycle = Lifecycle(parts, clock=ManualClock())
    with pytest.raises(ExceptionGroup) as failure:
        async with lifecycle:
            await asyncio.Event().wait()
    assert failure.group_contains(RuntimeError, match="background")
    assert journal.lines == ["+a", "-x", "-a"]
    assert lifecycle.state is State.STOPPED


async def test_cancelling_the_block_stops_everything() -> None:
    journal = Journal()
    lifecycle = Lifecycle(
        [journal.component("a", background=True)], clock=ManualClock()
    )
    entered = asyncio.Event()

    async def live() -> None:
        async with lifecycle:
            entered.set()
            await asyncio.Event().wait()

    living = asyncio.gather(live())
    await entered.wait()
    living.cancel()
    with pytest.raises(asyncio.CancelledError):
        await living
    assert journal.lines == ["+a", "-a", "end a"]


async def test_it_can_run_again() -> None:
    journal = Journal()
    lifecycle = Lifecycle([journal.component("a")], clock=ManualClock())
    for _ in range(2):
        async with lifecycle:
            assert lifecycle.state is State.READY
    assert journal.lines == ["+a", "-a", "+a", "-a"]
