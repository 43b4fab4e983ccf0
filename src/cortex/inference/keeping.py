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

SPARE_AFTER_SECONDS: Final = 0.1
"""How long all wanted processes have been ready before a spare one starts: several that
are lost together come back first."""


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


class _Spare:
    """A process that has loaded its model, or does so, and waits for a place."""

    def __init__(self, worker: WorkerProcess, starting: asyncio.Task[str]) -> None:
        self.worker = worker
        self._starting = starting

    async def start(self) -> None:
        why = await self._starting
        if why:
            raise WorkerLost(why)

    async def kill(self) -> None:
        """End it, also while it starts."""
        self.worker.kill()
        await self._starting


class Keeper:
    """Owns the processes, and one to spare; on one event loop.

    The spare takes the place of a lost process at once: to start another while the
    processor is busy takes seconds. There is none while no process is wanted.
    """

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
        self._spare: _Spare | None = None
        self._names = count(1)
        self._group: asyncio.TaskGroup | None = None
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Keep the wanted number alive, until cancelled; then end all."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._fill()
                group.create_task(self._stand_by(group))
                await self._watch()
        finally:
            self._group = self._spare = None
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
            if self._spare is not None and self._spare.worker.has_ended():
                await self._drop_spare()
                self._changed.set()
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
            # With a spare the start is paid already: two losses count as one.
            row = failures // 2 if self._spare is not None else failures
            await self._clock.sleep(restart_wait_seconds(row))
            if not place.is_wanted():
                break
            started = self._clock.monotonic()
            if await self._live(place):
                continue
            lived = self._clock.monotonic() - started
            failures = 0 if lived > STEADY_SECONDS else failures + 1

    async def _live(self, place: _Place) -> bool:
        """Run one process until it is gone; tell whether it was meant to go."""
        spare = await self._taken()
        worker = self._made() if spare is None else spare.worker
        place.worker = worker
        try:
            await (worker.start() if spare is None else spare.start())
            if not place.is_wanted():
                return True
            place.ready = True
            self._changed.set()
            self._hooks.moved()
            await worker.serve()
        except WorkerLost as error:
            if not place.is_wanted():
                return True
            self._hooks.lost(worker.name, str(error))
            return False
        else:
            return True
        finally:
            place.ready, place.worker = False, None
            await self._bury(worker)

    def _made(self) -> WorkerProcess:
        """Return a process that is yet to be started."""
        name = f"worker-{next(self._names)}"
        worker = WorkerProcess(
            name, self._spec, clock=self._clock, moved=self._hooks.moved
        )
        self._alive.add(worker)
        return worker

    async def _stand_by(self, group: asyncio.TaskGroup) -> None:
        """Have a spare process whenever all wanted ones are ready, for ever."""
        failures = 0
        while True:
            while not self._lacks_spare():
                self._changed.clear()
                await self._changed.wait()
            await self._clock.sleep(
                SPARE_AFTER_SECONDS + restart_wait_seconds(failures)
            )
            if not self._lacks_spare():
                continue
            worker = self._made()
            starting = group.create_task(_started(worker))
            self._spare = spare = _Spare(worker, starting)
            why = await starting
            failures = failures + 1 if why else 0
            if why and self._spare is spare:
                self._hooks.lost(worker.name, why)
                await self._drop_spare()

    def _lacks_spare(self) -> bool:
        wanted = self.wanted
        return self._spare is None and 0 < wanted <= len(self.ready())

    async def _taken(self) -> _Spare | None:
        """Return the spare for a place; None when there is none that lives."""
        if self._spare is not None and self._spare.worker.has_ended():
            await self._drop_spare()
        spare, self._spare = self._spare, None
        return spare

    async def _drop_spare(self) -> None:
        """End the spare."""
        spare, self._spare = self._spare, None
        if spare is not None:
            await spare.kill()
            await self._bury(spare.worker)

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
        if self._group is not None and not self.wanted:
            self._group.create_task(self._drop_spare())


async def _started(worker: WorkerProcess) -> str:
    """Start a process; return why it is lost, empty when its model is loaded."""
    try:
        await worker.start()
    except WorkerLost as error:
        return str(error)
    return ""
