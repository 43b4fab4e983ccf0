"""Each call into the kernel fails, or is the last: no entry is lost, no false alarm.

strace counts the calls of each thread by themselves, and a fault in an early call of one
keeps the others from ever starting. So it is attached to one thread at a time, before
that thread's first call: each place of each thread is reached.
"""

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
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
CALLS = {
    "MainThread": ("openat", "link", "fsync", "write"),
    "cortex-write": ("openat", "fsync", "fdatasync", "pwrite64"),
    "cortex-read": ("openat",),
    "worker": ("openat", "rename", "link", "fsync", "write"),
}
"""What each thread calls while a ledger is opened, written, published and closed."""

HEAVY = bool(os.environ.get("CORTEX_HEAVY"))
PLACES_HEAVY = int(os.environ.get("CORTEX_HEAVY_PLACES", "200"))
PLACES = range(PLACES_HEAVY) if HEAVY else (0,)
BEYOND = 4
"""Places in a row that were never reached: the thread makes no more such calls."""

FAULTS = ("error=EIO", "signal=KILL")
WAIT_SECONDS_MAX = 60.0
ALLOW = (
    "strace may not attach: run as root or with the capability SYS_PTRACE, "
    "and set kernel.yama.ptrace_scope to 1 or 0"
)


@dataclass(frozen=True)
class Run:
    """What a writer acknowledged, and whether the fault ever came."""

    acknowledged: list[tuple[int, str]]
    fired: bool


class Writers:
    """Processes that write a ledger and have done their imports."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._rest = b""

    def run(self, arguments: list[str], thread: str, folder: Path) -> Run:
        """Write a ledger in ``folder`` with strace attached to one thread."""
        home, pins = folder / "home", folder / "pins"
        self._say(f"{home} {pins} {thread}")
        first, log, tracer = self._line(), folder / "trace", None
        if first.startswith("ready"):
            command = ["strace", "-p", first.split()[1], "-o", str(log), *arguments]
            tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
            assert tracer.stderr is not None
            told = tracer.stderr.readline()
            if b"attached" not in told:
                tracer.communicate(timeout=WAIT_SECONDS_MAX)
                pytest.fail(f"{ALLOW} ({told.decode().strip()})")
            self._say("")
        lines = [] if first == "done" else list(iter(self._line, "done"))
        if tracer is not None:
            tracer.communicate(timeout=WAIT_SECONDS_MAX)
        text = log.read_text(errors="replace") if log.exists() else ""
        fired = "INJECTED" in text or "killed by SIGKILL" in text
        whole = [line.split() for line in lines if len(line.split()) == 2]
        return Run([(int(index), digest) for index, digest in whole], fired)

    def _say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n".encode())
        self.process.stdin.flush()

    def _line(self) -> str:
        """Return the next line that the writer says."""
        assert self.process.stdout is not None
        output = self.process.stdout.fileno()
        while b"\n" not in self._rest:
            assert select.select([output], [], [], WAIT_SECONDS_MAX)[0], "it hangs"
            found = os.read(output, 65_536)
            assert found, "the writer is gone"
            self._rest += found
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()


@pytest.fixture(scope="module")
def writers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writers]:
    assert shutil.which("strace"), "install strace"
    with subprocess.Popen(
        [sys.executable, str(WRITER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        found = Writers(process)
        try:
            # Where strace may not attach, each test tells what to allow.
            found.run(["-e", "trace=none"], "MainThread", tmp_path_factory.mktemp("t"))
            yield found
        finally:
            # One that hangs is a child of it and of the same session.
            os.killpg(process.pid, 9)


async def reopened(home: Path, pins: Path, acknowledged: list[tuple[int, str]]) -> str:
    clock = SystemClock()
    context = LedgerContext(clock, Uuid7Source(clock))
    ledger = await Ledger.open(home, context, LedgerOptions(pins=pins))
    try:
        for index, digest in acknowledged:
            view = await ledger.reading.entry(index, "local")
            assert view.entry_hash == digest, index
        await ledger.record(AgentCall("after", "agent", "act", "p", "o"))
        result = await ledger.verify()
        assert result.verdict is Verdict.INTACT, result
        return ledger.health().status
    finally:
        await ledger.close()


async def check(folder: Path, acknowledged: list[tuple[int, str]], where: str) -> None:
    """What was acknowledged is there, now and after the next start."""
    home, pins = folder / "home", folder / "pins"
    paths = LedgerPaths.below(home)
    offline = verify_folder(paths, PinFolder(pins).read())
    unborn = offline.reason in (Reason.NO_KEY, Reason.NO_HEAD)
    assert offline.verdict is Verdict.INTACT or unborn, f"{where}: {offline}"
    assert offline.size >= len(acknowledged), f"{where}: {offline}"
    assert await reopened(home, pins, acknowledged) == "ok", where
    after = verify_folder(paths, PinFolder(pins).read())
    assert after.verdict is Verdict.INTACT, f"{where}: {after}"
    assert after.size > len(acknowledged), f"{where}: {after}"


@pytest.mark.parametrize(
    ("thread", "call"), [(thread, call) for thread in CALLS for call in CALLS[thread]]
)
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_kernel_call_may_fail(
    tmp_path: Path, writers: Writers, thread: str, call: str, fault: str
) -> None:
    fired = missed = 0
    for place in PLACES:
        folder = tmp_path / str(place)
        folder.mkdir()
        inject = f"inject={call}:{fault}:when={place + 1}"
        run = writers.run(["-e", f"trace={call}", "-e", inject], thread, folder)
        await check(folder, run.acknowledged, f"{call} {place} of {thread}: {fault}")
        shutil.rmtree(folder)
        fired, missed = fired + run.fired, 0 if run.fired else missed + 1
        if missed == BEYOND:
            break
    print(f"{fault} into {fired} calls of {call} by {thread}")
    assert fired, f"{call} was never called by {thread}"
