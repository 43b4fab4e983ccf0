"""Where texts are embedded: threads over one model of this process.

`Lanes` is the port that `TextEmbedding` runs on. `ThreadLanes` is its simplest form;
`cortex.inference.pool` puts worker processes beside it.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, Protocol, TypeAlias

from cortex.foundation.clock import Clock
from cortex.inference.ports import Outcome, ReplicaView, TextBackend, Vector
from cortex.inference.threads import Threads

IN_PROCESS: Final = "in-process"
"""Replica name of work done inside this process."""

QUEUED_PER_LANE: Final = 8
"""Texts a lane has before it: one it works on, and some that are ready when that is
done. A busy event loop comes to hand out more every tenth of a second only; with one
text a turn, lanes would rest most of the time while hundreds wait.
"""

SECONDS_MEMORY: Final = 0.1
"""Weight of the latest run in the moving mean of run times."""

Run: TypeAlias = tuple[Vector, float]
"""A read-only vector, and the seconds that it took."""

Observe: TypeAlias = Callable[[Outcome], object]


class Lanes(Protocol):
    """Runs texts, several at a time."""

    @property
    def count(self) -> int:
        """Return how many texts are worked on at once."""
        ...

    def submit(self, text: str) -> asyncio.Future[Run]:
        """Queue a text; cancelling the future takes it back while it waits.

        Raises:
            RuntimeError: the lanes are closed.
        """
        ...

    def close(self, grace_seconds: float) -> None:
        """End; blocking. Texts under way get a short grace. Idempotent."""
        ...


def moving_mean(mean: float, latest: float) -> float:
    """Return the mean with the latest value in it; the first value is the mean."""
    return latest if not mean else mean + SECONDS_MEMORY * (latest - mean)


class ThreadLanes:
    """Threads over one model; on one event loop."""

    def __init__(
        self,
        backend: TextBackend,
        *,
        clock: Clock,
        threads: int = 0,
        observe: Observe | None = None,
    ) -> None:
        """Start threads with use; 0 means one a core."""
        self._backend = backend
        self._clock = clock
        self._observe = observe
        self._threads = threads or os.cpu_count() or 1
        self._limit = self._threads
        self._pool: Threads[Run] = Threads(self._threads, "embed")
        self._waiting: deque[tuple[str, asyncio.Future[Run]]] = deque()
        self._running = 0
        self._seconds_each = 0.0
        self._closed = False

    @property
    def count(self) -> int:
        """Return how many texts are worked on at once."""
        return self._limit

    def limit(self, lanes: int | None) -> None:
        """Work on so many texts at once and no more; None takes every thread."""
        self._limit = min(lanes or self._threads, self._threads)
        self._fill()

    def view(self) -> ReplicaView:
        """Return the threads as one replica."""
        outstanding = self._running + len(self._waiting)
        room = QUEUED_PER_LANE * self._limit - outstanding
        return ReplicaView(
            IN_PROCESS, outstanding, self._limit, room, self._seconds_each
        )

    def submit(self, text: str) -> asyncio.Future[Run]:
        """Queue a text.

        Raises:
            RuntimeError: the lanes are closed.
        """
        if self._closed:
            message = "the lanes are closed"
            raise RuntimeError(message)
        future: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        self._waiting.append((text, future))
        self._fill()
        return future

    def close(self, grace_seconds: float) -> None:
        """End the threads."""
        self._closed = True
        self._pool.close(grace_seconds)

    def _fill(self) -> None:
        while self._waiting and self._running < self._given():
            text, future = self._waiting.popleft()
            if future.cancelled():
                continue
            try:
                running = asyncio.wrap_future(self._pool.submit(self._timed(text)))
            except RuntimeError:
                future.cancel()
                continue
            future.add_done_callback(partial(_take_back, running))
            self._running += 1
            running.add_done_callback(partial(self._done, future))

    def _given(self) -> int:
        """Return how many texts the threads may have, those they work on among them.

        With fewer lanes than threads each thread would work on what is given.
        """
        full = self._limit == self._threads
        return QUEUED_PER_LANE * self._limit if full else self._limit

    def _timed(self, text: str) -> Callable[[], Run]:
        def run() -> Run:
            started = self._clock.monotonic()
            vector = self._backend.embed(text)
            # Callers share it through the cache.
            vector.setflags(write=False)
            return vector, self._clock.monotonic() - started

        return run

    def _done(self, future: asyncio.Future[Run], running: asyncio.Future[Run]) -> None:
        self._running -= 1
        if running.cancelled():
            future.cancel()
        elif (error := running.exception()) is None:
            seconds = running.result()[1]
            self._seconds_each = moving_mean(self._seconds_each, seconds)
            self._tell(seconds, ok=True)
            with suppress(asyncio.InvalidStateError):
                future.set_result(running.result())
        else:
            self._tell(0.0, ok=False)
            with suppress(asyncio.InvalidStateError):
                future.set_exception(error)
        self._fill()

    def _tell(self, seconds: float, *, ok: bool) -> None:
        if self._observe is not None:
            name = self._backend.info.name
            self._observe(Outcome(name, IN_PROCESS, seconds, ok=ok))


def _take_back(running: asyncio.Future[Run], future: asyncio.Future[Run]) -> None:
    """Let a thread not begin what nobody waits for any more."""
    if future.cancelled():
        running.cancel()
