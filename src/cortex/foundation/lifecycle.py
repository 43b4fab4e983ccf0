"""Starts components in order and stops them in reverse, within a time limit.

``Lifecycle`` owns a task group: whatever a component runs in the background runs
there, and nothing outlives the whole. A component that fails to start undoes those
before it; a background task that fails cancels the others and ends the block, whose
exit stops every component.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextvars import Context
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self, TypeVar

from cortex.foundation.clock import Clock

T = TypeVar("T")

DRAIN_SECONDS = 30.0
"""Seconds that all components together may take to stop; then tasks are cancelled."""


class State(StrEnum):
    """Where the whole stands."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the whole.

    Attributes:
        name: for people and for errors.
        start: returns when the part can serve; gets the group for its own tasks.
        stop: returns when the part has finished its work and released everything;
            must be safe to cancel.
    """

    name: str
    start: Callable[[asyncio.TaskGroup], Awaitable[None]]
    stop: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class StopReport:
    """How a stop went.

    Attributes:
        cut_off: names of components that did not stop in time.
        failed: name of a component → what it raised while stopping.
    """

    cut_off: tuple[str, ...]
    failed: dict[str, str]


class Lifecycle:
    """Runs components as ``async with``; leaving the block drains and stops them."""

    def __init__(
        self,
        components: Sequence[Component],
        *,
        clock: Clock,
        drain_seconds: float = DRAIN_SECONDS,
        on_state: Callable[[State], None] | None = None,
    ) -> None:
        """Name the parts in the order of starting.

        Args:
            components: a part may use those before it.
            clock: measures the drain.
            drain_seconds: for all parts together.
            on_state: called with each new state; must not raise.
        """
        self._components = tuple(components)
        self._clock = clock
        self._drain_seconds = drain_seconds
        self._on_state = on_state
        self._started: list[Component] = []
        self._tasks = _OwnedTasks()
        self.state = State.STOPPED
        self.report = StopReport((), {})

    async def __aenter__(self) -> Self:
        """Start every component; if one fails, stop those before it and raise."""
        self._enter(State.STARTING)
        self._tasks = _OwnedTasks()
        await self._tasks.__aenter__()
        try:
            for component in self._components:
                await component.start(self._tasks)
                self._started.append(component)
        except BaseException as error:
            await self._finish(error)
            raise
        self._enter(State.READY)
        return self

    async def __aexit__(
        self, kind: object, error: BaseException | None, trace: object
    ) -> None:
        """Drain: stop in reverse order, then cancel what is left.

        ``report`` says afterwards who was cut off or failed.
        """
        await self._finish(error)

    async def _finish(self, error: BaseException | None) -> None:
        self._enter(State.DRAINING)
        try:
            await self._stop_all()
        finally:
            try:
                await self._end_tasks(error)
            finally:
                self._enter(State.STOPPED)

    async def _stop_all(self) -> None:
        deadline = self._clock.monotonic() + self._drain_seconds
        cut_off: list[str] = []
        failed: dict[str, str] = {}
        while self._started:
            component = self._started.pop()
            left = deadline - self._clock.monotonic()
            stopping = await self._stop_one(component, left)
            if stopping.cancelled():
                cut_off.append(component.name)
            elif stopping.result():
                failed[component.name] = stopping.result()
        self.report = StopReport(tuple(cut_off), failed)

    async def _stop_one(
        self, component: Component, seconds: float
    ) -> "asyncio.Task[str]":
        """Stop one part, or cancel its stopping when the time runs out."""
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(_call(component.stop))
            timing = group.create_task(self._clock.sleep(max(0.0, seconds)))
            await asyncio.wait({stopping, timing}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            timing.cancel()
        return stopping

    async def _end_tasks(self, error: BaseException | None) -> None:
        """Cancel what still runs, and raise what background tasks raised."""
        self._tasks.cancel_all()
        if isinstance(error, asyncio.CancelledError):
            await self._tasks.__aexit__(type(error), error, error.__traceback__)
        else:
            # Any other error leaves the block by itself, not wrapped in a group.
            await self._tasks.__aexit__(None, None, None)

    def _enter(self, state: State) -> None:
        self.state = state
        if self._on_state is not None:
            self._on_state(state)


class _OwnedTasks(asyncio.TaskGroup):
    """A task group that can cancel its tasks without failing."""

    def __init__(self) -> None:
        super().__init__()
        self._owned: set[asyncio.Task[Any]] = set()

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> "asyncio.Task[T]":
        task = super().create_task(coro, name=name, context=context)
        self._owned.add(task)
        task.add_done_callback(self._owned.discard)
        return task

    def cancel_all(self) -> None:
        for task in tuple(self._owned):
            task.cancel()


async def _call(stop: Callable[[], Awaitable[None]]) -> str:
    """Return an empty text, or what the stop raised: the others must stop too."""
    try:
        await stop()
    except Exception as error:  # noqa: BLE001 - app supervisor: reported, not lost
        return f"{type(error).__name__}: {error}"
    return ""
