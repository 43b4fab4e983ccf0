"""Whatever is asked of the cache: right values, the bound kept, counts that add up."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cortex.foundation.cache import Cache

KEYS = st.integers(0, 30)


class _CacheMachine(RuleBasedStateMachine):
    """Keeps the last value put for each key beside the cache."""

    @initialize(bound=st.integers(0, 60))
    def make(self, bound: int) -> None:
        self.bound = bound
        self.cache: Cache[int, bytes] = Cache(bound, weigh=len)
        self.model: dict[int, bytes] = {}
        self.gets = 0

    @rule(key=KEYS, size=st.integers(0, 25))
    def put(self, key: int, size: int) -> None:
        value = bytes([key]) * size
        self.cache.put(key, value)
        self.model[key] = value
        assert (key in self.cache) == (max(1, size) <= self.bound)

    @rule(key=KEYS)
    def get(self, key: int) -> None:
        held = key in self.cache
        value = self.cache.get(key)
        self.gets += 1
        assert value == (self.model[key] if held else None)

    @rule(key=KEYS)
    def discard(self, key: int) -> None:
        self.cache.discard(key)
        self.model.pop(key, None)
        assert key not in self.cache

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.model.clear()
        assert len(self.cache) == 0

    @invariant()
    def adds_up(self) -> None:
        stats = self.cache.stats()
        held = [self.model[key] for key in self.model if key in self.cache]
        assert stats.entries == len(held) == len(self.cache)
        assert stats.weight == sum(max(1, len(value)) for value in held)
        assert stats.weight <= self.bound
        assert stats.hits + stats.misses == self.gets


TestCache = _CacheMachine.TestCase
TestCache.settings = settings(max_examples=100, deadline=None)
