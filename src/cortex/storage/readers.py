"""Reads: read-only connections, taken for one query and given back."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from cortex.foundation.errors import Overloaded
from cortex.foundation.metering import charged
from cortex.storage.connections import Connection, UnitConnection, close, open_reader
from cortex.storage.errors import StorageClosed, translate
from cortex.storage.options import READS_PENDING_MAX, DatabaseOptions

T = TypeVar("T")

_OVERLOADED_RETRY_SECONDS = 1.0
"""Seconds after which a queue of short reads has emptied."""

_ENDED_TEXT = "the database is closed"


class ReaderPool:
    """Runs queries on threads of its own, or on the calling thread.

    A connection serves one query at a time, inside one read transaction: all
    statements of a query see the same state of the file.
    """

    def __init__(self, path: Path, options: DatabaseOptions) -> None:
        """Prepare the pool; connections open when first needed."""
        self._path = path
        self._options = options
        self._idle: list[UnitConnection] = []
        self._guard = threading.Lock()
        self._closed = False
        self._pending = 0
        self._threads = ThreadPoolExecutor(
            options.reader_threads, thread_name_prefix=f"cortex-read-{path.name}"
        )

    async def submit(self, query: Callable[[Connection], T]) -> T:
        """Run the query on a pool thread.

        Raises:
            Overloaded: too many reads are waiting already.
            StorageClosed: the pool is closed.
        """
        if self._closed:
            raise StorageClosed(_ENDED_TEXT)
        if self._pending >= READS_PENDING_MAX:
            raise Overloaded(
                f"{READS_PENDING_MAX} reads are waiting already",
                retry_after_seconds=_OVERLOADED_RETRY_SECONDS,
            )
        self._pending += 1
        try:
            loop = asyncio.get_running_loop()
            run = charged(lambda: self.run(query))
            return await loop.run_in_executor(self._threads, run)
        finally:
            self._pending -= 1

    def run(self, query: Callable[[Connection], T]) -> T:
        """Run the query on the calling thread.

        Raises:
            StorageClosed: the pool is closed.
            StorageError: the read failed.
        """
        try:
            connection = self._take()
            try:
                connection.execute("BEGIN")
                return query(connection)
            finally:
                self._give_back(connection)
        except sqlite3.Error as error:
            raise translate(error) from error

    def close(self) -> None:
        """Wait for reads in flight and close every connection."""
        with self._guard:
            self._closed = True
        self._threads.shutdown(wait=True)
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in idle:
            close(connection)

    def _take(self) -> UnitConnection:
        with self._guard:
            if self._closed:
                raise StorageClosed(_ENDED_TEXT)
            if self._idle:
                return self._idle.pop()
        return open_reader(self._path, self._options)

    def _give_back(self, connection: UnitConnection) -> None:
        # Also ends the transaction of a failed query: an open one would hold back
        # every checkpoint, and with it the erasure of forgotten content.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        with self._guard:
            if not self._closed:
                self._idle.append(connection)
                return
        close(connection)
