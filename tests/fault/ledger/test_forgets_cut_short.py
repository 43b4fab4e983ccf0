"""A server finishes by itself what a client began that went away."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from cortex.bootstrap.process import build
from cortex.bootstrap.trust import LEDGER_UPKEEP_SECONDS
from cortex.foundation.tenancy import Principal
from cortex.ledger.appender import Appender
from cortex.ledger.model import AgentCall
from cortex.settings import Settings
from cortex.testing.clock import ManualClock
from cortex.usecases.model import CallContext

PRINCIPAL = Principal("tester", scopes=frozenset({"*"}))
CONTEXT = CallContext("faults", "tester")
PERSON = "quokka-person"
CALL = replace(
    AgentCall("run", "planner", "plan", prompt="what is next?", raw_output="tea"),
    subject=PERSON,
)


def is_on_disk(home: Path) -> bool:
    files = (path for path in home.rglob("*") if path.is_file())
    return any(PERSON.encode() in path.read_bytes() for path in files)


async def test_a_forget_whose_client_left_is_finished_within_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    app = build(Settings(home=tmp_path, fast_test=True), clock=clock)
    behind = asyncio.Event()

    async def hang(_: Appender) -> None:
        behind.set()
        await asyncio.Event().wait()

    async with app.running(), asyncio.timeout(60):
        audit = app.use_cases.audit
        await audit.record(PRINCIPAL, CALL, CONTEXT)
        with monkeypatch.context() as patch:
            patch.setattr(Appender, "finish_forgetting", hang)
            asking = asyncio.create_task(audit.shred(PRINCIPAL.tenant, PERSON, CONTEXT))
            await behind.wait()
            asking.cancel()
            await asyncio.wait([asking])
        assert is_on_disk(tmp_path / "ledger")
        clock.advance(LEDGER_UPKEEP_SECONDS)
        while is_on_disk(tmp_path / "ledger"):
            # What else waits for time, such as a busy file, is not kept waiting.
            clock.advance(0.01)
            await asyncio.sleep(0.02)
