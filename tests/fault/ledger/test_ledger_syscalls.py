"""Each call into the kernel fails, or is the last: no entry is lost, no false alarm."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from cortex.foundation.clock import SystemClock
from cortex.foundation.ids import Uuid7Source
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import AgentCall
from cortex.ledger.offline import verify_folder
from cortex.ledger.options import LedgerOptions, LedgerPaths
from cortex.ledger.pins import PinFolder
from cortex.ledger.verdicts import Reason, Verdict

WRITER = Path(__file__).with_name("steady_writer.py")
CALLS = ("openat", "rename", "link", "fsync", "fdatasync", "write", "pwrite64")
HEAVY = bool(os.environ.get("CORTEX_HEAVY"))
PLACES = range(200) if HEAVY else (3, 17)
FAULTS = ("error=EIO", "signal=KILL")


def traced(arguments: list[str], home: Path, pins: Path) -> list[tuple[int, str]]:
    """Run the writer under strace; return what it acknowledged."""
    command = ["strace", "-f", "-qq", "--seccomp-bpf", *arguments]
    process = subprocess.run(
        [*command, sys.executable, "-I", str(WRITER), str(home), str(pins)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    lines = [line.split() for line in process.stdout.decode().splitlines()]
    return [(int(line[0]), line[1]) for line in lines if len(line) == 2]


@pytest.fixture(scope="module")
def calls_before_the_ledger(tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """Count each call that the interpreter makes before it touches the ledger."""
    folder = tmp_path_factory.mktemp("trace")
    home, log = folder / "home", folder / "log"
    names = ",".join((*CALLS, "mkdir"))
    traced(["-e", f"trace={names}", "-o", str(log)], home, folder / "pins")
    counted: Counter[str] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        if str(home) in line:
            break
        counted[line.split()[1].split("(")[0]] += 1
    return counted


async def reopened(home: Path, pins: Path) -> str:
    clock = SystemClock()
    context = LedgerContext(clock, Uuid7Source(clock))
    ledger = await Ledger.open(home, context, LedgerOptions(pins=pins))
    try:
        await ledger.record(AgentCall("after", "agent", "act", "p", "o"))
        result = await ledger.verify()
        assert result.verdict is Verdict.INTACT, result
        return ledger.health().status
    finally:
        await ledger.close()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_kernel_call_may_fail(
    tmp_path: Path, calls_before_the_ledger: Counter[str], call: str, fault: str
) -> None:
    assert shutil.which("strace"), "install strace"
    for place in PLACES:
        folder = tmp_path / str(place)
        home, pins = folder / "home", folder / "pins"
        when = calls_before_the_ledger[call] + place + 1
        inject = f"inject={call}:{fault}:when={when}"
        acknowledged = traced(["-e", f"trace={call}", "-e", inject], home, pins)

        paths, pinned = LedgerPaths.below(home), PinFolder(pins).read()
        offline = verify_folder(paths, pinned)
        unborn = offline.reason in (Reason.NO_KEY, Reason.NO_HEAD)
        where = f"{call} {place}: {offline}"
        assert offline.verdict is Verdict.INTACT or unborn, where
        if not unborn:
            assert offline.size >= len(acknowledged), where
        assert await reopened(home, pins) == "ok", where
        after = verify_folder(paths, PinFolder(pins).read())
        assert after.size > max((index for index, _ in acknowledged), default=-1)
        shutil.rmtree(folder)
