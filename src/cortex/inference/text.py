"""The embedding service: texts to vectors, each text computed once.

A text is looked up by the hash of its content; what is not there is computed on a few
threads over one backend, and a text that is already being computed is waited for, not
computed again. A caller with many texts keeps only a few of them in the queue at a
time, so that a big import does not stand in front of a query. Failures open a circuit
breaker, and a full queue is refused with the time after which it is worth returning.
"""

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from cortex.foundation.breaker import Breaker, Permit, Phase, Refused
from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError, Overloaded
from cortex.inference.errors import (
    EmbeddingFailed,
    EmbeddingRefused,
    EmbeddingUnavailable,
)
from cortex.inference.ports import EmbeddingCache, ModelInfo, TextBackend, Vector
from cortex.inference.threads import Threads

TEXTS_WAITING_MAX: Final = 4096
"""Texts that may wait at once, over all callers: about 10 s of work on two cores."""

RUN_SECONDS_GUESS: Final = 0.005
"""Assumed time for one text before any was measured."""

RETRY_AFTER_MIN_SECONDS: Final = 0.1
"""Shortest advice to a caller that was refused for load."""

_WARM_TEXT: Final = "The first text after the start."

Run = tuple[Vector, float]


@dataclass(frozen=True, slots=True)
class EmbeddingOptions:
    """How much of the machine embedding may take.

    Attributes:
        threads: texts computed at the same time; 0 means one a core. A remote backend
            waits more than it works and gains from more.
        waiting_max: texts that may wait; a call that would pass it is refused. A call
            that finds nobody waiting is always taken.
        deadline_seconds: time for one text, from leaving the caller to its vector.
        close_grace_seconds: how long closing waits for texts under way.
        observe: told the seconds of each call that was answered.
    """

    threads: int = 0
    waiting_max: int = TEXTS_WAITING_MAX
    deadline_seconds: float = 60.0
    close_grace_seconds: float = 5.0
    observe: Callable[[float], object] | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingStats:
    """Counts since the start.

    Attributes:
        hits: texts whose vector was in the cache or earlier in the same call.
        misses: texts that were not.
        shared: misses that were being computed for another caller already.
        runs: texts that the backend turned into vectors.
        failures: texts that it did not.
        seconds: time spent in those runs, over all threads.
        waiting: texts that callers wait for now.
        cached: vectors in the cache now.
    """

    hits: int
    misses: int
    shared: int
    runs: int
    failures: int
    seconds: float
    waiting: int
    cached: int


@dataclass(slots=True, eq=False)
class _Flight:
    """One text being computed; `permit` is None once the breaker knows the outcome."""

    future: asyncio.Future[Run]
    permit: Permit | None
    started: float


class TextEmbedding:
    """Implements the `Embedder` port over one text backend, on one event loop."""

    def __init__(
        self,
        backend: TextBackend,
        *,
        cache: EmbeddingCache,
        breaker: Breaker,
        clock: Clock,
        options: EmbeddingOptions | None = None,
    ) -> None:
        """Own the backend and a cache of its vectors; threads start with use."""
        self._backend = backend
        self._cache = cache
        self._breaker = breaker
        self._clock = clock
        self._options = options or EmbeddingOptions()
        self._threads = self._options.threads or os.cpu_count() or 1
        self._pool: Threads[Run] = Threads(self._threads, "embed")
        self._flights: dict[bytes, _Flight] = {}
        self._waiting = 0
        self._hits = self._misses = self._shared = 0
        self._runs = self._failures = 0
        self._seconds = 0.0

    @property
    def info(self) -> ModelInfo:
        """Return the active text model; its ``space`` is stored with each vector."""
        return self._backend.info

    @property
    def breaker(self) -> Breaker:
        """Return the breaker, for health."""
        return self._breaker

    def count_tokens(self, text: str) -> int:
        """Return how many of the model's own tokens the text has; blocking, short."""
        return self._backend.count_tokens(text)

    def stats(self) -> EmbeddingStats:
        """Return counts since the start."""
        return EmbeddingStats(
            hits=self._hits,
            misses=self._misses,
            shared=self._shared,
            runs=self._runs,
            failures=self._failures,
            seconds=self._seconds,
            waiting=self._waiting,
            cached=len(self._cache),
        )

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return one read-only vector a text, in order.

        Raises:
            EmbeddingUnavailable: the breaker is open, a text took too long, or the
                service is closed.
            EmbeddingFailed: the backend gave no vector for a text.
            Overloaded: too many texts wait already; come back later.
        """
        started = self._clock.monotonic()
        keys = [_key(text) for text in texts]
        found: dict[bytes, Vector] = {}
        missing: dict[bytes, str] = {}
        for key, text in zip(keys, texts, strict=True):
            if key in found or key in missing:
                continue
            vector = self._cache.get(key)
            if vector is None:
                missing[key] = text
            else:
                found[key] = vector
        self._hits += len(texts) - len(missing)
        if missing:
            self._misses += len(missing)
            await self._compute(missing, found)
        if self._options.observe is not None:
            self._options.observe(self._clock.monotonic() - started)
        return [found[key] for key in keys]

    async def warm(self) -> float:
        """Run the model once; return the seconds that took."""
        started = self._clock.monotonic()
        await self.embed([_WARM_TEXT])
        return self._clock.monotonic() - started

    async def close(self) -> None:
        """End the threads and the backend; texts under way get a short grace."""
        await asyncio.to_thread(self._pool.close, self._options.close_grace_seconds)
        self._backend.close()

    async def _compute(
        self, missing: dict[bytes, str], into: dict[bytes, Vector]
    ) -> None:
        """Embed what is missing, a few texts at a time."""
        self._refuse_if_overloaded(len(missing))
        self._waiting += len(missing)
        under_way: deque[tuple[bytes, _Flight]] = deque()
        try:
            for key, text in missing.items():
                while len(under_way) >= self._window():
                    await self._land_first(under_way, into)
                under_way.append((key, self._launch(key, text)))
            while under_way:
                await self._land_first(under_way, into)
        finally:
            self._waiting -= len(missing)

    def _window(self) -> int:
        """Return how many texts one caller may have under way.

        One while the breaker tries a probe: its outcome decides about the rest.
        """
        return 2 * self._threads if self._breaker.state.phase is Phase.CLOSED else 1

    def _refuse_if_overloaded(self, texts: int) -> None:
        if not self._waiting or self._waiting + texts <= self._options.waiting_max:
            return
        each = self._seconds / self._runs if self._runs else RUN_SECONDS_GUESS
        message = f"{self._waiting} texts wait to be embedded already"
        raise Overloaded(
            message,
            hint="Send fewer texts at a time, or come back later.",
            retry_after_seconds=max(
                RETRY_AFTER_MIN_SECONDS, self._waiting * each / self._threads
            ),
            limit=self._options.waiting_max,
        )

    def _launch(self, key: bytes, text: str) -> _Flight:
        """Join the flight of an equal text, or start one."""
        flight = self._flights.get(key)
        if flight is not None:
            self._shared += 1
            return flight
        permit = self._breaker.enter()
        if isinstance(permit, Refused):
            message = f"{self.info.name} failed repeatedly and is left alone for now"
            raise EmbeddingUnavailable(
                message,
                hint="Text can be stored now and is embedded later.",
                retry_after_seconds=permit.retry_after_seconds,
            )
        try:
            running = self._pool.submit(partial(self._timed, text))
        except RuntimeError as error:
            self._breaker.abandon(permit)
            message = "the embedding service is closed"
            raise EmbeddingUnavailable(message) from error
        flight = _Flight(asyncio.wrap_future(running), permit, self._clock.monotonic())
        self._flights[key] = flight
        flight.future.add_done_callback(partial(self._landed, key, flight))
        return flight

    def _timed(self, text: str) -> Run:
        """Run the backend; on a thread of the pool."""
        started = self._clock.monotonic()
        vector = self._backend.embed(text)
        # Callers share it through the cache.
        vector.setflags(write=False)
        return vector, self._clock.monotonic() - started

    def _landed(self, key: bytes, flight: _Flight, future: asyncio.Future[Run]) -> None:
        """Keep the outcome, whether or not anybody still waits for it."""
        if self._flights.get(key) is flight:
            del self._flights[key]
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or isinstance(error, EmbeddingRefused):
            self._abandon(flight)
        else:
            self._settle(flight, ok=error is None)
        if error is not None:
            self._failures += 1
        elif not future.cancelled():
            vector, seconds = future.result()
            self._cache.put(key, vector)
            self._runs += 1
            self._seconds += seconds

    async def _land_first(
        self, under_way: deque[tuple[bytes, _Flight]], into: dict[bytes, Vector]
    ) -> None:
        key, flight = under_way.popleft()
        passed = self._clock.monotonic() - flight.started
        left = max(0.0, self._options.deadline_seconds - passed)
        # Unlike `wait_for`, this leaves the future to others who wait for it.
        await asyncio.wait((flight.future,), timeout=left)
        if not flight.future.done():
            self._give_up(key, flight)
        if not flight.future.done() or flight.future.cancelled():
            late = not flight.future.done()
            reason = (
                f"within {self._options.deadline_seconds:g} s" if late else "any more"
            )
            message = f"{self.info.name} gave no vector {reason}"
            raise EmbeddingUnavailable(message, hint="Try again later.")
        error = flight.future.exception()
        if isinstance(error, CortexError):
            raise error
        if error is not None:
            message = f"{self.info.name} failed on a text: {type(error).__name__}"
            raise EmbeddingFailed(message, model=self.info.name) from error
        into[key] = flight.future.result()[0]

    def _give_up(self, key: bytes, flight: _Flight) -> None:
        """Stop waiting for a text that hangs; the next caller starts anew."""
        self._settle(flight, ok=False)
        if self._flights.get(key) is flight:
            del self._flights[key]

    def _settle(self, flight: _Flight, *, ok: bool) -> None:
        permit, flight.permit = flight.permit, None
        if permit is not None:
            self._breaker.settle(permit, ok=ok)

    def _abandon(self, flight: _Flight) -> None:
        permit, flight.permit = flight.permit, None
        if permit is not None:
            self._breaker.abandon(permit)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
