"""Keeps as many worker processes alive as are wanted."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Final

from cortex.foundation.clock import Clock
from cortex.foundation.errors import Unavailable
from cortex.inference.processes import Job, WorkerLost, WorkerProcess, WorkerSpec
from cortex.inference.watching import TICK_SECONDS, hangs, restart_wait_seconds

SETTLE_SECONDS_MAX: Final = 15.0
"""How long a change of their number waits for new processes to load their model."""

STEADY_SECONDS: Final = 10.0
"""A process that lived so long was sound; its end starts no row of failures."""

STOP_SECONDS_MAX: Final = 5.0
"""How long a process that is to stop may take for what it has."""


@dataclass(frozen=True, slots=True)
class KeeperHooks:
    """What the keeper tells its owner.

    Attributes:
        moved: there may be room for more texts.
        returned: texts of a process that is gone, to be done elsewhere.
        lost: which process was lost, and why.
    """

    moved: Callable[[], None]
    returned: Callable[[Sequence[Job]], None]
    lost: Callable[[str, str], None]


class _Place:
    """One process that is wanted, whichever process fills it now."""

    def __init__(self) -> None:
        self.worker: WorkerProcess | None = None
        self.ready = False
        self._wanted = True

    def is_wanted(self) -> bool:
        return self._wanted

    def retire(self) -> None:
        """Let the process finish what it has, but not for ever."""
        self._wanted = False
        if self.worker is None:
            return
        self.worker.ask_to_stop()
        patience = STOP_SECONDS_MAX if self.ready else 0.0
        asyncio.get_running_loop().call_later(patience, self.worker.kill)


class Keeper:
    """Owns the processes; on one event loop."""

    def __init__(
        self, spec: WorkerSpec, wanted: int, *, clock: Clock, hooks: KeeperHooks
    ) -> None:
        """Start nothing before `run`."""
        self.wanted = wanted
        self._spec = spec
        self._clock = clock
        self._hooks = hooks
        self._places: list[_Place] = []
        self._alive: set[WorkerProcess] = set()
        self._names = count(1)
        self._group: asyncio.TaskGroup | None = None
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Keep the wanted number alive, until cancelled; then end all."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._fill()
                await self._watch()
        finally:
            self._group = None
            self._places.clear()
            # Those whose own end was cut short by the cancellation.
            for worker in tuple(self._alive):
                await self._bury(worker)

    async def want(self, number: int) -> None:
        """Start or stop processes; return once the wanted number is ready.

        Raises:
            Unavailable: they were not ready in time, or `run` does not run.
        """
        self.wanted = number
        if self._group is None:
            message = "worker processes are not kept now: the server starts or stops"
            raise Unavailable(message, retry_after_seconds=1.0)
        self._fill()
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS_MAX):
                while len(self.ready()) < number:
                    self._changed.clear()
                    await self._changed.wait()
            return
        message = f"{len(self.ready())} of {number} worker processes are ready"
        hint = "They are started again and again; the log says why they end."
        raise Unavailable(message, hint=hint, retry_after_seconds=5.0)

    def ready(self) -> list[WorkerProcess]:
        """Return the processes that take texts."""
        return [worker for worker, ready in self.all() if ready]

    def all(self) -> list[tuple[WorkerProcess, bool]]:
        """Return every process and whether it takes texts."""
        return [(p.worker, p.ready) for p in self._places if p.worker is not None]

    async def _watch(self) -> None:
        """Ask every process for signs of life, for ever; end those that give none."""
        while True:
            while not self._places:
                self._changed.clear()
                await self._changed.wait()
            planned = self._clock.monotonic() + TICK_SECONDS
            await self._clock.sleep(TICK_SECONDS)
            now = self._clock.monotonic()
            for worker in self.ready():
                why = hangs(worker.signs(), now, max(0.0, now - planned))
                if why is None:
                    worker.ask()
                else:
                    worker.kill(why)

    async def _keep(self, place: _Place) -> None:
        """Fill a place with one process after the other while it is wanted."""
        failures = 0
        while place.is_wanted():
            await self._clock.sleep(restart_wait_seconds(failures))
            if not place.is_wanted():
                break
            name = f"worker-{next(self._names)}"
            started = self._clock.monotonic()
            if await self._live(place, name):
                continue
            lived = self._clock.monotonic() - started
            failures = 0 if lived > STEADY_SECONDS else failures + 1

    async def _live(self, place: _Place, name: str) -> bool:
        """Run one process until it is gone; tell whether it was meant to go."""
        worker = WorkerProcess(
            name, self._spec, clock=self._clock, moved=self._hooks.moved
        )
        place.worker = worker
        self._alive.add(worker)
        try:
            await worker.start()
            if not place.is_wanted():
                return True
            place.ready = True
            self._changed.set()
            self._hooks.moved()
            await worker.serve()
        except WorkerLost as error:
            if not place.is_wanted():
                return True
            self._hooks.lost(name, str(error))
            return False
        else:
            return True
        finally:
            place.ready, place.worker = False, None
            await self._bury(worker)

    async def _bury(self, worker: WorkerProcess) -> None:
        """Let go of a process; hand back its texts."""
        self._hooks.returned(await worker.reap())
        self._alive.discard(worker)

    def _fill(self) -> None:
        """Make as many places as are wanted."""
        while self._group is not None and len(self._places) < self.wanted:
            place = _Place()
            self._places.append(place)
            self._group.create_task(self._keep(place))
            self._changed.set()
        for place in self._places[self.wanted :]:
            place.retire()
        del self._places[self.wanted :]
