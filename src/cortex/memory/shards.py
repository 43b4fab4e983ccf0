"""The shards in memory: loaded when first asked for, kept up to date, bounded in bytes.

Before each use a shard catches up with the store, so that a search finds what was
written before it, by this process or by another. What is slow (loading, quantising,
compacting) runs on a thread, beside the event loop; compacting and quantising happen
in `run`, off the path of any query. While it runs, it owns the loading too: who asked
may go, the load goes on for the next one, and what it fails with, all who wait get.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from cortex.foundation.errors import CortexError
from cortex.foundation.reclaim import return_freed_memory
from cortex.foundation.tenancy import Namespace
from cortex.memory.chance import ChanceSample
from cortex.memory.faiss_vectors import FaissVectors
from cortex.memory.masks import Verdicts
from cortex.memory.ports import MemoryStore
from cortex.memory.shard import Shard
from cortex.memory.terms import TermAnalyser
from cortex.memory.vectors import VectorIndex

SHARD_BYTES_MAX: Final = 192 * 1024 * 1024
"""Bytes of all shards together: 100 000 memories take about 130 MB. The one in use is
never thrown out, however large."""

LOAD_ROWS: Final = 2_000
"""Rows read at once while loading: about 4 MB on their way."""

LOADS_AT_ONCE: Final = 4
"""Shards loaded at a time: as many as the store's reading threads."""

INLINE_ROWS_MAX: Final = 64
"""Changes applied on the event loop; more of them go to a thread."""

_FAULTS: Final = (CortexError, RuntimeError, ValueError, MemoryError, OSError)
"""What a load may meet in the store, in its rows or in the index."""

Key: TypeAlias = tuple[Namespace, str]


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """How shards are kept.

    Attributes:
        bytes_max: bytes of all shards together.
        vectors: makes the vector index of a shard, given the dimensions.
    """

    bytes_max: int = SHARD_BYTES_MAX
    vectors: Callable[[int], VectorIndex] = FaissVectors


@dataclass(slots=True)
class OpenShard:
    """A shard and what is remembered beside it."""

    shard: Shard
    verdicts: Verdicts = field(default_factory=Verdicts)
    chance: ChanceSample = field(default_factory=ChanceSample)


@dataclass(slots=True)
class _Slot:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    open: OpenShard | None = None
    loading: "asyncio.Task[Exception | None] | None" = None


@dataclass(frozen=True, slots=True)
class ShardsStatus:
    """How many shards are in memory, with how many memories and bytes."""

    shards: int
    memories: int
    bytes_held: int


class Shards:
    """All shards of one store."""

    def __init__(
        self,
        store: MemoryStore,
        analyser: TermAnalyser,
        options: ShardOptions = ShardOptions(),
    ) -> None:
        """Nothing is loaded yet."""
        self._store = store
        self._analyser = analyser
        self._options = options
        self._slots: OrderedDict[Key, _Slot] = OrderedDict()
        self._work = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._loads = asyncio.Semaphore(LOADS_AT_ONCE)

    @asynccontextmanager
    async def opened(self, ns: Namespace, space: str) -> AsyncIterator[OpenShard]:
        """Lend the up-to-date shard of a namespace, to one caller at a time."""
        key = (ns, space)
        while True:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            if slot.open is None and self._tasks is not None:
                await self._loaded(key, slot, self._tasks)
            async with slot.lock:
                opened = await self._up_to_date(key, slot)
                if opened is None:
                    continue
                if _has_work(opened.shard):
                    self._work.set()
                yield opened
                return

    async def run(self) -> None:
        """Load what is asked for; quantise and compact whenever there is cause.

        Runs until cancelled. Without it, who asks for a shard loads it.
        """
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                while True:
                    await self._work.wait()
                    self._work.clear()
                    await self.improve()
            finally:
                self._tasks = None

    async def improve(self) -> None:
        """Do all the building and compacting that waits now."""
        for (ns, space), slot in list(self._slots.items()):
            opened = slot.open
            if opened is None:
                continue
            if opened.shard.wants_compaction:
                fresh = await self._load(ns, space)
                async with slot.lock:
                    slot.open = OpenShard(fresh)
                opened = slot.open
            vectors = opened.shard.vectors
            while vectors is not None and vectors.waiting():
                await asyncio.to_thread(vectors.build)
                await asyncio.to_thread(return_freed_memory)

    def status(self) -> ShardsStatus:
        """Return what is held now."""
        shards = [slot.open.shard for slot in self._slots.values() if slot.open]
        return ShardsStatus(
            shards=len(shards),
            memories=sum(shard.live for shard in shards),
            bytes_held=sum(shard.bytes_held for shard in shards),
        )

    async def _loaded(self, key: Key, slot: _Slot, tasks: asyncio.TaskGroup) -> None:
        """Wait for the one load of a shard; nobody who stops waiting stops it."""
        task = slot.loading
        if task is None or task.done():
            loading = self._load_into(key, slot)
            task = slot.loading = tasks.create_task(loading, name="shard-load")
        await asyncio.wait([task])
        if task.cancelled():
            return  # `run` ends; who is still there loads it without.
        error = task.result()
        if error is not None:
            raise error

    async def _load_into(self, key: Key, slot: _Slot) -> Exception | None:
        try:
            async with self._loads:
                await self._fill(key, slot)
        except _FAULTS as error:
            return error
        finally:
            slot.loading = None
        return None

    async def _up_to_date(self, key: Key, slot: _Slot) -> OpenShard | None:
        """Return a slot's shard after what was written last; None to load it first."""
        if slot.open is None:
            if self._tasks is not None:
                return None
            await self._fill(key, slot)
        head = await self._store.head(key[0])
        if slot.open is not None and head.is_ahead_of(slot.open.shard.head):
            await self._catch_up(key[0], slot)
        return slot.open

    async def _fill(self, key: Key, slot: _Slot) -> None:
        slot.open = OpenShard(await self._load(*key))
        if slot.open.shard.head.seq:
            self._evict(key)
        else:
            # Nothing was ever stored there: names that callers make up must not push
            # the shards of others out.
            self._slots.pop(key, None)

    async def _load(self, ns: Namespace, space: str) -> Shard:
        shard = Shard(space, analyser=self._analyser, vectors=self._options.vectors)
        while True:
            changes = await self._store.changes(ns, shard.head, limit=LOAD_ROWS)
            if changes.stale:
                return await self._load(ns, space)
            if not changes.more and not shard.head.seq:
                # All in one batch: a small shard is not worth a thread.
                shard.apply(changes)
                shard.finish_loading()
                return shard
            await asyncio.to_thread(shard.apply, changes)
            if not changes.more:
                await asyncio.to_thread(shard.finish_loading)
                await asyncio.to_thread(return_freed_memory)
                return shard

    async def _catch_up(self, ns: Namespace, slot: _Slot) -> None:
        if slot.open is None:
            return
        shard = slot.open.shard
        more = True
        while more:
            changes = await self._store.changes(ns, shard.head, limit=LOAD_ROWS)
            if changes.stale:
                slot.open = None
                return
            try:
                if len(changes.rows) + len(changes.gone) <= INLINE_ROWS_MAX:
                    shard.apply(changes)
                else:
                    await asyncio.to_thread(shard.apply, changes)
            except BaseException:
                # Half of the changes are in it, or a thread that nobody waits for any
                # more goes on with them: the next caller loads it afresh.
                slot.open = None
                raise
            more = changes.more

    def _evict(self, used: Key) -> None:
        """Let go of the shards used longest ago until the rest fit."""
        held = self.status().bytes_held
        for key in list(self._slots):
            if held <= self._options.bytes_max:
                return
            slot = self._slots[key]
            if key == used or slot.lock.locked() or slot.loading is not None:
                continue
            if slot.open is not None:
                held -= slot.open.shard.bytes_held
            del self._slots[key]


def _has_work(shard: Shard) -> bool:
    waiting = 0 if shard.vectors is None else shard.vectors.waiting()
    return bool(waiting) or shard.wants_compaction
