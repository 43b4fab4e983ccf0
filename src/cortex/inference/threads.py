"""A few threads that run blocking calls; they never keep the process alive.

`concurrent.futures` joins its threads when the interpreter ends, so one backend that
hangs would hang the exit. These are daemon threads with an owner that closes them.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from cortex.foundation.metering import charged

R = TypeVar("R")


class Threads(Generic[R]):
    """Threads over one queue; the caller bounds what it puts in."""

    def __init__(self, threads: int, name: str) -> None:
        """Keep ``threads`` workers, started with the first call."""
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        self._calls: queue.SimpleQueue[tuple[Future[R], Callable[[], R]] | None]
        self._calls = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._started = False
        self._closed = False

    def submit(self, call: Callable[[], R]) -> Future[R]:
        """Run ``call`` on one of the threads.

        Raises:
            RuntimeError: the threads are closed.
        """
        future: Future[R] = Future()
        with self._lock:
            if self._closed:
                message = "the threads are closed"
                raise RuntimeError(message)
            if not self._started:
                self._started = True
                for thread in self._threads:
                    thread.start()
            self._calls.put((future, charged(call)))
        return future

    def close(self, grace_seconds: float) -> bool:
        """Cancel what waits, let what runs end; idempotent.

        Returns:
            Whether all threads ended within the grace; one that did not ends with the
            process.
        """
        with self._lock:
            self._closed = True
            started, self._started = self._started, False
        if not started:
            return not any(thread.is_alive() for thread in self._threads)
        while True:
            try:
                waiting = self._calls.get_nowait()
            except queue.Empty:
                break
            if waiting is not None:
                waiting[0].cancel()
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join(grace_seconds / len(self._threads))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            future, call = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - handed to the caller
                future.set_exception(error)
            # A thread that waits must not keep the last text or vector alive.
            del item, future, call
