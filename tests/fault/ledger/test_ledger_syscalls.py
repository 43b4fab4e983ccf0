"""Each call into the kernel fails, or is the last: no entry is lost, no false alarm.

strace counts the calls of each thread by themselves. The interpreter's own come first in
the main thread and are passed over; so of calls that other threads make as well (openat,
rename, write) only those are hit which come late enough in their thread.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
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
PLACES = range(200) if HEAVY else (0, 17)
BEYOND = 4
"""Places in a row that were never reached: the writer makes no more such calls."""

FAULTS = ("error=EIO", "signal=KILL")


@dataclass(frozen=True)
class Run:
    """What a writer acknowledged, and whether the fault ever came."""

    acknowledged: list[tuple[int, str]]
    fired: bool


def traced(arguments: list[str], home: Path, pins: Path, log: Path) -> Run:
    """Run the writer under strace."""
    command = ["strace", "-f", "-qq", "-o", str(log), *arguments]
    process = subprocess.run(
        [*command, sys.executable, "-I", str(WRITER), str(home), str(pins)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    lines = [line.split() for line in process.stdout.decode().splitlines()]
    told = log.read_text(errors="replace") if log.exists() else ""
    fired = "INJECTED" in told or "killed by SIGKILL" in told
    return Run([(int(line[0]), line[1]) for line in lines if len(line) == 2], fired)


@pytest.fixture(scope="module")
def calls_before_the_ledger(tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """Count each call that the interpreter makes before it touches the ledger."""
    folder = tmp_path_factory.mktemp("trace")
    home, log = folder / "home", folder / "log"
    names = ",".join((*CALLS, "mkdir"))
    # The first run writes what the interpreter compiles; the later ones only read it.
    subprocess.run(
        [
            sys.executable,
            "-I",
            str(WRITER),
            str(folder / "warm"),
            str(folder / "warmer"),
        ],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    traced(["-e", f"trace={names}"], home, folder / "pins", log)
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
    fired = missed = 0
    for place in PLACES:
        folder = tmp_path / str(place)
        home, pins, log = folder / "home", folder / "pins", folder / "trace"
        folder.mkdir()
        when = calls_before_the_ledger[call] + place + 1
        # A filter in the kernel makes tracing cheap, but keeps strace from killing.
        quick = ["--seccomp-bpf"] if "EIO" in fault else []
        inject = f"inject={call}:{fault}:when={when}"
        run = traced([*quick, "-e", f"trace={call}", "-e", inject], home, pins, log)
        acknowledged = run.acknowledged

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
        fired, missed = fired + run.fired, 0 if run.fired else missed + 1
        if missed == BEYOND:
            break
    print(f"{fault} into {fired} calls of {call}")
    assert fired, f"{call} was never called"
