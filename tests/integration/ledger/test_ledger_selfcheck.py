"""The ledger looks after itself, while somebody else writes to its file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cortex.bus.events import Event
from cortex.foundation.ids import Uuid7Source
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import SystemEvent
from cortex.ledger.options import LedgerOptions
from cortex.ledger.pins import PinFolder
from cortex.ledger.selfcheck import FULL_SECONDS, SelfCheck
from cortex.ledger.verdicts import Reason, Verdict, Verification
from cortex.security.intrusion import Watch
from cortex.security.intrusion_reports import IntrusionReports
from cortex.storage.migrations import load_migrations
from cortex.storage.outbox import Journal
from cortex.storage.sqlite import Database


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def ledger(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Ledger]:
    context = LedgerContext(clock, Uuid7Source(clock))
    options = LedgerOptions(pins=tmp_path / "pins")
    opened = await Ledger.open(tmp_path, context, options)
    yield opened
    await opened.close()


async def grow(ledger: Ledger, first: int, stop: int) -> None:
    for start in range(first, stop, 256):
        numbers = range(start, min(start + 256, stop))
        events = (SystemEvent(f"e{n}", "test.happened") for n in numbers)
        await asyncio.gather(*(ledger.append(event) for event in events))
        await ledger.publish()


def spoil(tmp_path: Path, index: int, back: bool = False) -> None:
    """Change a letter of an entry through a connection of one's own."""
    path = tmp_path / "ledger" / "ledger.db"
    old, new = ("hApPened", "happened") if back else ("happened", "hApPened")
    with sqlite3.connect(path) as intruder:
        changed = intruder.execute(
            "UPDATE leaves SET body = CAST(replace(CAST(body AS TEXT), ?, ?) AS BLOB) "
            "WHERE idx = ?",
            (old, new, index),
        )
        assert changed.rowcount == 1
    intruder.close()


async def test_a_change_by_another_connection_is_raised_once(
    ledger: Ledger, clock: FakeClock, tmp_path: Path
) -> None:
    alarms: list[Verification] = []
    check = SelfCheck(ledger, PinFolder(tmp_path / "pins"), clock, alarms.append)
    await grow(ledger, 0, 700)
    assert (await check.look()).verdict is Verdict.INTACT

    spoil(tmp_path, 300)
    clock.seconds += FULL_SECONDS
    found = await check.look()
    again = await check.look()

    assert (found.verdict, found.index) == (Verdict.TAMPERED, 300)
    assert again.index == 300
    assert [alarm.index for alarm in alarms] == [300]
    health = ledger.health()
    assert health.status == "degraded"
    assert "from entry 300 on" in health.reason
    spoil(tmp_path, 300, back=True)
    assert (await check.look()).verdict is Verdict.INTACT
    assert ledger.health().status == "ok"


async def test_a_finding_becomes_an_event_of_the_journal(
    ledger: Ledger, clock: FakeClock, tmp_path: Path
) -> None:
    watch = Watch(clock)
    database = Database(
        tmp_path / "cortex.db",
        clock=clock,
        migrations=load_migrations("cortex.storage"),
    )
    await database.open()

    def alarm(found: Verification) -> None:
        watch.tampering("ledger", found.reason.value, found.index)

    check = SelfCheck(ledger, PinFolder(tmp_path / "pins"), clock, alarm)
    await grow(ledger, 0, 40)
    await check.look()
    spoil(tmp_path, 17)
    clock.seconds += FULL_SECONDS
    await check.look()

    reports = IntrusionReports(watch, database, clock=clock, ids=Uuid7Source(clock))
    assert await reports.report() == 1
    (entry,) = await Journal(database, Event.from_json).after(0, limit=10)
    assert entry.event.type == "security.tampering_found"
    assert (entry.event.data["target"], entry.event.data["index"]) == ("ledger", 17)
    await database.close()


async def test_a_look_reads_what_is_new_and_finds_what_is_wrong_there(
    ledger: Ledger, clock: FakeClock, tmp_path: Path
) -> None:
    alarms: list[Verification] = []
    check = SelfCheck(ledger, PinFolder(tmp_path / "pins"), clock, alarms.append)
    await grow(ledger, 0, 1024)
    assert (await check.look()).checked_from == 0
    await grow(ledger, 1024, 1300)

    second = await check.look()

    assert (second.checked_from, second.size) == (1024, 1300)
    await grow(ledger, 1300, 1500)
    spoil(tmp_path, 1450)
    third = await check.look()
    assert third.checked_from == 1024 + 256
    assert (third.verdict, third.index) == (Verdict.TAMPERED, 1450)
    assert len(alarms) == 1


async def test_what_an_intruder_does_to_the_pins_is_raised(
    ledger: Ledger, clock: FakeClock, tmp_path: Path
) -> None:
    alarms: list[Verification] = []
    check = SelfCheck(ledger, PinFolder(tmp_path / "pins"), clock, alarms.append)
    await grow(ledger, 0, 10)
    await check.look()

    (tmp_path / "pins" / "head").write_bytes(b"nothing\n")
    await check.look()

    assert [alarm.reason for alarm in alarms] == [Reason.PIN_UNUSABLE]
    assert ledger.health().status == "degraded"
