"""The running whole: what must be open, what runs beside requests, and how it stops.

Embeddable: ``async with app.running():`` starts everything in order and stops it in
the reverse order, also when a part fails to start.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from cortex.foundation.clock import Clock
from cortex.foundation.lifecycle import DRAIN_SECONDS, Component, Lifecycle, State
from cortex.telemetry.logs import Logger
from cortex.usecases.catalog import UseCases

LOOP_BACKOFF_SECONDS_MIN = 1.0
"""Wait before a failed background loop runs again."""

LOOP_BACKOFF_SECONDS_MAX = 20.0
"""Longest wait: a part that is broken for good must not fill the log, and one that can
work again is to do so within half a minute."""


class Phase:
    """The one word about the process that probes and middleware ask for."""

    def __init__(self) -> None:
        """Begin as ``starting``."""
        self._state = State.STARTING

    @property
    def state(self) -> State:
        """Return where the process stands."""
        return self._state

    def enter(self, state: State) -> None:
        """Go on to a later state; a draining process never gets ready again."""
        order = tuple(State)
        if order.index(state) > order.index(self._state):
            self._state = state

    def drain(self) -> None:
        """Say *draining* from now on."""
        self.enter(State.DRAINING)


class App:
    """Owns every open thing and every background task of one process."""

    def __init__(
        self,
        use_cases: UseCases,
        components: Sequence[Component],
        *,
        phase: Phase,
        clock: Clock,
        drain_seconds: float = DRAIN_SECONDS,
        on_drain: Callable[[], None] | None = None,
    ) -> None:
        """Take the components in the order they are started.

        ``on_drain`` is called when draining begins, to end what would not end by
        itself, such as event streams.
        """
        self.use_cases = use_cases
        self.phase = phase
        self._components = tuple(components)
        self._clock = clock
        self._drain_seconds = drain_seconds
        self._on_drain = on_drain

    def drain(self) -> None:
        """Say *draining* from now on, and end what is endless."""
        self.phase.drain()
        if self._on_drain is not None:
            self._on_drain()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["App"]:
        """Start, hand over, and stop whatever was started."""
        lifecycle = Lifecycle(
            self._components,
            clock=self._clock,
            drain_seconds=self._drain_seconds,
            on_state=self.phase.enter,
        )
        async with lifecycle:
            yield self


def opened(
    name: str, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]
) -> Component:
    """Return a component that is opened and closed, without tasks of its own."""

    async def begin(_tasks: asyncio.TaskGroup) -> None:
        await start()

    return Component(name, begin, stop)


async def nothing() -> None:
    """Start or stop a part that needs neither."""


class Loop:
    """Work that goes on beside requests; run again after any failure."""

    def __init__(
        self, name: str, run: Callable[[], Awaitable[None]], clock: Clock, log: Logger
    ) -> None:
        """Take what to run, for ever."""
        self._name = name
        self._run = run
        self._clock = clock
        self._log = log
        self._task: asyncio.Task[None] | None = None

    def component(self) -> Component:
        """Return it as a part of the whole."""
        return Component(self._name, self._start, self._stop)

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        self._task = tasks.create_task(self._kept_up(), name=self._name)

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _kept_up(self) -> None:
        wait = LOOP_BACKOFF_SECONDS_MIN
        while True:
            began = self._clock.monotonic()
            try:
                await self._run()
            except Exception:  # noqa: BLE001 - app supervisor: logged, and run again
                if self._clock.monotonic() - began > LOOP_BACKOFF_SECONDS_MAX:
                    wait = LOOP_BACKOFF_SECONDS_MIN  # It had worked meanwhile.
                self._log.error(
                    "loop failed", loop=self._name, retry_seconds=wait, exc_info=True
                )
                if self._task is None:
                    return  # A task group that fails while it is stopped says so only.
            await self._clock.sleep(wait)
            wait = min(wait * 2, LOOP_BACKOFF_SECONDS_MAX)
