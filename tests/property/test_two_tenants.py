"""Two tenants, two namespaces each, written in turn: no read path tells a foreign row.

Every place uses the same session ids, state keys, tags, metadata and often the very
same contents, so that only the place keeps them apart.
"""

import asyncio
import itertools
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from cortex.app import App
from cortex.bootstrap.process import build
from cortex.foundation.errors import NotFound
from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.errors import MemoryNotFound, SessionExists, SessionNotFound
from cortex.memory.model import (
    MemoryPatch,
    NewMemory,
    Query,
    SearchMode,
    Selection,
    TimeRange,
)
from cortex.settings import Settings
from cortex.usecases.model import (
    CallContext,
    ContextRequest,
    ContextStrategy,
    NewSession,
)

T = TypeVar("T")

HEAVY = os.environ.get("CORTEX_HEAVY") == "1"
MACHINES = 150 if HEAVY else 20
STEPS = 40 if HEAVY else 25
PAGE = 3
"""Rows a page: small, so that cursors are used."""

NAMES = (("alpha", "beta"), ("alpha", "gamma"))
"""Of each tenant: one name that both have, and one that the other must not see."""

SESSIONS = ("talk", "plan")
KEYS = ("goal", "mood")
SENTENCES = (
    "The launch moved to Friday.",
    "Anna prefers green tea in the morning.",
    "The budget of the launch is 40 000 euros.",
    "Remember to call the harbour master on Monday.",
)
CALL = CallContext("two-tenants", "tester")


@dataclass
class World:
    """One running Cortex for all machines; each machine has tenants of its own."""

    app: App
    runner: asyncio.Runner
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def do(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.runner.run(awaited())


@dataclass
class Place:
    """One namespace and all that was stored in it."""

    namespace: Namespace
    rows: dict[str, NewMemory] = field(default_factory=dict)
    sessions: set[str] = field(default_factory=set)
    state: dict[str, object] = field(default_factory=dict)


@contextmanager
def running(home: Path) -> Iterator[World]:
    app = build(Settings(home=home, fast_test=True, log_level="error"))
    with asyncio.Runner() as runner:
        whole = app.running()
        runner.run(whole.__aenter__())
        try:
            yield World(app, runner)
        finally:
            runner.run(whole.__aexit__(None, None, None))


places = st.integers(0, 3)
items = st.builds(
    NewMemory,
    content=st.sampled_from(SENTENCES),
    author=st.sampled_from(["", "Ann", "Bob"]),
    session_id=st.sampled_from([None, *SESSIONS]),
    user_id=st.sampled_from([None, "u1"]),
    tags=st.sampled_from([(), ("red",), ("red", "blue")]),
    metadata=st.sampled_from([{}, {"team": 1}, {"team": 2}]),
    occurred_at=st.sampled_from([1_700_000_000.0, 1_700_100_000.0, 1_700_200_000.0]),
)
selections = st.sampled_from(
    [
        Selection(),
        Selection(session_id="talk"),
        Selection(user_id="u1"),
        Selection(tag="red"),
        Selection(author="Ann"),
        Selection(where={"team": {"eq": 1}}),
        Selection(where={"not": {"team": {"eq": 1}}}),
        Selection(time_range=TimeRange(1_700_050_000.0, None)),
    ]
)
queries = st.sampled_from([*SENTENCES, "launch", "tea monday budget", "last week"])


def selects(selection: Selection, item: NewMemory) -> bool:
    """Say independently of the product whether a selection takes an item."""
    team = item.metadata.get("team")
    wanted = {
        "session_id": selection.session_id in (None, item.session_id),
        "user_id": selection.user_id in (None, item.user_id),
        "tag": selection.tag is None or selection.tag in item.tags,
        "author": selection.author in (None, item.author),
        "time": selection.time_range is None
        or item.occurred_at >= selection.time_range.start,
        "where": selection.where is None
        or (team == 1) is ("not" not in selection.where),
    }
    return all(wanted.values())


class Tenants(RuleBasedStateMachine):
    """Writes anywhere; reads must answer from the one place alone."""

    world: World

    @initialize()
    def begin(self) -> None:
        number = next(self.world.numbers)
        tenants = (f"acme-{number}", f"other-{number}")
        self.principals = [
            Principal("tester", tenant, frozenset({"*"})) for tenant in tenants
        ]
        self.places = [
            Place(principal.namespace(name))
            for principal, names in zip(self.principals, NAMES, strict=True)
            for name in names
        ]
        self.cases = self.world.app.use_cases

    def do(self, work: Awaitable[T]) -> T:
        return self.world.do(work)

    def refused(self, error: type[Exception], work: Callable[[], Awaitable]) -> None:
        with pytest.raises(error):
            self.do(work())

    def owner(self, place: Place) -> Principal:
        [owner] = [p for p in self.principals if p.tenant == place.namespace.tenant]
        return owner

    def some_id(self, index: int, turn: int) -> str | None:
        ids = sorted(self.places[index].rows)
        return ids[turn % len(ids)] if ids else None

    # --- writes -----------------------------------------------------------------

    @rule(at=places, batch=st.lists(items, min_size=1, max_size=4))
    def remember(self, at: int, batch: list[NewMemory]) -> None:
        place = self.places[at]
        remember = self.cases.remember
        stored = self.do(remember(self.owner(place), place.namespace, batch, CALL))
        for one, item in zip(stored, batch, strict=True):
            elsewhere = [p for p in self.places if p is not place]
            assert all(one.id not in p.rows for p in elsewhere)
            assert one.created == (one.id not in place.rows)
            place.rows.setdefault(one.id, item)

    @rule(at=places, turn=st.integers(0, 50), content=st.sampled_from(SENTENCES))
    def update(self, at: int, turn: int, content: str) -> None:
        place, memory_id = self.places[at], self.some_id(at, turn)
        if memory_id is None:
            return
        patch = MemoryPatch(content=content, metadata={"team": 2})
        update = self.cases.update_memory
        changed = self.do(update(place.namespace, memory_id, patch, CALL))
        assert changed.namespace == place.namespace
        before = place.rows[memory_id]
        place.rows[memory_id] = NewMemory(
            content=content, author=before.author, session_id=before.session_id,
            user_id=before.user_id, tags=before.tags, metadata={"team": 2},
            occurred_at=before.occurred_at,
        )  # fmt: skip

    @rule(at=places, turn=st.integers(0, 50))
    def forget_one(self, at: int, turn: int) -> None:
        place, memory_id = self.places[at], self.some_id(at, turn)
        if memory_id is None:
            return
        self.forget(place, ids=[memory_id])
        del place.rows[memory_id]

    @rule(at=places, selection=selections)
    def forget_selected(self, at: int, selection: Selection) -> None:
        place = self.places[at]
        if selection == Selection():
            return
        gone = self.forget(place, selection=selection)
        expected = {i for i, item in place.rows.items() if selects(selection, item)}
        assert set(gone.ids) == expected
        for memory_id in expected:
            del place.rows[memory_id]
        # A conversation that is forgotten as such goes with its record.
        if selection == Selection(session_id=selection.session_id):
            place.sessions.discard(selection.session_id)

    def forget(self, place: Place, ids=None, selection=None):
        work = self.cases.forget(
            place.namespace, ids=ids, selection=selection, context=CALL
        )
        return self.do(work)

    @rule(
        at=places, session=st.sampled_from(SESSIONS), batch=st.lists(items, max_size=2)
    )
    def talk(self, at: int, session: str, batch: list[NewMemory]) -> None:
        place = self.places[at]
        create = self.cases.create_session
        if session in place.sessions:
            self.refused(
                SessionExists, lambda: create(place.namespace, NewSession(id=session))
            )
        else:
            self.do(create(place.namespace, NewSession(id=session)))
            place.sessions.add(session)
        said = [
            NewMemory(item.content, author=item.author, occurred_at=item.occurred_at)
            for item in batch
        ]
        if not said:
            return
        append = self.cases.append_messages
        stored = self.do(append(place.namespace, session, said, CALL))
        for one, item in zip(stored, said, strict=True):
            if one.created:
                place.rows[one.id] = NewMemory(
                    item.content, author=item.author, session_id=session,
                    occurred_at=item.occurred_at,
                )  # fmt: skip
            assert one.id in place.rows

    @rule(at=places, key=st.sampled_from(KEYS), value=st.integers(0, 9))
    def put_state(self, at: int, key: str, value: int) -> None:
        place = self.places[at]
        put = self.cases.put_state
        told = f"{place.namespace.tenant} {place.namespace.name} {value}"
        self.do(
            put(place.namespace, key, told, ttl_seconds=None, if_match=None,
                context=CALL)
        )  # fmt: skip
        place.state[key] = told

    @rule(at=places, key=st.sampled_from(KEYS))
    def delete_state(self, at: int, key: str) -> None:
        place = self.places[at]

        def delete():
            return self.cases.delete_state(
                place.namespace, key, if_match=None, context=CALL
            )

        if key in place.state:
            self.do(delete())
            del place.state[key]
        else:
            self.refused(NotFound, delete)

    @rule(source=places, goal=places)
    def move(self, source: int, goal: int) -> None:
        """Import one place's export into another: copies, and nothing shared."""
        place = self.places[goal]
        lines = self.exported(self.places[source])
        before = set(place.rows)

        async def run() -> None:
            async def stream():
                for line in lines:
                    yield line

            steps = self.cases.import_lines(place.namespace, stream(), CALL)
            assert [step.failed async for step in steps][-1] == 0

        self.do(run())
        for memory in self.listed(place, Selection()):
            if memory.id not in before:
                place.rows[memory.id] = NewMemory(
                    memory.content, author=memory.author,
                    session_id=memory.session_id, user_id=memory.user_id,
                    tags=tuple(memory.tags), metadata=dict(memory.metadata),
                    occurred_at=memory.occurred_at,
                )  # fmt: skip
        place.sessions |= self.places[source].sessions
        contents = {item.content for item in self.places[source].rows.values()}
        assert contents <= {item.content for item in place.rows.values()}

    # --- reads of what is another's ----------------------------------------------

    @rule(at=places, other=places, turn=st.integers(0, 50))
    def touch_a_foreign_id(self, at: int, other: int, turn: int) -> None:
        place, memory_id = self.places[at], self.some_id(other, turn)
        if memory_id is None or memory_id in place.rows:
            return
        ns, cases = place.namespace, self.cases
        patch = MemoryPatch(content="stolen")
        self.refused(MemoryNotFound, lambda: cases.get_memory(ns, memory_id))
        self.refused(
            MemoryNotFound, lambda: cases.update_memory(ns, memory_id, patch, CALL)
        )
        assert self.forget(place, ids=[memory_id]).ids == ()

    # --- reads --------------------------------------------------------------------

    @rule(
        at=places,
        text=queries,
        mode=st.sampled_from(SearchMode),
        selection=selections,
        top_k=st.sampled_from([1, 5, 100]),
    )
    def search(self, at, text, mode, selection, top_k) -> None:
        place = self.places[at]
        query = Query(text, top_k, mode, selection, explain=True)
        found = self.do(self.cases.search(place.namespace, query, CALL))
        assert len(found.hits) <= top_k
        for hit in found.hits:
            self.own(place, hit.memory)
            assert selects(selection, place.rows[hit.memory.id])

    @rule(at=places, text=queries, where=st.sampled_from([{}, {"team": 1}]))
    def vector_search(self, at: int, text: str, where: dict) -> None:
        place = self.places[at]
        found = self.do(self.cases.vector_search(place.namespace, text, 100, where))
        for hit in found.hits:
            assert hit.doc_id in place.rows
            assert hit.uri == f"cortex://memory/{place.namespace.name}/{hit.doc_id}"
            assert dict(hit.metadata) == dict(place.rows[hit.doc_id].metadata)

    @rule(
        at=places,
        text=st.none() | queries,
        session=st.none() | st.sampled_from(SESSIONS),
        strategy=st.sampled_from(ContextStrategy),
        budget=st.sampled_from([20, 200, 4_000]),
    )
    def context(self, at, text, session, strategy, budget) -> None:
        if text is None and session is None:
            return
        place = self.places[at]
        asked = ContextRequest(text, session, "gpt-4o", budget, strategy=strategy)
        built = self.do(self.cases.build_context(place.namespace, asked, CALL))
        told = {one.id for one in built.included} | {one.id for one in built.dropped}
        told |= {memory_id for block in built.blocks for memory_id in block.ids}
        assert told <= set(place.rows)
        assert built.total_tokens <= budget

    @rule(tenant=st.integers(0, 1))
    def snapshot_and_discover(self, tenant: int) -> None:
        principal = self.principals[tenant]
        mine = [p for p in self.places if p.namespace.tenant == principal.tenant]
        resources = self.do(self.cases.discover(principal))
        names = {r.name for r in resources if r.kind == "namespace"}
        assert names <= {p.namespace.name for p in mine}
        assert {p.namespace.name for p in mine if p.rows} <= names
        bound = Principal("bound", principal.tenant, frozenset({"memory"}), ("alpha",))
        told = self.do(self.cases.discover(bound))
        assert {r.name for r in told if r.kind == "namespace"} <= {"alpha"}
        assert {r.kind for r in told} <= {"namespace", "model"}
        pack = self.do(self.cases.snapshot(principal, None))
        # Packs speak of the namespace ``default``, which nobody wrote to here.
        assert pack["hot_facts"] == []
        text = json.dumps(pack)
        assert not any(sentence in text for sentence in SENTENCES)
        [other] = [p.tenant for p in self.principals if p is not principal]
        assert other not in text

    @invariant()
    def every_listing_and_count_is_exact(self) -> None:
        if not hasattr(self, "places"):
            return
        for place in self.places:
            listed = self.listed(place, Selection())
            for memory in listed:
                self.own(place, memory)
            assert {memory.id for memory in listed} == set(place.rows)
            assert len(listed) == len(place.rows)
            self.check_counts(place)
            self.check_state(place)
            self.check_sessions(place)
        for principal in self.principals:
            self.check_tenant(principal)

    @rule(at=places)
    def export(self, at: int) -> None:
        place = self.places[at]
        records = [orjson.loads(line) for line in self.exported(place)]
        memories = {r["id"] for r in records if r["type"] == "memory"}
        assert memories == set(place.rows)
        sessions = {r["id"] for r in records if r["type"] == "session"}
        assert sessions == place.sessions

    @rule(at=places, selection=selections)
    def list_selected(self, at: int, selection: Selection) -> None:
        place = self.places[at]
        expected = {i for i, item in place.rows.items() if selects(selection, item)}
        assert {memory.id for memory in self.listed(place, selection)} == expected

    # --- how ------------------------------------------------------------------------

    def own(self, place: Place, memory) -> None:
        assert memory.namespace == place.namespace
        assert memory.content == place.rows[memory.id].content

    def listed(self, place: Place, selection: Selection) -> list:
        async def run() -> list:
            cursor, found = None, []
            while True:
                page = await self.cases.list_memories(
                    place.namespace, selection, cursor, PAGE
                )
                found += page.memories
                cursor = page.next_cursor
                if cursor is None:
                    return found

        return self.do(run())

    def exported(self, place: Place) -> list[bytes]:
        async def run() -> list[bytes]:
            lines = self.cases.export_lines(place.namespace, Selection())
            return [line async for line in lines]

        return self.do(run())

    def check_counts(self, place: Place) -> None:
        counts = self.do(self.cases.memory_stats(self.owner(place), place.namespace))
        assert counts.total == len(place.rows)
        assert sum(counts.by_tier.values()) == len(place.rows)
        assert set(counts.by_namespace) <= {place.namespace.name}

    def check_state(self, place: Place) -> None:
        for key in KEYS:

            def get(key=key):
                return self.cases.get_state(place.namespace, key)

            if key in place.state:
                assert self.do(get()).value == place.state[key]
            else:
                self.refused(NotFound, get)

    def check_sessions(self, place: Place) -> None:
        page = self.do(self.cases.list_sessions(place.namespace, None, 100))
        assert {session.id for session in page.sessions} == place.sessions
        for session in SESSIONS:
            if session not in place.sessions:
                self.refused(
                    SessionNotFound,
                    lambda s=session: self.cases.get_session(place.namespace, s),
                )
                continue
            found = self.do(self.cases.get_session(place.namespace, session))
            said = [i for i in place.rows.values() if i.session_id == session]
            assert found.message_count == len(said)

    def check_tenant(self, principal: Principal) -> None:
        mine = {
            p.namespace.name: len(p.rows)
            for p in self.places
            if p.namespace.tenant == principal.tenant
        }
        counts = self.do(self.cases.memory_stats(principal, None))
        assert counts.total == sum(mine.values())
        told = {name: n for name, n in counts.by_namespace.items() if n}
        assert told == {name: n for name, n in mine.items() if n}


def test_no_read_path_tells_a_foreign_row(tmp_path: Path) -> None:
    with running(tmp_path) as world:
        machine = type("Machine", (Tenants,), {"world": world})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=MACHINES,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
