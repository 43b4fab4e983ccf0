"""The embedding service: texts to vectors, each text computed once.

A text is looked up by the hash of its content; what is not there is computed on a few
threads over one backend, and a text that is already being computed is waited for, not
computed again. A caller with many texts keeps only a few of them in the queue at a
time, so that a big import does not stand in front of a query. Failures open a circuit
breaker, and a full queue is refused with the time after which it is worth returning.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from cortex.foundation.breaker import Breaker, Permit, Phase, Refused
from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError, Overloaded
from cortex.inference.admission import WAITING_MAX, AdmissionLimits, BoundedQueue
from cortex.inference.errors import (
    EmbeddingFailed,
    EmbeddingRefused,
    EmbeddingUnavailable,
)
from cortex.inference.lanes import Lanes, Run, ThreadLanes
from cortex.inference.ports import (
    AdmissionGate,
    EmbeddingCache,
    Load,
    ModelInfo,
    Pushback,
    TextBackend,
    Vector,
)
from cortex.telemetry.tracing import span
from cortex.telemetry.tracing.spans import NoSpan, Span

_WARM_TEXT: Final = "The first text after the start."


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
        gate: decides whether a call is taken; None for a bounded queue.
    """

    threads: int = 0
    waiting_max: int = WAITING_MAX
    deadline_seconds: float = 60.0
    close_grace_seconds: float = 5.0
    observe: Callable[[float], object] | None = None
    gate: AdmissionGate | None = None


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
    """One text being computed, for as many callers.

    `permit` is None once the breaker knows the outcome.
    """

    future: asyncio.Future[Run]
    permit: Permit | None
    started: float
    callers: int = 1


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
        lanes: Lanes | None = None,
    ) -> None:
        """Own the backend, a cache of its vectors, and where it runs.

        Without ``lanes`` it runs on threads, which start with use.
        """
        self._backend = backend
        self._cache = cache
        self._breaker = breaker
        self._clock = clock
        self._options = options or EmbeddingOptions()
        self._lanes: Lanes = lanes or ThreadLanes(
            backend, clock=clock, threads=self._options.threads
        )
        limits = AdmissionLimits(self._options.waiting_max)
        self._gate: AdmissionGate = self._options.gate or BoundedQueue(limits)
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
        with span("embed", texts=len(texts)) as part:
            started = self._clock.monotonic()
            found = await self._found(texts, part)
            if self._options.observe is not None:
                self._options.observe(self._clock.monotonic() - started)
        return found

    async def _found(self, texts: Sequence[str], part: Span | NoSpan) -> list[Vector]:
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
        part.set(computed=len(missing))
        if missing:
            self._misses += len(missing)
            await self._compute(missing, found)
        return [found[key] for key in keys]

    def kept(self, text: str) -> Vector | None:
        """Return the vector if the cache has it; runs nothing, counts nothing."""
        return self._cache.get(_key(text))

    async def warm(self) -> float:
        """Run the model once; return the seconds that took."""
        started = self._clock.monotonic()
        await self.embed([_WARM_TEXT])
        return self._clock.monotonic() - started

    async def close(self) -> None:
        """End the threads and the backend; texts under way get a short grace."""
        await asyncio.to_thread(self._lanes.close, self._options.close_grace_seconds)
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
            for key, flight in under_way:
                self._leave(key, flight)

    def _window(self) -> int:
        """Return how many texts one caller may have under way.

        One while the breaker tries a probe: its outcome decides about the rest.
        """
        return 2 * self._lanes.count if self._breaker.state.phase is Phase.CLOSED else 1

    def _refuse_if_overloaded(self, texts: int) -> None:
        each = self._seconds / self._runs if self._runs else 0.0
        load = Load(self._waiting, self._lanes.count, each)
        answer = self._gate.admit(load, texts)
        if isinstance(answer, Pushback):
            raise Overloaded(
                answer.reason,
                hint="Send fewer texts at a time, or come back later.",
                retry_after_seconds=answer.retry_after_seconds,
                limit=answer.limit,
            )

    def _launch(self, key: bytes, text: str) -> _Flight:
        """Join the flight of an equal text, or start one."""
        flight = self._flights.get(key)
        if flight is not None:
            self._shared += 1
            flight.callers += 1
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
            running = self._lanes.submit(text)
        except RuntimeError as error:
            self._breaker.abandon(permit)
            message = "the embedding service is closed"
            raise EmbeddingUnavailable(message) from error
        flight = _Flight(running, permit, self._clock.monotonic())
        self._flights[key] = flight
        flight.future.add_done_callback(partial(self._landed, key, flight))
        return flight

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
        try:
            await asyncio.wait((flight.future,), timeout=left)
        except asyncio.CancelledError:
            self._leave(key, flight)
            raise
        flight.callers -= 1
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

    def _leave(self, key: bytes, flight: _Flight) -> None:
        """Stop waiting for a text; one that nobody waits for is taken back."""
        flight.callers -= 1
        if flight.callers or flight.future.done():
            return
        if self._flights.get(key) is flight:
            del self._flights[key]
        flight.future.cancel()

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
