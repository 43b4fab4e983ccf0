"""Faults: a killed process, a full disk, many writers beside readers."""

import asyncio
import itertools
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.foundation.errors import StorageFull
from cortex.memory.model import NewMemory, Selection
from cortex.storage.sqlite import DatabaseOptions
from cortex.testing.memory import CONTEXT, memory_world, prepare

WRITER = """
import asyncio, sys
from pathlib import Path
from cortex.memory.model import NewMemory
from cortex.testing.memory import memory_world

async def main():
    async with memory_world(Path(sys.argv[1])) as world:
        async def one(writer):
            for turn in range(10_000):
                text = f"{writer}-{turn} " + "word " * 50
                items = [NewMemory(f"{text}{part}") for part in range(3)]
                stored = await world.add(*items)
                print(*(s.id for s in stored), flush=True)
        await asyncio.gather(*(one(f"{sys.argv[2]}-{w}") for w in range(64)))

asyncio.run(main())
"""


def run_until_killed(home: Path, name: str) -> list[str]:
    command = [sys.executable, "-c", WRITER, str(home), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline() for _ in range(40)]
        process.send_signal(signal.SIGKILL)
        acknowledged += process.stdout.readlines()
    return [line for line in acknowledged if line.endswith("\n")]


async def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    for round_number in range(3):
        home = tmp_path / str(round_number)
        home.mkdir()
        lines = await asyncio.to_thread(run_until_killed, home, "k")
        async with memory_world(home) as world:
            for line in lines:
                for memory_id in line.split():
                    memory = await world.store.get(world.namespace, memory_id)
                    assert memory.embedding == "ready"
            stats = await world.store.stats("local")
            assert stats.total >= 3 * len(lines)
            assert stats.total % 3 == 0
            head = await world.store.head(world.namespace)
            batch = await world.store.changes(
                world.namespace, type(head)(), limit=100_000
            )
            assert len(batch.rows) == stats.total
            assert all(row.vectors and row.chunks == 1 for row in batch.rows)


async def test_a_full_disk_says_so_and_keeps_what_was_there(tmp_path: Path) -> None:
    options = DatabaseOptions(page_count_max=400)
    async with memory_world(tmp_path, options=options) as world:
        await world.say("kept")
        numbers = itertools.count()

        def texts(count: int) -> list[str]:
            return [f"{next(numbers)}" + "x" * 50_000 for _ in range(count)]

        for _ in range(5):
            await world.say(*texts(5))
        with pytest.raises(StorageFull):
            await world.say(*texts(50))
        page = await world.store.list(
            world.namespace, Selection(), cursor=None, limit=500, oldest_first=True
        )
        assert page.memories[0].content == "kept"
        total = (await world.store.stats("local")).total
        assert total == len(page.memories)
        ids = [one.id for one in page.memories[1:]]
        await world.store.forget(world.namespace, ids, context=CONTEXT)
        await world.say("room again")


async def test_writers_beside_readers(tmp_path: Path) -> None:
    async with memory_world(tmp_path) as world:

        async def write(writer: int) -> None:
            for turn in range(15):
                item = NewMemory(f"{writer} {turn}", idempotency_key=f"{writer}{turn}")
                again = [prepare(item), prepare(item)]
                first, second = await world.store.add(
                    world.namespace, again, context=CONTEXT
                )
                assert first.id == second.id

        async def read() -> None:
            for _ in range(30):
                page = await world.store.list(
                    world.namespace, Selection(), cursor=None, limit=50
                )
                for memory in page.memories[:3]:
                    await world.store.get(world.namespace, memory.id)

        async with asyncio.TaskGroup() as group:
            for number in range(32):
                group.create_task(write(number))
            for _ in range(4):
                group.create_task(read())
        stats = await world.store.stats("local")
        keys = {f"{writer}{turn}" for writer in range(32) for turn in range(15)}
        assert stats.total == len(keys)
