"""A whole server tells Sentry what nobody foresaw, and does not mind when it cannot."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cortex.bootstrap.observing import FILE
from cortex.bootstrap.process import build
from cortex.foundation.tenancy import Principal
from cortex.memory.model import NewMemory
from cortex.settings import Settings
from cortex.testing.clock import ManualClock
from cortex.usecases.model import CallContext

WAIT_SECONDS_MAX = 60.0
PRINCIPAL = Principal("tester", scopes=frozenset({"*"}))
CALL = CallContext("faults", "tester")
TABLE = "errors"


def break_history(home: Path) -> None:
    """Take a table away that a loop writes to: nobody foresaw that."""
    with sqlite3.connect(home / FILE) as file:
        names = [
            row[0]
            for row in file.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table'"
            )
        ]
        for name in names:
            if not name.startswith(("sqlite_", "schema_", TABLE)):
                file.execute(f'DROP TABLE "{name}"')
    file.close()


async def eventually(clock: ManualClock, done: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not done():
            clock.advance(0.5)
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("silent", [False, True])
async def test_what_a_loop_met_is_told_and_nobody_waits(
    tmp_path: Path, sentry: Any, silent: bool
) -> None:
    sentry.silent = silent
    clock = ManualClock()
    dsn = SecretStr(sentry.dsn)
    app = build(Settings(home=tmp_path, fast_test=True, sentry_dsn=dsn), clock=clock)
    async with app.running():
        break_history(tmp_path)
        await eventually(clock, lambda: bool(sentry.bodies))
        [stored] = await app.use_cases.remember(
            PRINCIPAL, PRINCIPAL.namespace("n"), [NewMemory("tea at five")], CALL
        )
        assert stored.created
    event = sentry.taken[0].get_event()
    assert event["level"] == "error"
    assert event["exception"]["values"][0]["type"]
    assert len(event["fingerprint"][0]) == 16
