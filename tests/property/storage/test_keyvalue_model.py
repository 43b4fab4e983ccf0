"""Any sequence of calls, restarts and clock steps agrees with a plain dictionary."""

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from cortex.foundation.errors import PreconditionFailed
from cortex.foundation.ids import Uuid7Source
from cortex.foundation.tenancy import Namespace
from cortex.storage.keyvalue import ABSENT, KeyValue, KeyValueEntry, MemoryKeyValue
from cortex.storage.keyvalue_sqlite import SqliteKeyValue
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database, DatabaseOptions
from cortex.testing.clock import ManualClock

KEYS = st.sampled_from(["a", "b", "b/1", "b/2", "é", "\U0001f600"])
SPACES = st.sampled_from([Namespace("t", "x"), Namespace("t", "y")])
TTLS = st.none() | st.floats(0.5, 20)


class _KeyValueMachine(RuleBasedStateMachine):
    """Runs a keeper beside a dictionary of what must be in it."""

    keeper: KeyValue

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.ids = Uuid7Source(self.clock)
        self.latest = self.clock.now()
        self.model: dict[tuple[Namespace, str], KeyValueEntry] = {}

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(call)

    def alive(self, space: Namespace, key: str) -> KeyValueEntry | None:
        entry = self.model.get((space, key))
        if entry is None or entry.expires_at is None:
            return entry
        return entry if entry.expires_at > self.latest else None

    @rule(space=SPACES, key=KEYS, value=st.binary(max_size=20), ttl=TTLS)
    def put(self, space: Namespace, key: str, value: bytes, ttl: float | None) -> None:
        entry = self.run(self.keeper.put(space, key, value, ttl_seconds=ttl))
        assert (entry.key, entry.value) == (key, value)
        self.model[space, key] = entry

    @rule(space=SPACES, key=KEYS, right=st.booleans())
    def compare_and_set(self, space: Namespace, key: str, *, right: bool) -> None:
        found = self.alive(space, key)
        etag = found.etag if found else ABSENT
        expected = etag if right else "another"
        try:
            entry = self.run(
                self.keeper.put(space, key, b"set", expected_etag=expected)
            )
        except PreconditionFailed:
            assert not right
        else:
            assert right
            self.model[space, key] = entry

    @rule(space=SPACES, key=KEYS)
    def delete(self, space: Namespace, key: str) -> None:
        was_there = self.alive(space, key) is not None
        assert self.run(self.keeper.delete(space, key)) == was_there
        self.model.pop((space, key), None)

    @rule(space=SPACES)
    def clear(self, space: Namespace) -> None:
        mine = [key for (where, key) in self.model if where == space]
        alive = sum(self.alive(space, key) is not None for key in mine)
        assert self.run(self.keeper.clear(space)) == alive
        for key in mine:
            del self.model[space, key]

    @rule(seconds=st.floats(0, 15))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.latest += seconds  # also while the wall clock is behind

    @rule(seconds=st.floats(-30, -0.1))
    def step_back(self, seconds: float) -> None:
        self.run(self.keeper.get(Namespace("t", "x"), "a"))
        self.clock.step(seconds)

    @rule(space=SPACES, prefix=st.sampled_from(["", "b", "b/", "é"]), after=KEYS)
    def scan(self, space: Namespace, prefix: str, after: str) -> None:
        found = self.run(self.keeper.scan(space, prefix=prefix, after=after, limit=100))
        wanted = [
            entry
            for (where, key) in sorted(self.model, key=lambda pair: pair[1])
            if where == space and key.startswith(prefix) and key > after
            if (entry := self.alive(space, key))
        ]
        assert found == wanted

    @invariant()
    def agrees(self) -> None:
        for space, key in self.model:
            entry = self.run(self.keeper.get(space, key))
            assert entry == self.alive(space, key)

    def teardown(self) -> None:
        self.runner.close()


class _MemoryMachine(_KeyValueMachine):
    @initialize()
    def make(self) -> None:
        self.keeper = MemoryKeyValue(clock=self.clock, ids=self.ids)


class _SqliteMachine(_KeyValueMachine):
    @initialize()
    def make(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(
            Path(self.folder.name) / "cortex.db",
            clock=self.clock,
            options=DatabaseOptions(synchronous="NORMAL"),
            migrations=load_migrations("cortex.storage"),
        )
        self.run(self.database.open())
        self.connect()

    def connect(self) -> None:
        self.keeper = SqliteKeyValue(self.database, clock=self.clock, ids=self.ids)

    @rule()
    def restart(self) -> None:
        self.run(self.database.close())
        # A new process knows only the clock; catch up with what the old one saw.
        self.clock.step(max(0.0, self.latest - self.clock.now()))
        self.run(self.database.open())
        self.connect()

    def teardown(self) -> None:
        self.run(self.database.close())
        self.folder.cleanup()
        super().teardown()


TestMemoryKeyValue = _MemoryMachine.TestCase
TestMemoryKeyValue.settings = settings(max_examples=40, deadline=None)
TestSqliteKeyValue = _SqliteMachine.TestCase
TestSqliteKeyValue.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None
)
