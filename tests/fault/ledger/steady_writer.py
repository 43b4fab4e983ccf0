"""A process that records a fixed number of entries and publishes now and then."""

import asyncio
import os
import sys
from pathlib import Path

from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import CortexError
from cortex.foundation.ids import Uuid7Source
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import AgentCall
from cortex.ledger.options import LedgerOptions

ENTRIES = 24
PUBLISH_EVERY = 6


async def main(home: Path, pins: Path) -> None:
    clock = SystemClock()
    context = LedgerContext(clock, Uuid7Source(clock))
    ledger = await Ledger.open(home, context, LedgerOptions(pins=pins))
    for number in range(ENTRIES):
        call = AgentCall(f"run-{number}", f"agent-{number % 3}", "act", "p", "o")
        receipt = await ledger.record(call)
        os.write(1, f"{receipt.index} {receipt.entry_hash}\n".encode())
        if number % PUBLISH_EVERY == PUBLISH_EVERY - 1:
            try:
                await ledger.publish()
            except (CortexError, OSError):
                continue
    await ledger.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
