"""Records a fixed number of entries, as often as asked, each time in a new process.

Imports are done once. For each line ``HOME PINS THREAD`` on stdin a fork opens a ledger;
its first thread whose name begins so says ``ready`` with its kernel id before its first
call and waits for a line. Then come the entries that were acknowledged, and ``done`` when
the fork is gone.
"""

import asyncio
import ctypes
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import CortexError
from cortex.foundation.ids import Uuid7Source
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import AgentCall
from cortex.ledger.options import LedgerOptions

ENTRIES = 24
PUBLISH_EVERY = 6
WORKER = "worker"

PR_SET_PTRACER = 0x59616D61
ANYONE = ctypes.c_ulong(-1)


async def write(home: Path, pins: Path) -> None:
    # One worker, so that its calls are all that are made beside the loop.
    worker = ThreadPoolExecutor(1, thread_name_prefix=WORKER)
    asyncio.get_running_loop().set_default_executor(worker)
    clock = SystemClock()
    context = LedgerContext(clock, Uuid7Source(clock))
    ledger = await Ledger.open(home, context, LedgerOptions(pins=pins))
    for number in range(ENTRIES):
        call = AgentCall(f"run-{number}", f"agent-{number % 3}", "act", "p", "o")
        receipt = await ledger.record(call)
        say(f"{receipt.index} {receipt.entry_hash}")
        if number % PUBLISH_EVERY == PUBLISH_EVERY - 1:
            try:
                await ledger.publish()
            except (CortexError, OSError):
                continue
    await ledger.close()


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def heard() -> str:
    """Return a line of stdin, and nothing that comes after it."""
    return b"".join(iter(lambda: os.read(0, 1).strip(b"\n"), b"")).decode()


def hold() -> None:
    say(f"ready {threading.get_native_id()}")
    heard()


def hold_thread(wanted: str) -> None:
    """Hold the first thread of that name when it comes to life."""
    run, unseen = threading.Thread.run, [wanted]

    def held(self: threading.Thread) -> None:
        if unseen and self.name.startswith(wanted):
            unseen.clear()
            hold()
        run(self)

    threading.Thread.run = held
    if threading.current_thread().name.startswith(wanted):
        hold()


def main() -> None:
    libc = ctypes.CDLL(None)
    while line := heard():
        home, pins, thread = line.split()
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            say("done")
            continue
        # Who traces is no parent of this process; some kernels ask for its consent.
        libc.prctl(PR_SET_PTRACER, ANYONE, 0, 0, 0)
        status = 1
        try:
            hold_thread(thread)
            asyncio.run(write(Path(home), Path(pins)))
            status = 0
        finally:
            os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
