"""Each search goes by an index, whatever is asked for."""

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cortex.foundation.clock import SystemClock
from cortex.foundation.ids import Uuid7Source
from cortex.ledger import store
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import AgentCall, EntryQuery
from cortex.ledger.options import LedgerPaths

ENTRIES = 400


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("search")

    async def fill() -> None:
        clock = SystemClock()
        ledger = await Ledger.open(home, LedgerContext(clock, Uuid7Source(clock)))
        call = AgentCall("run", "agent", "act", "prompt", "output")
        await asyncio.gather(
            *(
                ledger.record(
                    replace(
                        call,
                        run_id=f"run-{n % 50}",
                        agent_name=f"agent-{n % 5}",
                        correlation_id=f"correlation-{n % 100}",
                        parse_ok=n % 10 > 0,
                        tenant="local" if n % 2 else "other",
                    )
                )
                for n in range(ENTRIES)
            )
        )
        await ledger.close()

    asyncio.run(fill())
    return LedgerPaths.below(home).database


@pytest.fixture
def connection(database: Path) -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(database)
    yield opened
    opened.close()


def plans(connection: sqlite3.Connection, query: EntryQuery) -> list[str]:
    """Return how SQLite goes about every statement of a search."""
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    store.search(connection, query)
    connection.set_trace_callback(None)
    return [
        row[3]
        for statement in statements
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (EntryQuery(run_id="run-7"), "entries_by_run"),
        (EntryQuery(run_id="run-7", outcome="failed"), "entries_by_run"),
        (EntryQuery(correlation_id="correlation-7"), "entries_by_correlation"),
        (EntryQuery(agent_name="agent-3"), "entries_by_agent"),
        (EntryQuery(agent_name="agent-3", kind="agent.call"), "entries_by_agent"),
        (EntryQuery(outcome="failed"), "entries_by_outcome"),
        (EntryQuery(kind="agent.call"), "entries_by_kind"),
        (EntryQuery(), "entries_by_tenant"),
    ],
)
@pytest.mark.parametrize("when", [{}, {"since": 1.0}, {"since": 1.0, "until": 4e9}])
def test_a_search_uses_its_index(
    connection: sqlite3.Connection, query: EntryQuery, index: str, when: dict
) -> None:
    found = plans(connection, replace(query, **when))

    assert any(index in step for step in found), found
    # "SCAN" is the look at the newest entry, with a limit of one.
    scans = [step for step in found if step.startswith("SCAN")]
    assert scans == ["SCAN entries"], found
    assert not [step for step in found if "TEMP B-TREE" in step], found


def test_what_is_found_is_what_was_asked_for(connection: sqlite3.Connection) -> None:
    query = EntryQuery(run_id="run-7", limit=1000)
    local = store.search(connection, query)
    other = store.search(connection, replace(query, tenant="other"))

    assert len(local) == ENTRIES // 50
    assert other == []
    by_agent = store.search(connection, EntryQuery(agent_name="agent-3", limit=1000))
    assert len(by_agent) == ENTRIES // 10
    assert [p.index for p in by_agent] == sorted(
        (p.index for p in by_agent), reverse=True
    )
