"""A process that records as fast as it can and says what was acknowledged."""

import asyncio
import sys
from pathlib import Path

from cortex.foundation.clock import SystemClock
from cortex.foundation.ids import Uuid7Source
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import AgentCall
from cortex.ledger.options import LedgerOptions


async def main(home: Path, pins: Path, writers: int) -> None:
    clock = SystemClock()
    context = LedgerContext(clock, Uuid7Source(clock))
    options = LedgerOptions(pins=pins, checkpoint_seconds=0.02, checkpoint_entries=16)
    ledger = await Ledger.open(home, context, options)

    async def write(name: str) -> None:
        number = 0
        while True:
            call = AgentCall(f"{name}-{number}", "agent", "act", "prompt", "output")
            receipt = await ledger.record(call)
            sys.stdout.write(f"{receipt.index} {receipt.entry_hash}\n")
            sys.stdout.flush()
            number += 1

    async with asyncio.TaskGroup() as group:
        group.create_task(ledger.run())
        for number in range(writers):
            group.create_task(write(f"w{number}"))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
