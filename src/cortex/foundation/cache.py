"""A bounded cache that keeps what is asked for again, and loads each thing once.

S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you need for cache
eviction", SOSP 2023): new keys enter a small queue; those asked for again before they
leave it move to the main queue, the others leave behind only their name in a ghost
queue; a name that comes back while it is remembered goes to the main queue directly.
A hit only raises a counter, so that reads move nothing.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

SMALL_QUEUE_SHARE = 0.1
"""Share of the room for keys not yet asked for twice; the paper's value."""

FREQUENCY_MAX = 3
"""Upper bound of the use counter: two bits, as in the paper."""


def one(_value: object) -> int:
    """Weigh every value as one: the bound then counts entries."""
    return 1


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache did since it was made, and what it holds.

    Attributes:
        hits: answers from the cache.
        misses: keys that were not there.
        joined: misses that waited for a load already under way.
        evictions: values pushed out by the bound.
        entries: values held now.
        weight: sum of their weights, in the unit of the bound.
    """

    hits: int
    misses: int
    joined: int
    evictions: int
    entries: int
    weight: int


@dataclass(slots=True)
class _Slot(Generic[V]):
    value: V
    weight: int
    frequency: int = 0


class Cache(Generic[K, V]):
    """An S3-FIFO cache for one event loop (or guarded by its owner's lock).

    Args:
        weight_max: bound of the sum of weights: entries with ``one``, bytes with a
            function that measures a value. A heavier single value is not kept.
        weigh: weight of a value, counted as 1 at least; must not change while held.
    """

    def __init__(self, weight_max: int, *, weigh: Callable[[V], int] = one) -> None:
        """Start empty."""
        self._weight_max = max(0, weight_max)
        self._small_max = int(self._weight_max * SMALL_QUEUE_SHARE)
        self._weigh = weigh
        self._small: OrderedDict[K, _Slot[V]] = OrderedDict()
        self._main: OrderedDict[K, _Slot[V]] = OrderedDict()
        self._ghost: OrderedDict[K, None] = OrderedDict()
        self._small_weight = 0
        self._main_weight = 0
        self._loads: dict[K, asyncio.Future[V]] = {}
        self._hits = self._misses = self._joined = self._evictions = 0

    def get(self, key: K) -> V | None:
        """Return the value, or None when it is not held; counts as a use."""
        slot = self._small.get(key) or self._main.get(key)
        if slot is None:
            self._misses += 1
            return None
        self._hits += 1
        slot.frequency = min(slot.frequency + 1, FREQUENCY_MAX)
        return slot.value

    def put(self, key: K, value: V) -> None:
        """Hold a value, making room for it; a value over the bound is not held."""
        weight = max(1, self._weigh(value))
        frequency = self._remove(key)
        if weight > self._weight_max:
            return
        while self._small_weight + self._main_weight + weight > self._weight_max:
            self._evict()
        slot = _Slot(value, weight, frequency)
        remembered = key in self._ghost
        self._ghost.pop(key, None)
        if remembered:
            self._main[key] = slot
            self._main_weight += weight
        else:
            self._small[key] = slot
            self._small_weight += weight

    async def get_or_load(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        """Return the held value, or load it; callers of one key share one load.

        A failed load is raised to all who wait for it and is not held. When the
        caller that loads is cancelled, one of those who wait loads anew.
        """
        while True:
            slot = self._small.get(key) or self._main.get(key)
            if slot is not None:
                self._hits += 1
                slot.frequency = min(slot.frequency + 1, FREQUENCY_MAX)
                return slot.value
            running = self._loads.get(key)
            if running is None:
                self._misses += 1
                return await self._load(key, load)
            self._joined += 1
            await asyncio.wait([running])
            if not running.cancelled():
                return running.result()

    def discard(self, key: K) -> None:
        """Forget a value, if it is held; a load under way is not kept either."""
        self._remove(key)
        self._ghost.pop(key, None)
        self._loads.pop(key, None)

    def clear(self) -> None:
        """Forget everything, loads under way included."""
        self._small.clear()
        self._main.clear()
        self._ghost.clear()
        self._loads.clear()
        self._small_weight = self._main_weight = 0

    def __contains__(self, key: K) -> bool:
        """Return whether the value is held; not a use."""
        return key in self._small or key in self._main

    def __len__(self) -> int:
        """Return how many values are held."""
        return len(self._small) + len(self._main)

    def stats(self) -> CacheStats:
        """Return the counts."""
        return CacheStats(
            hits=self._hits,
            misses=self._misses,
            joined=self._joined,
            evictions=self._evictions,
            entries=len(self),
            weight=self._small_weight + self._main_weight,
        )

    async def _load(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        future: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._loads[key] = future
        try:
            value = await load()
        except asyncio.CancelledError:
            future.cancel()
            raise
        except BaseException as error:
            future.set_exception(error)
            # Mark it as seen: there may be nobody else who waits.
            future.exception()
            raise
        else:
            future.set_result(value)
            if self._loads.get(key) is future:
                self.put(key, value)
            return value
        finally:
            if self._loads.get(key) is future:
                del self._loads[key]

    def _remove(self, key: K) -> int:
        """Take a value out; return how often it had been used."""
        slot = self._small.pop(key, None)
        if slot is not None:
            self._small_weight -= slot.weight
            return slot.frequency
        slot = self._main.pop(key, None)
        if slot is not None:
            self._main_weight -= slot.weight
            # Its name counts as remembered, so that a new value stays in main.
            self._ghost[key] = None
            return slot.frequency
        return 0

    def _evict(self) -> None:
        """Push out one value: from the small queue when it is over its share."""
        if self._small and (self._small_weight > self._small_max or not self._main):
            self._evict_small()
        else:
            self._evict_main()

    def _evict_small(self) -> None:
        key, slot = self._small.popitem(last=False)
        self._small_weight -= slot.weight
        if slot.frequency > 1:
            slot.frequency = 0
            self._main[key] = slot
            self._main_weight += slot.weight
            return
        self._evictions += 1
        self._ghost[key] = None
        while len(self._ghost) > max(1, len(self)):
            self._ghost.popitem(last=False)

    def _evict_main(self) -> None:
        while True:
            key, slot = self._main.popitem(last=False)
            if slot.frequency == 0:
                self._main_weight -= slot.weight
                self._evictions += 1
                return
            slot.frequency -= 1
            self._main[key] = slot
