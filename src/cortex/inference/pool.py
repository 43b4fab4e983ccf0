"""Worker processes beside the threads of this process, over one text model.

Each text goes to the replica that would have it done first. A process that ends, or
gives no sign of life, is replaced; its texts are tried once more elsewhere and nobody
else notices. How many processes there are is changed while everything runs (`apply`),
by an operator or by a control plane.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError
from cortex.inference.batching import BatchPolicy
from cortex.inference.choice import ShortestDelay
from cortex.inference.errors import EmbeddingFailed, UnknownModel
from cortex.inference.keeping import Keeper, KeeperHooks
from cortex.inference.lanes import IN_PROCESS, Observe, Run, ThreadLanes
from cortex.inference.ports import Outcome, ReplicaChooser, ReplicaView
from cortex.inference.processes import Job, WorkerProcess, WorkerSpec

WORKERS_MAX: Final = 64
"""Worker processes of one server: each takes about 100 MB."""

LOSSES_MAX: Final = 2
"""Replicas lost with one text before it is given up: it may be the cause."""


SAVING_WAIT_SECONDS: Final = 0.02
"""How long a text waits for company while power is saved."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A change of the number of worker processes.

    Attributes:
        target: the model whose replicas they are.
        before: processes wanted before.
        after: processes wanted now.
        reason: who or what asked for it, and why.
    """

    target: str
    before: int
    after: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker process as it is shown.

    Attributes:
        state: ``starting``, ``ready`` or ``stopping``.
    """

    name: str
    pid: int | None
    state: str
    outstanding: int
    seconds_each: float


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The pool as it is shown.

    Attributes:
        target: the model.
        wanted: processes asked for.
        losses: processes that ended or hung since the start.
        retries: texts that were tried again because of that.
        backlog: texts that wait for any replica.
    """

    target: str
    wanted: int
    losses: int
    retries: int
    backlog: int
    workers: tuple[WorkerStatus, ...]


@dataclass(frozen=True, slots=True)
class PoolHooks:
    """Who is asked and told; each may belong to a control plane.

    Attributes:
        chooser: chooses the replica of each text; None for the shortest delay.
        observe: told how each text went; must not raise.
        decided: told of each change of the number of processes; must not raise.
        lost: told which process was lost and why; must not raise.
    """

    chooser: ReplicaChooser | None = None
    observe: Observe | None = None
    decided: Callable[[Applied], object] | None = None
    lost: Callable[[str, str], object] | None = None


class WorkerPool:
    """Implements `Lanes` with threads and processes; on one event loop."""

    def __init__(
        self,
        inside: ThreadLanes,
        spec: WorkerSpec,
        *,
        workers: int,
        clock: Clock,
        hooks: PoolHooks | None = None,
        workers_max: int = WORKERS_MAX,
    ) -> None:
        """Take the threads; processes start with `run`, at most ``workers_max``."""
        self._inside = inside
        self._spec = spec
        self._clock = clock
        self._hooks = hooks or PoolHooks()
        self._chooser = self._hooks.chooser or ShortestDelay()
        self._policy = BatchPolicy()
        self._workers_max = workers_max
        self._resting = False
        self._backlog: deque[Job] = deque()
        self._keeper = Keeper(
            spec,
            workers,
            clock=clock,
            hooks=KeeperHooks(self._moved, self._try_again, self._lost),
        )
        self._losses = self._retries = 0
        self._closed = False

    @property
    def count(self) -> int:
        """Return how many texts are worked on at once."""
        beside = 0 if self._resting else len(self._keeper.ready())
        return self._inside.count + beside

    def submit(self, text: str) -> asyncio.Future[Run]:
        """Queue a text for whichever replica is free first.

        Raises:
            RuntimeError: the pool is closed.
        """
        if self._closed:
            message = "the pool is closed"
            raise RuntimeError(message)
        future: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        job = Job(text, future, self._clock.monotonic())
        future.add_done_callback(partial(self._tell, job))
        self._backlog.append(job)
        self._hand_out()
        return future

    def close(self, grace_seconds: float) -> None:
        """End the threads; the processes ended with `run`."""
        self._closed = True
        self._inside.close(grace_seconds)

    def save_power(self, low: bool) -> None:  # noqa: FBT001 - a switch
        """Work on one thread and in fuller batches, or as before."""
        self._resting = low
        self._policy = BatchPolicy(wait_seconds=SAVING_WAIT_SECONDS if low else 0.0)
        self._inside.limit(1 if low else None)
        self._moved()

    async def apply(self, target: str, replicas: int, reason: str) -> Applied:
        """Start or stop processes until there are ``replicas``; return once they work.

        Raises:
            UnknownModel: the target is not this pool's model.
            ValidationError: the number is out of range.
            Unavailable: new processes did not come up in time; the pool goes on trying.
        """
        if target != self._spec.model:
            known = [self._spec.model]
            message = f"no pool runs the model {target[:80]!r}"
            raise UnknownModel(message, hint=f"There is {known[0]}.", known=known)
        limit = self._workers_max
        if not 0 <= replicas <= limit:
            message = f"0 to {limit} worker processes can be asked for"
            hint = "More than two a processor only take one another's time."
            raise ValidationError(message, hint=hint, field="replicas", limit=limit)
        applied = Applied(target, self._keeper.wanted, replicas, reason)
        if self._hooks.decided is not None:
            self._hooks.decided(applied)
        await self._keeper.want(replicas)
        return applied

    async def run(self) -> None:
        """Keep the wanted number of processes alive, until cancelled."""
        try:
            await self._keeper.run()
        finally:
            self._hand_out()

    def status(self) -> PoolStatus:
        """Return what people are shown."""
        return PoolStatus(
            target=self._spec.model,
            wanted=self._keeper.wanted,
            losses=self._losses,
            retries=self._retries,
            backlog=len(self._backlog),
            workers=tuple(
                _shown(worker, ready=ready) for worker, ready in self._keeper.all()
            ),
        )

    def _hand_out(self) -> None:
        """Give waiting texts to replicas that have room."""
        workers = {worker.name: worker for worker in self._keeper.ready()}
        while self._backlog:
            job = self._backlog[0]
            if not job.future.done():
                name = self._choose(list(workers.values()), job)
                if name is None:
                    return
                self._give(job, workers.get(name))
            self._backlog.popleft()

    def _choose(self, workers: Sequence[WorkerProcess], job: Job) -> str | None:
        views: list[ReplicaView] = [self._inside.view()]
        if not self._resting:
            views += (worker.view() for worker in workers)
        name = self._chooser.choose(views, frozenset(job.lost_with))
        able = {view.name for view in views if view.room > 0}
        return name if name in able else None

    def _give(self, job: Job, worker: WorkerProcess | None) -> None:
        if worker is not None:
            job.replica = worker.name
            worker.offer(job)
            return
        job.replica = IN_PROCESS
        try:
            running = self._inside.submit(job.text)
        except RuntimeError:
            job.future.cancel()
            return
        job.future.add_done_callback(lambda _: running.cancel())
        running.add_done_callback(partial(self._done_inside, job))

    def _done_inside(self, job: Job, running: asyncio.Future[Run]) -> None:
        if running.cancelled():
            job.future.cancel()
        elif job.future.done():
            running.exception()
        elif (error := running.exception()) is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(running.result())
        self._hand_out()

    def _try_again(self, jobs: Sequence[Job]) -> None:
        """Take back the texts of a lost process, ahead of those that came later."""
        for job in reversed(jobs):
            if len(job.lost_with) < LOSSES_MAX:
                self._retries += bool(job.lost_with)
                self._backlog.appendleft(job)
                continue
            message = f"{self._spec.model}: two processes ended over one text"
            job.future.set_exception(EmbeddingFailed(message, model=self._spec.model))
        self._hand_out()

    def _tell(self, job: Job, future: asyncio.Future[Run]) -> None:
        if self._hooks.observe is None or future.cancelled():
            return
        seconds = self._clock.monotonic() - job.since
        self._hooks.observe(
            Outcome(
                self._spec.model,
                job.replica,
                seconds,
                ok=future.exception() is None,
                retried=bool(job.lost_with),
            )
        )

    def _lost(self, name: str, why: str) -> None:
        self._losses += 1
        if self._hooks.lost is not None:
            self._hooks.lost(name, why)

    def _moved(self) -> None:
        """Use what a process that is ready, or has room again, offers."""
        for worker in self._keeper.ready():
            worker.policy = self._policy
            worker.pump()
        self._hand_out()


def _shown(worker: WorkerProcess, *, ready: bool) -> WorkerStatus:
    view = worker.view()
    state = "stopping" if worker.stopping else "ready" if ready else "starting"
    return WorkerStatus(
        worker.name, worker.pid, state, view.outstanding, view.seconds_each
    )
