"""Nothing acknowledged is lost, and a crash is never called tampering."""

import asyncio
import errno
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import StorageFull
from cortex.foundation.ids import Uuid7Source
from cortex.ledger import files, subjects
from cortex.ledger.errors import LedgerStopped
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import AgentCall, EntryQuery, SystemEvent
from cortex.ledger.offline import verify_folder
from cortex.ledger.options import LedgerOptions, LedgerPaths
from cortex.ledger.pins import PinFolder
from cortex.ledger.verdicts import Verdict

WRITER = Path(__file__).with_name("writer.py")
ROUNDS = 6
CALL = AgentCall("run", "agent", "act", "prompt", "output")


async def open_ledger(home: Path, pins: Path) -> Ledger:
    clock = SystemClock()
    context = LedgerContext(clock, Uuid7Source(clock))
    return await Ledger.open(home, context, LedgerOptions(pins=pins))


def run_until_killed(home: Path, pins: Path, lines: int) -> dict[int, str]:
    """Let the writer acknowledge so many entries, then kill it without warning."""
    process = subprocess.Popen(
        [sys.executable, str(WRITER), str(home), str(pins), "8"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    acknowledged = {}
    for line in process.stdout:
        index, digest = line.split()
        acknowledged[int(index)] = digest
        if len(acknowledged) == lines:
            process.send_signal(signal.SIGKILL)
            break
    for line in process.stdout:
        if line.endswith("\n"):
            index, digest = line.split()
            acknowledged[int(index)] = digest
    process.stdout.close()
    process.wait()
    return acknowledged


async def test_kill_9_loses_nothing_and_is_not_tampering(tmp_path: Path) -> None:
    home, pins = tmp_path / "home", tmp_path / "pins"
    acknowledged: dict[int, str] = {}
    for number in range(ROUNDS):
        acknowledged |= run_until_killed(home, pins, 30 + 37 * number)

        offline = verify_folder(LedgerPaths.below(home), PinFolder(pins).read())
        assert offline.verdict is Verdict.INTACT, offline
        assert offline.size > max(acknowledged)

        ledger = await open_ledger(home, pins)
        assert ledger.health().status == "ok"
        for index in (max(acknowledged), min(acknowledged)):
            view = await ledger.reading.entry(index, "local")
            assert view.entry_hash == acknowledged[index]
        assert (await ledger.verify()).verdict is Verdict.INTACT
        await ledger.close()
    with sqlite3.connect(LedgerPaths.below(home).database) as connection:
        stored = dict(connection.execute("SELECT idx, lower(hex(hash)) FROM entries"))
    connection.close()
    assert acknowledged.items() <= stored.items()


def test_a_killed_writer_leaves_the_exit_status_of_the_signal(tmp_path: Path) -> None:
    assert run_until_killed(tmp_path / "home", tmp_path / "pins", 3)


class Disk:
    """Fails the n-th call of an operating system function from now on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.calls = 0

    def fail(self, module: object, name: str, after: int, code: int) -> None:
        real: Callable[..., object] = getattr(module, name)

        def failing(*arguments: object, **more: object) -> object:
            self.calls += 1
            if self.calls > after:
                raise OSError(code, os.strerror(code))
            return real(*arguments, **more)

        self._patch.setattr(module, name, failing)


@pytest.mark.parametrize("name", ["_create", "sync_directory"])
@pytest.mark.parametrize("after", [0, 1, 2, 5])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
async def test_a_disk_that_fails_under_tiles_keeps_entries(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    after: int,
    code: int,
) -> None:
    home, pins = tmp_path / "home", tmp_path / "pins"
    ledger = await open_ledger(home, pins)
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        disk.fail(files, name, after, code)
        receipts = []
        failed = False
        for _ in range(8):
            receipts.append(await ledger.record(CALL))
            try:
                await ledger.publish()
            except OSError:
                failed = True
                assert ledger.health().status == "degraded"
        assert failed
    await ledger.close()

    again = await open_ledger(home, pins)
    assert again.health().status == "ok"
    assert (await again.verify()).verdict is Verdict.INTACT
    assert again.checkpoint().size == len(receipts)
    await again.close()


async def test_the_writer_stops_when_a_key_cannot_be_made_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await open_ledger(tmp_path / "home", tmp_path / "pins")
    with monkeypatch.context() as patch:
        Disk(patch).fail(subjects.os, "fsync", 0, errno.EIO)
        with pytest.raises(LedgerStopped):
            await ledger.record(CALL)
    with pytest.raises(LedgerStopped):
        await ledger.append(SystemEvent("1", "test.happened"))

    assert ledger.health().status == "degraded"
    assert (await ledger.entries(EntryQuery())).entries == ()
    await ledger.close()

    again = await open_ledger(tmp_path / "home", tmp_path / "pins")
    assert (await again.record(CALL)).index == 0
    await again.close()


async def test_a_full_disk_is_said_and_does_not_stop_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await open_ledger(tmp_path / "home", tmp_path / "pins")
    with monkeypatch.context() as patch:
        Disk(patch).fail(subjects.os, "pwrite", 0, errno.ENOSPC)
        with pytest.raises(StorageFull):
            await ledger.record(CALL)

    assert (await ledger.record(CALL)).index == 0
    await ledger.close()


async def test_a_rolled_back_store_signs_nothing(tmp_path: Path) -> None:
    home, pins = tmp_path / "home", tmp_path / "pins"
    ledger = await open_ledger(home, pins)
    await ledger.record(CALL, published=True)
    await ledger.close()
    old = (home / "ledger" / "ledger.db").read_bytes()
    ledger = await open_ledger(home, pins)
    await ledger.record(CALL, published=True)
    await ledger.close()
    (home / "ledger" / "ledger.db").write_bytes(old)

    ledger = await open_ledger(home, pins)

    assert ledger.health().status == "degraded"
    with pytest.raises(LedgerStopped):
        await ledger.record(CALL)
    assert (await ledger.verify()).verdict is Verdict.TAMPERED
    await ledger.close()


async def test_a_changed_signing_key_signs_nothing(tmp_path: Path) -> None:
    home, pins = tmp_path / "home", tmp_path / "pins"
    ledger = await open_ledger(home, pins)
    origin = ledger.keys.origin
    await ledger.close()
    (home / "ledger" / "keys" / "signing.key").unlink()
    clock = SystemClock()
    context = LedgerContext(clock, Uuid7Source(clock))

    ledger = await Ledger.open(home, context, LedgerOptions(origin=origin, pins=pins))

    assert ledger.health().status == "degraded"
    await ledger.close()


async def test_many_opens_leave_nothing_behind(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        ledger = await open_ledger(tmp_path / "home", tmp_path / "pins")
        await ledger.record(CALL)
        await ledger.close()
        await ledger.close()
    await asyncio.sleep(0)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


@pytest.mark.parametrize("torn", [b"", b"\0" * 64])
async def test_a_power_cut_that_tears_every_unsynced_tile_is_repaired(
    tmp_path: Path, torn: bytes
) -> None:
    home, pins = tmp_path / "home", tmp_path / "pins"
    ledger = await open_ledger(home, pins)
    for start in range(0, 800, 100):
        events = (SystemEvent(f"e{n}", "test") for n in range(start, start + 100))
        await asyncio.gather(*(ledger.append(event) for event in events))
        await ledger.publish()
        if start == 500:
            # Synced up to two bundles; the third and all partial tiles are not.
            await ledger.upkeep.run()
    root = ledger.checkpoint().root
    await ledger.close()
    with sqlite3.connect(LedgerPaths.below(home).database) as connection:
        connection.execute("UPDATE marks SET value = 512 WHERE name = 'synced'")
    connection.close()
    log = LedgerPaths.below(home).tiles
    for path in (log / "tile").rglob("*"):
        synced = path.parts[-2:] in (("0", "000"), ("0", "001"))
        synced = synced or path.parts[-2:] in (("entries", "000"), ("entries", "001"))
        if path.is_file() and not synced:
            path.write_bytes(torn)

    again = await open_ledger(home, pins)

    assert again.health().status == "ok"
    result = await again.verify()
    assert (result.verdict, result.recovered) == (Verdict.INTACT, ())
    assert again.checkpoint().root == root
    assert again.inclusion_proof(3).size == 800
    await again.close()
