"""A whole server tells Sentry what nobody foresaw, and does not mind when it cannot."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from sentry_sdk.envelope import Envelope

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


class Sentry:
    """Takes envelopes, or takes the connection and says nothing."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.asked = 0
        self.silent = False
        self.port = 0
        self.connections: list[asyncio.Task[None]] = []

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections.append(asyncio.current_task())
        try:
            await self.answer(reader, writer)
        finally:
            writer.close()

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.asked += 1
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split()[0])
        self.taken.append(Envelope.deserialize(await reader.readexactly(length)))
        if self.silent:
            await reader.read()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


@pytest.fixture
async def sentry() -> AsyncIterator[Sentry]:
    taking = Sentry()
    listening = await asyncio.start_server(taking.serve, "127.0.0.1", 0)
    taking.port = listening.sockets[0].getsockname()[1]
    yield taking
    listening.close()
    async with asyncio.timeout(60):
        await asyncio.gather(*taking.connections)


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
    tmp_path: Path, sentry: Sentry, silent: bool
) -> None:
    sentry.silent = silent
    clock = ManualClock()
    dsn = SecretStr(f"http://abc123@127.0.0.1:{sentry.port}/7")
    app = build(Settings(home=tmp_path, fast_test=True, sentry_dsn=dsn), clock=clock)
    async with app.running():
        break_history(tmp_path)
        await eventually(clock, lambda: sentry.asked > 0)
        [stored] = await app.use_cases.remember(
            PRINCIPAL, PRINCIPAL.namespace("n"), [NewMemory("tea at five")], CALL
        )
        assert stored.created
    event = sentry.taken[0].get_event()
    assert event["level"] == "error"
    assert event["exception"]["values"][0]["type"]
    assert len(event["fingerprint"][0]) == 16
