"""The server's side of the processes that read files.

A process is started with the first file and ends when none came for a while, so that
its models cost memory only while they are used. One that crashes, hangs or answers
nonsense is ended; the caller is told, the next caller gets a new one. The file itself
is handed over as an open descriptor.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, Final

from cortex.foundation.clock import Clock
from cortex.foundation.errors import Overloaded
from cortex.inference.engine import ModelStatus
from cortex.inference.errors import EmbeddingFailed, EmbeddingUnavailable
from cortex.inference.media import protocol
from cortex.inference.media.catalogue import MEDIA_MODELS
from cortex.inference.media.kinds import Reading, Sniffed, Want
from cortex.telemetry.tracing.spans import adopt

PROCESSES: Final = 2
"""Files read at the same time; about 0.4 GB each with every model loaded."""

WAITING_MAX: Final = 16
"""Files that may wait for a process: some seconds of work."""

DEADLINE_SECONDS: Final = 90.0
"""Time for one file, from its turn to its answer."""

IDLE_SECONDS: Final = 300.0
"""A process that had nothing to do for so long is ended."""

STOP_SECONDS: Final = 2.0
"""How long an ended process may take to go before it is killed."""

ABANDONED_SECONDS: Final = 1.0
"""Time to end by itself for work that nobody waits for any more; a process that is
ended has to load its models anew."""

_TRIES: Final = 3
"""Processes that a file is offered to when they end without having looked at it."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How much of the machine reading files may take.

    Attributes:
        environment: of the processes; what is not named here they do not see.
    """

    processes: int = PROCESSES
    waiting_max: int = WAITING_MAX
    deadline_seconds: float = DEADLINE_SECONDS
    idle_seconds: float = IDLE_SECONDS
    abandoned_seconds: float = ABANDONED_SECONDS
    environment: Mapping[str, str] = field(default_factory=dict)
    module: str = "cortex.inference.media.child"


@dataclass(slots=True)
class _Tally:
    """What one model did since the start, in all processes."""

    hits: int = 0
    misses: int = 0
    load_seconds: float = 0.0
    evictions: int = 0


@dataclass(slots=True, eq=False)
class _Job:
    """One file, until it is read; ``process`` is the one that reads it now."""

    file: BinaryIO
    sniffed: Sniffed
    wants: frozenset[Want]
    process: "_Process | None" = None
    abandoned: bool = False


class _NeverReadError(Exception):
    """The process had ended before it took the question."""


class _Process:
    """One process and the socket to it; used by one thread at a time."""

    def __init__(self, options: WorkerOptions) -> None:
        own, other = socket.socketpair()
        own.settimeout(options.deadline_seconds)
        with contextlib.ExitStack() as undone, other:
            undone.callback(own.close)
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", options.module, str(other.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=dict(options.environment),
                pass_fds=(other.fileno(),),
            )
            undone.pop_all()
        self._link = own
        self.models: set[str] = set()

    @property
    def pid(self) -> int:
        """Return the number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Return whether it still runs."""
        return self._process.poll() is None

    def ask(self, file: BinaryIO, sniffed: Sniffed, wants: frozenset[Want]) -> Reading:
        """Return the reading; blocking.

        Raises:
            EmbeddingFailed: it crashed, hung or was killed.
            _NeverReadError: it was gone before; the file is not to blame.
        """
        try:
            message = protocol.question(sniffed, wants)
            protocol.send(self._link, message, file.fileno())
            received = protocol.receive(self._link)
            if received is not None:
                adopt(protocol.spans(received[0]))
        except TimeoutError as error:
            self.stop(0.0)
            message_text = "reading the file takes too long"
            raise EmbeddingFailed(message_text) from error
        except (BrokenPipeError, ConnectionResetError) as error:
            # unix(7): so ends a socket whose other side left without reading from it.
            self.stop(0.0)
            raise _NeverReadError from error
        except (OSError, ValueError) as error:
            self.stop(0.0)
            raise _crashed() from error
        if received is None:
            self.stop(0.0)
            raise _crashed()
        return protocol.read_answer(received[0])

    def kill(self) -> None:
        """End it now; whoever waits for its answer gets none."""
        self._process.kill()

    def stop(self, grace_seconds: float) -> None:
        """End it; idempotent."""
        self._link.close()
        try:
            self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _crashed() -> EmbeddingFailed:
    message = "the process that reads files ended on this one"
    hint = "The file is broken or hostile; others are not affected."
    return EmbeddingFailed(message, hint=hint)


class MediaWorkers:
    """Reads files in a few processes; belongs to one event loop."""

    def __init__(self, clock: Clock, options: WorkerOptions | None = None) -> None:
        """Start nothing yet."""
        self._clock = clock
        self._options = options or WorkerOptions()
        self._threads = ThreadPoolExecutor(self._options.processes, "media")
        self._lock = threading.Lock()
        self._idle: list[tuple[float, _Process]] = []
        self._busy: set[_Process] = set()
        self._waiting = 0
        self._closed = False
        self._tallies = {
            name: _Tally() for name, model in MEDIA_MODELS.items() if model.installed
        }

    def status(self) -> list[ModelStatus]:
        """Return every installed model; loaded means in one process at least."""
        with self._lock:
            living = [*self._busy, *(process for _, process in self._idle)]
            loaded = {name for process in living for name in process.models}
            users = {name for process in self._busy for name in process.models}
        return [
            ModelStatus(
                info=model.info,
                modalities=model.modalities,
                loaded=name in loaded,
                pinned=False,
                users=int(name in users),
                hits=tally.hits,
                misses=tally.misses,
                loads=tally.misses,
                load_seconds=tally.load_seconds,
                evictions=tally.evictions,
            )
            for name, tally in self._tallies.items()
            for model in (MEDIA_MODELS[name],)
        ]

    @property
    def working(self) -> int:
        """Return how many processes read a file now."""
        with self._lock:
            return len(self._busy)

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the numbers of the processes that wait for work."""
        with self._lock:
            return tuple(process.pid for _, process in self._idle)

    async def read(
        self, file: BinaryIO, sniffed: Sniffed, wants: frozenset[Want]
    ) -> Reading:
        """Return what was asked of an open file.

        When the caller is cancelled its file loses its turn, and a process that is at
        work on it soon its life.

        Raises:
            Overloaded: too many files wait already.
            EmbeddingUnavailable: the server is stopping.
            EmbeddingFailed: the process crashed or hung on this file.
            (and what ``MediaReader.read`` raises)
        """
        if self._closed:
            raise _stopping()
        if self._waiting >= self._options.waiting_max + self._options.processes:
            message = "too many files wait to be read"
            raise Overloaded(message, retry_after_seconds=1.0)
        self._waiting += 1
        # The caller may leave and close its file while a process still reads it.
        job = _Job(os.fdopen(os.dup(file.fileno()), "rb"), sniffed, wants)
        turn = self._threads.submit(copy_context().run, self._ask, job)
        running = asyncio.wrap_future(turn)
        running.add_done_callback(partial(self._done, job))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if not turn.cancel():
                job.abandoned = True
                grace = self._options.abandoned_seconds
                asyncio.get_running_loop().call_later(grace, self._end, job)
            raise

    def _done(self, job: _Job, running: asyncio.Future[Reading]) -> None:
        self._waiting -= 1
        job.file.close()
        if not running.cancelled():
            running.exception()  # seen, also when the caller has left

    def _end(self, job: _Job) -> None:
        with self._lock:
            if job.process is not None:
                job.process.kill()

    def _ask(self, job: _Job) -> Reading:
        for _ in range(_TRIES):
            if job.abandoned:
                break
            process = self._taken(job)
            with contextlib.suppress(_NeverReadError):
                try:
                    reading = process.ask(job.file, job.sniffed, job.wants)
                    self._count(process, reading)
                    return reading
                finally:
                    self._returned(process, job)
        raise _crashed()

    def _count(self, process: _Process, reading: Reading) -> None:
        with self._lock:
            for name, seconds in reading.models.items():
                # A process that talks nonsense may name what there is not.
                tally = self._tallies.get(name, _Tally())
                tally.hits += name in process.models
                tally.misses += name not in process.models
                tally.load_seconds += seconds
            process.models |= reading.models.keys() & self._tallies.keys()

    def _taken(self, job: _Job) -> _Process:
        with self._lock:
            if self._closed:
                raise _stopping()
            while self._idle:
                _, process = self._idle.pop()
                if process.alive:
                    break
                process.stop(0.0)
            else:
                process = self._started()
            self._busy.add(process)
            job.process = process
            return process

    def _started(self) -> _Process:
        try:
            return _Process(self._options)
        except OSError as error:
            message = f"no process can be started to read files: {error.strerror}"
            raise EmbeddingUnavailable(message, hint="Try again later.") from error

    def _returned(self, process: _Process, job: _Job) -> None:
        with self._lock:
            job.process = None
            self._busy.discard(process)
            if process.alive and not self._closed:
                self._idle.append((self._clock.monotonic(), process))
                return
        process.stop(0.0)

    async def run(self) -> None:
        """End processes that idle, for ever; ends by cancellation."""
        while True:
            await self._clock.sleep(self._options.idle_seconds / 4)
            before = self._clock.monotonic() - self._options.idle_seconds
            with self._lock:
                old = [process for since, process in self._idle if since < before]
                self._idle = [one for one in self._idle if one[1] not in old]
                for name in (name for process in old for name in process.models):
                    self._tallies[name].evictions += 1
            for process in old:
                await asyncio.to_thread(process.stop, STOP_SECONDS)

    async def close(self) -> None:
        """End all processes; a file that is being read then gets no answer."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = tuple(self._busy)
        for process in busy:
            process.kill()
        for _, process in idle:
            await asyncio.to_thread(process.stop, STOP_SECONDS)
        await asyncio.to_thread(self._threads.shutdown)


def _stopping() -> EmbeddingUnavailable:
    message = "files are not read any more: the server is stopping"
    return EmbeddingUnavailable(message)
