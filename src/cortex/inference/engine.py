"""Loads models when they are asked for, and keeps the recently used ones.

A model is loaded once however many callers wait for it, on a thread. All loaded
models together stay within a budget of memory: the least recently used idle one goes
(`cortex.inference.residency`), one that is in use never. Work on a model runs on the
engine's own few threads, behind a bounded queue; a caller that goes away takes its
waiting work with it.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from cortex.foundation.clock import Clock
from cortex.foundation.errors import DeadlineExceeded, Draining, Overloaded
from cortex.inference.errors import ModelUnusable
from cortex.inference.lanes import IN_PROCESS
from cortex.inference.ports import ModelInfo, Outcome
from cortex.inference.registry import Closable, ModelEntry, Registry
from cortex.inference.residency import Held, make_room
from cortex.inference.threads import Threads

M = TypeVar("M", bound=Closable)
R = TypeVar("R")

MODEL_MEMORY_BYTES: Final = 1024**3
"""What all loaded models may cost: a third of the 3 GB that one instance may take."""

CALLS_WAITING_MAX: Final = 256
"""Calls that may wait for a thread: with 100 ms each about 13 s on two threads."""

_BUSY_RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How much of the machine models may take.

    Attributes:
        memory_bytes_max: cost of all loaded models together.
        threads: calls worked on at once; 0 means one a core.
        waiting_max: calls that may wait for a thread; more are refused.
        deadline_seconds: how long a call may take, loading included.
        close_grace_seconds: how long closing waits for calls under way.
        observe: told how each call went; must not raise.
    """

    memory_bytes_max: int = MODEL_MEMORY_BYTES
    threads: int = 0
    waiting_max: int = CALLS_WAITING_MAX
    deadline_seconds: float = 60.0
    close_grace_seconds: float = 5.0
    observe: Callable[[Outcome], object] | None = None


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model and what it did since the start.

    Attributes:
        loaded: whether it is in memory now.
        pinned: whether it stays until the end.
        users: calls that use it now.
        hits: calls that found it loaded.
        misses: calls that had to wait for its loading.
        loads: times it was loaded.
        load_seconds: time that all its loading took.
        evictions: times it made room for another.
    """

    info: ModelInfo
    modalities: tuple[str, ...]
    loaded: bool
    pinned: bool
    users: int
    hits: int
    misses: int
    loads: int
    load_seconds: float
    evictions: int


@dataclass(slots=True, eq=False)
class _Slot:
    """What the engine knows of one model."""

    entry: ModelEntry[Any]
    model: Closable | None = None
    loading: asyncio.Future[Closable] | None = None
    pinned: bool = False
    users: int = 0
    used_at: float = 0.0
    hits: int = 0
    misses: int = 0
    loads: int = 0
    load_seconds: float = 0.0
    evictions: int = 0

    def evict(self) -> None:
        """Let go of the model, to make room."""
        self.evictions += 1
        self.close()

    def close(self) -> None:
        """Let go of the model, if it is loaded."""
        model, self.model = self.model, None
        if model is not None:
            model.close()

    def status(self) -> ModelStatus:
        """Return what people are shown."""
        return ModelStatus(
            info=self.entry.info,
            modalities=self.entry.modalities,
            loaded=self.model is not None,
            pinned=self.pinned,
            users=self.users,
            hits=self.hits,
            misses=self.misses,
            loads=self.loads,
            load_seconds=self.load_seconds,
            evictions=self.evictions,
        )


class Engine:
    """Owns every loaded model of one process, on one event loop."""

    def __init__(
        self, registry: Registry, *, clock: Clock, options: EngineOptions | None = None
    ) -> None:
        """Load nothing yet; threads start with use."""
        self.registry = registry
        self._clock = clock
        self._options = options or EngineOptions()
        threads = self._options.threads or os.cpu_count() or 1
        self._workers: Threads[Any] = Threads(threads, "engine")
        self._loader: Threads[Closable] = Threads(1, "model-loader")
        self._threads = threads
        self._slots: dict[str, _Slot] = {}
        self._waiting = 0
        self._closed = False

    def adopt(self, entry: ModelEntry[M], model: M, load_seconds: float = 0.0) -> None:
        """Take a model that is open already and keep it until the end."""
        self._known(entry)
        slot = self._slot(entry)
        slot.model, slot.pinned = model, True
        slot.loads += 1
        slot.load_seconds += load_seconds
        slot.used_at = self._clock.monotonic()

    @asynccontextmanager
    async def lease(self, entry: ModelEntry[M]) -> AsyncIterator[M]:
        """Hand over the model, loaded, and keep it loaded inside the block.

        Raises:
            ModelUnusable: it does not load, or never fits into the budget.
            Overloaded: models in use leave no room for it now.
            Draining: the engine is closed.
        """
        slot = self._slot(entry)
        slot.users += 1
        try:
            if slot.model is None:
                slot.misses += 1
                await self._load(slot)
            else:
                slot.hits += 1
            slot.used_at = self._clock.monotonic()
            # The slot was made for this entry, so its model is what the entry opens.
            yield slot.model  # type: ignore[misc]
        finally:
            self._release(slot)

    async def call(self, entry: ModelEntry[M], work: Callable[[M], R]) -> R:
        """Run blocking ``work`` on the model, on one of the engine's threads.

        A caller that is cancelled cancels work that has not begun.

        Raises:
            as ``lease``, and what ``work`` raises.
            Overloaded: too many calls wait already.
            DeadlineExceeded: the result did not come in time.
        """
        self._refuse_if_full()
        started = self._clock.monotonic()
        self._waiting += 1
        ok = False
        try:
            async with asyncio.timeout(self._options.deadline_seconds):
                async with self.lease(entry) as model:
                    result = await self._run(self._slot(entry), partial(work, model))
            ok = True
        except TimeoutError as error:
            message = (
                f"{entry.info.name} did not answer within "
                f"{self._options.deadline_seconds:g} s"
            )
            hint = "Send less, or try again later."
            raise DeadlineExceeded(message, hint=hint) from error
        finally:
            self._waiting -= 1
            self._tell(entry.info.name, self._clock.monotonic() - started, ok=ok)
        return result

    async def warm(self, name: str) -> float:
        """Load a model, if it is not loaded; return the seconds that took.

        Raises:
            UnknownModel: there is none of this name.
            as ``lease``.
        """
        return await self.warm_entry(self.registry.get(name))

    async def warm_entry(self, entry: ModelEntry[Any]) -> float:
        """Load the model of an entry; return the seconds that took."""
        started = self._clock.monotonic()
        async with self.lease(entry):
            pass
        return self._clock.monotonic() - started

    @property
    def memory_bytes(self) -> int:
        """Return the cost of all loaded models."""
        return sum(model.memory_bytes for model in self._held())

    @property
    def memory_bytes_max(self) -> int:
        """Return the budget."""
        return self._options.memory_bytes_max

    def status(self) -> list[ModelStatus]:
        """Return every known model, loaded ones first."""
        entries = self.registry.entries()
        slots = (self._slots.get(e.info.name) or _Slot(e) for e in entries)
        rows = [slot.status() for slot in slots]
        return sorted(rows, key=lambda row: (not row.loaded, not row.pinned))

    async def close(self) -> None:
        """End the threads and close every model; idempotent."""
        self._closed = True
        grace = self._options.close_grace_seconds
        await asyncio.to_thread(self._workers.close, grace)
        await asyncio.to_thread(self._loader.close, grace)
        for slot in self._slots.values():
            slot.close()

    async def _load(self, slot: _Slot) -> None:
        """Wait until the model is there; the first to come starts the loading."""
        if self._closed:
            message = "models are not loaded any more: the server stops"
            raise Draining(message)
        if slot.loading is None:
            self._begin(slot)
        loading = slot.loading
        if loading is None:
            return
        # Unlike awaiting it, this leaves the loading to others who wait for it.
        await asyncio.wait((loading,))
        if loading.cancelled():
            message = f"the loading of {slot.entry.info.name} was given up"
            raise Draining(message)
        loading.result()

    def _begin(self, slot: _Slot) -> None:
        info = slot.entry.info
        budget = self._options.memory_bytes_max
        if info.memory_bytes > budget:
            message = (
                f"{info.name} needs {info.memory_bytes} bytes, all models together "
                f"may take {budget}"
            )
            hint = "Raise CORTEX_INFERENCE__MEMORY_MB."
            raise ModelUnusable(message, hint=hint, model=info.name)
        going = make_room(self._held(), info.memory_bytes, budget)
        if going is None:
            message = f"models in use leave no room for {info.name}"
            raise Overloaded(
                message,
                hint="Try again, or raise CORTEX_INFERENCE__MEMORY_MB.",
                retry_after_seconds=_BUSY_RETRY_SECONDS,
            )
        for name in going:
            self._slots[name].evict()
        started = self._clock.monotonic()
        loading = asyncio.wrap_future(self._loader.submit(slot.entry.open))
        slot.loading = loading
        loading.add_done_callback(partial(self._loaded, slot, started))

    def _loaded(
        self, slot: _Slot, started: float, loading: asyncio.Future[Closable]
    ) -> None:
        slot.loading = None
        if loading.cancelled() or loading.exception() is not None:
            return
        if self._closed:
            loading.result().close()
            return
        slot.model = loading.result()
        slot.loads += 1
        slot.load_seconds += self._clock.monotonic() - started
        slot.used_at = self._clock.monotonic()

    def _held(self) -> list[Held]:
        return [
            Held(
                name,
                slot.entry.info.memory_bytes,
                slot.users + (slot.loading is not None),
                slot.used_at,
                slot.pinned,
            )
            for name, slot in self._slots.items()
            if slot.model is not None or slot.loading is not None
        ]

    async def _run(self, slot: _Slot, work: Callable[[], R]) -> R:
        """Run work on a thread; the model counts as in use until the thread is done.

        Work that has begun goes on after its caller was cancelled.
        """
        loop = asyncio.get_running_loop()
        slot.users += 1
        try:
            running: Future[R] = self._workers.submit(work)
        except RuntimeError as error:
            slot.users -= 1
            message = "models are not run any more: the server stops"
            raise Draining(message) from error

        def release(_: Future[R]) -> None:
            # The loop may be gone when a thread outlives the server's end.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._release, slot)

        running.add_done_callback(release)
        return await asyncio.wrap_future(running)

    def _release(self, slot: _Slot) -> None:
        slot.users -= 1
        slot.used_at = self._clock.monotonic()

    def _refuse_if_full(self) -> None:
        if self._waiting < self._options.waiting_max + self._threads:
            return
        message = f"{self._waiting} calls wait for a model already"
        raise Overloaded(
            message,
            hint="Send fewer at a time, or come back later.",
            retry_after_seconds=_BUSY_RETRY_SECONDS,
            limit=self._options.waiting_max,
        )

    def _tell(self, model: str, seconds: float, *, ok: bool) -> None:
        if self._options.observe is not None:
            self._options.observe(Outcome(model, IN_PROCESS, seconds, ok=ok))

    def _known(self, entry: ModelEntry[Any]) -> None:
        if entry not in self.registry.entries():
            self.registry.add(entry)

    def _slot(self, entry: ModelEntry[Any]) -> _Slot:
        slot = self._slots.get(entry.info.name)
        if slot is None:
            self._known(entry)
            slot = self._slots[entry.info.name] = _Slot(entry)
        return slot
