"""The one writer of a file: a thread that commits many units at once.

Natural group commit: while one group is being synced, the next collects; nothing
lingers for company. Each unit runs in its own savepoint, so that a failing unit fails
alone. Callers are answered after the commit returned, hence after the sync.
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from cortex.foundation.clock import Clock
from cortex.foundation.errors import Overloaded, StorageFull
from cortex.storage.connections import UnitConnection, close, open_writer
from cortex.storage.errors import (
    StorageBusy,
    StorageClosed,
    StorageError,
    is_io_error,
    translate,
)
from cortex.storage.locks import FileTurns
from cortex.storage.options import GROUP_SECONDS_MAX, DatabaseOptions

Work: TypeAlias = Callable[[UnitConnection], Any]
Listener: TypeAlias = Callable[[], None]

_OVERLOADED_RETRY_SECONDS = 1.0
"""Seconds after which a full queue has been written, even on a slow disk."""


class Prepare(Protocol):
    """What is done once with the fresh connection, under the file's lock."""

    def __call__(self, connection: UnitConnection, /) -> None:
        """Bring the file to the wanted schema, or raise."""
        ...


@dataclass(slots=True)
class _Job:
    """A unit waiting for the writer, and whom to tell."""

    work: Work
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    alone: bool
    value: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class WriterCounts:
    """What the writer has done since it started."""

    groups: int = 0
    units: int = 0
    failed_units: int = 0
    failed_groups: int = 0
    commit_seconds: float = 0.0


class _GroupLostError(Exception):
    """The transaction is gone: nothing of the group was kept."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(slots=True)
class Writer:
    """Owns the write connection and the thread that alone uses it."""

    path: Path
    clock: Clock
    options: DatabaseOptions
    prepare: Prepare
    counts: WriterCounts = field(default_factory=WriterCounts)
    _jobs: deque[_Job] = field(init=False, default_factory=deque)
    _wake: threading.Condition = field(init=False, default_factory=threading.Condition)
    _listeners: tuple[Listener, ...] = field(init=False, default=())
    _stopping: bool = field(init=False, default=False)
    _refusal: StorageError | None = field(init=False, default=None)
    _thread: threading.Thread | None = field(init=False, default=None)

    def start(self) -> "Future[None]":
        """Start the thread; the future resolves when the file is ready for use."""
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run,
            args=(ready,),
            name=f"cortex-write-{self.path.name}",
            daemon=True,
        )
        self._thread.start()
        return ready

    def stop(self) -> None:
        """Write what is queued, then end; blocks until the file is closed."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def queued(self) -> int:
        """Return how many units wait."""
        return len(self._jobs)

    def listen(self, listener: Listener) -> Listener:
        """Call ``listener`` on the writer thread after each commit; returns an undo.

        The listener must return at once and must not raise.
        """
        self._listeners = (*self._listeners, listener)

        def stop_listening() -> None:
            kept = (known for known in self._listeners if known is not listener)
            self._listeners = tuple(kept)

        return stop_listening

    def submit(self, work: Work, *, alone: bool = False) -> "asyncio.Future[Any]":
        """Queue a unit; the future resolves when it is durable, or failed.

        Args:
            work: called with the connection on the writer thread.
            alone: run it outside any transaction, under the file's lock.

        Raises:
            Overloaded: the queue is full.
            StorageClosed: the writer is stopping.
        """
        loop = asyncio.get_running_loop()
        job = _Job(work, loop.create_future(), loop, alone)
        with self._wake:
            if self._stopping:
                raise StorageClosed("the database is closed")
            if len(self._jobs) >= self.options.write_queue_units_max:
                raise Overloaded(
                    f"{self.options.write_queue_units_max} writes are waiting already",
                    hint="Send fewer writes at once, or larger batches.",
                    retry_after_seconds=_OVERLOADED_RETRY_SECONDS,
                )
            self._jobs.append(job)
            self._wake.notify()
        return job.future

    def _run(self, ready: "Future[None]") -> None:
        with ExitStack() as stack:
            try:
                turns = FileTurns(
                    self.path, wait_seconds=self.options.lock_wait_seconds
                )
                stack.callback(turns.close)
                connection = self._open(turns)
            except Exception as error:  # noqa: BLE001 - the opener is told, and raises it
                self._stopping = True
                ready.set_exception(translate(error))
                return
            stack.callback(_close_quietly, connection, turns)
            stack.callback(self._fail_rest)
            ready.set_result(None)
            while self._wait():
                if self._jobs[0].alone:
                    self._run_alone(self._jobs.popleft(), connection, turns)
                else:
                    self._run_group(connection, turns)

    def _open(self, turns: FileTurns) -> UnitConnection:
        with turns.held():
            connection = open_writer(self.path, self.options)
            try:
                self.prepare(connection)
            except BaseException:
                close(connection)
                raise
        return connection

    def _wait(self) -> bool:
        """Wait for a job; false when stopping and nothing is left."""
        with self._wake:
            while not self._jobs and not self._stopping:
                self._wake.wait()
            return bool(self._jobs)

    def _run_alone(
        self, job: _Job, connection: UnitConnection, turns: FileTurns
    ) -> None:
        try:
            with turns.held():
                job.value = job.work(connection)
        except Exception as error:  # noqa: BLE001 - worker loop: the caller is told
            job.error = translate(error)
        _answer([job])

    def _run_group(self, connection: UnitConnection, turns: FileTurns) -> None:
        group: list[_Job] = []
        try:
            with turns.held(), self._transaction(connection):
                self._run_units(connection, group)
        except Exception as error:  # noqa: BLE001 - worker loop: every caller is told
            self._fail_group(group, error)
            if isinstance(translate(error), StorageFull):
                _empty_log(connection, turns)
        else:
            self.counts.groups += 1
            self.counts.units += len(group)
            for listener in self._listeners:
                listener()
        _answer(group)

    @contextmanager
    def _transaction(self, connection: UnitConnection) -> Iterator[None]:
        if self._refusal is not None:
            raise self._refusal
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            begun = self.clock.monotonic()
            connection.execute("COMMIT")
            self.counts.commit_seconds += self.clock.monotonic() - begun
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _run_units(self, connection: UnitConnection, group: list[_Job]) -> None:
        """Run units while there are any, within the bounds of one group."""
        deadline = self.clock.monotonic() + GROUP_SECONDS_MAX
        while len(group) < self.options.group_units_max:
            if not self._jobs or self._jobs[0].alone:
                return
            job = self._jobs.popleft()
            if job.future.cancelled():
                continue
            group.append(job)
            _run_unit(connection, job)
            if job.error is not None:
                self.counts.failed_units += 1
            if self.clock.monotonic() >= deadline:
                return

    def _fail_group(self, group: list[_Job], error: Exception) -> None:
        self.counts.failed_groups += 1
        reason = error.reason if isinstance(error, _GroupLostError) else error
        if self.options.halt_on_io_error and is_io_error(reason):
            self._refusal = StorageError(
                "writing stopped after the disk failed to sync",
                hint="Check the disk, then restart; nothing after the failure is kept.",
            )
        if not group:
            # The transaction never began: those who wait now would wait in vain.
            waiting = min(len(self._jobs), self.options.group_units_max)
            while len(group) < waiting and self._jobs and not self._jobs[0].alone:
                group.append(self._jobs.popleft())
        for job in group:
            job.value, job.error = None, job.error or translate(reason)

    def _fail_rest(self) -> None:
        """Leave no caller waiting when the thread ends for whatever reason."""
        with self._wake:
            self._stopping = True
            left = list(self._jobs)
            self._jobs.clear()
        for job in left:
            job.error = StorageClosed("the database was closed before this write")
        _answer(left)


def _run_unit(connection: UnitConnection, job: _Job) -> None:
    """Run one unit in its savepoint, keeping its value or its error in the job.

    Raises:
        _GroupLostError: SQLite gave up the whole transaction.
    """
    connection.execute("SAVEPOINT unit")
    try:
        job.value = job.work(connection)
    except Exception as error:
        # Worker loop: the unit's caller is told, the others are not harmed.
        if not connection.in_transaction:
            raise _GroupLostError(error) from error
        job.error = translate(error)
        connection.execute("ROLLBACK TO unit")
    if not connection.in_transaction:
        raise _GroupLostError(StorageError("a unit ended the group's transaction"))
    connection.execute("RELEASE unit")


def _empty_log(connection: UnitConnection, turns: FileTurns) -> None:
    """Give the log's own bytes back to a full disk, so that deletions find room.

    Whether it works depends on how much of the log must be appended to the file; the
    next group says so.
    """
    try:
        with turns.held():
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except (sqlite3.Error, StorageBusy):
        return


def _answer(jobs: list[_Job]) -> None:
    """Resolve the futures, with one call into each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, its_jobs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, its_jobs)
        except RuntimeError:
            # The loop is closed: nobody is left to be told.
            continue


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.value)


def _close_quietly(connection: UnitConnection, turns: FileTurns) -> None:
    """Close under the lock: the last connection also checkpoints the WAL."""
    try:
        with turns.held():
            close(connection)
    except StorageBusy:
        close(connection)
