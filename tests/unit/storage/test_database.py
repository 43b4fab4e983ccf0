"""Writes are durable, grouped and independent; reads see snapshots."""

import asyncio
import contextlib
import fcntl
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cortex.foundation.errors import NotFound, Overloaded
from cortex.storage.errors import (
    ConstraintViolated,
    StorageClosed,
    StorageCorrupt,
    StorageError,
)
from cortex.storage.migrations import Migration
from cortex.storage.sqlite import Connection, Database, DatabaseOptions
from cortex.testing.clock import ManualClock

SCHEMA = (
    Migration("n", 1, "create", "CREATE TABLE notes (text TEXT NOT NULL UNIQUE);"),
)


def add(text: str) -> Callable[[Connection], str]:
    def unit(connection: Connection) -> str:
        connection.execute("INSERT INTO notes (text) VALUES (?)", (text,))
        return text

    return unit


def texts(connection: Connection) -> list[str]:
    rows = connection.execute("SELECT text FROM notes ORDER BY text")
    return [text for (text,) in rows]


async def test_write_returns_what_the_unit_returns(database: Database) -> None:
    assert await database.write(add("a")) == "a"
    assert await database.read(texts) == ["a"]
    assert database.read_inline(texts) == ["a"]


async def test_settings_that_durability_rests_on(database: Database) -> None:
    def pragmas(connection: Connection) -> dict[str, object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        return {n: connection.execute(f"PRAGMA {n}").fetchone()[0] for n in names}

    settings = await database.write(pragmas)
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
    }


async def test_files_are_for_their_owner_only(database: Database, path: Path) -> None:
    await database.write(add("a"))
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


async def test_many_writers_share_commits(database: Database) -> None:
    await asyncio.gather(*(database.write(add(f"{n:03}")) for n in range(200)))
    status = database.status()
    assert status.units == 200
    assert status.groups < 100
    assert len(await database.read(texts)) == 200


async def test_a_failing_unit_fails_alone(database: Database) -> None:
    def half(connection: Connection) -> None:
        add("half")(connection)
        raise NotFound("as told")

    results = await asyncio.gather(
        database.write(add("before")),
        database.write(half),
        database.write(add("before")),
        database.write(add("after")),
        return_exceptions=True,
    )
    assert results[0] == "before"
    assert isinstance(results[1], NotFound)
    assert isinstance(results[2], ConstraintViolated)
    assert results[3] == "after"
    assert await database.read(texts) == ["after", "before"]
    assert database.status().failed_units == 2


@pytest.mark.parametrize(
    "misuse",
    [
        lambda c: c.commit(),
        lambda c: c.rollback(),
        lambda c: c.close(),
        lambda c: c.executescript("SELECT 1"),
        lambda c: c.__exit__(None, None, None),
        lambda c: c.execute("COMMIT"),
        lambda c: c.execute("ROLLBACK"),
        lambda c: c.execute("RELEASE unit"),
    ],
)
async def test_a_unit_cannot_end_the_group(
    database: Database, misuse: Callable[[Connection], object]
) -> None:
    with pytest.raises(StorageError):
        await database.write(misuse)
    assert await database.write(add("goes on")) == "goes on"


async def test_readers_cannot_write(database: Database) -> None:
    with pytest.raises(StorageError):
        await database.read(add("no"))
    with pytest.raises(StorageError):
        database.read_inline(add("no"))


async def test_a_query_sees_one_snapshot(database: Database) -> None:
    await database.write(add("a"))
    first_read = threading.Event()
    written = threading.Event()

    def twice(connection: Connection) -> tuple[list[str], list[str]]:
        before = texts(connection)
        first_read.set()
        written.wait(5)
        return before, texts(connection)

    reading = asyncio.gather(database.read(twice))
    await asyncio.to_thread(first_read.wait, 5)
    await database.write(add("b"))
    written.set()
    assert (await reading)[0] == (["a"], ["a"])
    assert await database.read(texts) == ["a", "b"]


async def test_a_failed_query_leaves_no_transaction(database: Database) -> None:
    def broken(connection: Connection) -> None:
        texts(connection)
        raise NotFound("as told")

    with pytest.raises(NotFound):
        database.read_inline(broken)
    await database.write(add("a"))
    assert await database.checkpoint_truncate()
    assert database.read_inline(texts) == ["a"]


async def test_a_full_queue_says_slow_down(path: Path, clock: ManualClock) -> None:
    options = DatabaseOptions(write_queue_units_max=3)
    database = Database(path, clock=clock, options=options, migrations=SCHEMA)
    await database.open()
    entered, leave = threading.Event(), threading.Event()

    def slow(_: Connection) -> None:
        entered.set()
        leave.wait(5)

    async with asyncio.TaskGroup() as group:
        group.create_task(database.write(slow))
        await asyncio.to_thread(entered.wait, 5)
        waiting = [group.create_task(database.write(add(f"{n}"))) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refusal:
            await database.write(add("too many"))
        leave.set()
    assert refusal.value.retry_after_seconds
    assert [task.result() for task in waiting] == ["0", "1", "2"]
    await database.close()


async def test_a_cancelled_caller_harms_nobody(database: Database) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        entered.set()
        leave.wait(5)
        add("slow")(connection)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(database.write(slow))
        queued = group.create_task(database.write(add("queued")))
        await asyncio.to_thread(entered.wait, 5)
        running.cancel()
        queued.cancel()
        await asyncio.sleep(0)
        leave.set()
    assert await database.write(add("after")) == "after"
    assert await database.read(texts) == ["after", "slow"]


async def test_close_writes_what_is_queued(path: Path, clock: ManualClock) -> None:
    database = Database(path, clock=clock, migrations=SCHEMA)
    await database.open()
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(database.write(add(f"{number:02}")))
        await asyncio.sleep(0)
        group.create_task(database.close())
    await database.open()
    assert len(await database.read(texts)) == 50
    await database.close()
    await database.close()


async def test_a_closed_database_says_so(path: Path, clock: ManualClock) -> None:
    database = Database(path, clock=clock, migrations=SCHEMA)
    with pytest.raises(StorageClosed):
        await database.write(add("a"))
    with pytest.raises(StorageClosed):
        await database.read(texts)
    with pytest.raises(StorageClosed):
        database.read_inline(texts)
    with pytest.raises(StorageClosed):
        await database.backup(path.with_name("copy.db"))


async def test_a_file_that_is_no_database(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "cortex.db"
    path.write_bytes(b"not a database at all" * 500)
    database = Database(path, clock=clock, migrations=SCHEMA)
    with pytest.raises(StorageCorrupt) as refusal:
        await database.open()
    assert "restore" in str(refusal.value)
    assert path.read_bytes().startswith(b"not a database")


async def test_a_path_that_cannot_be_used(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "file").write_text("in the way")
    database = Database(tmp_path / "file" / "x.db", clock=clock)
    with pytest.raises(StorageError):
        await database.open()


async def test_listeners_hear_commits(database: Database) -> None:
    heard = threading.Semaphore(0)
    undo = database.on_commit(heard.release)
    await database.write(add("a"))
    assert await asyncio.to_thread(heard.acquire, timeout=60)
    undo()
    await database.write(add("b"))
    assert not heard.acquire(blocking=False)


async def test_two_databases_on_one_file_take_turns(
    database: Database, path: Path, clock: ManualClock
) -> None:
    second = Database(path, clock=clock)
    await second.open()
    both = (database, second)
    await asyncio.gather(*(both[n % 2].write(add(f"{n:03}")) for n in range(300)))
    assert len(second.read_inline(texts)) == 300
    await second.close()
    assert len(database.read_inline(texts)) == 300


async def test_backup_while_writing(database: Database, path: Path) -> None:
    copy = path.with_name("copy.db")
    async with asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(database.write(add(f"{number:03}")))
        await asyncio.sleep(0)
        group.create_task(database.backup(copy))
    await database.backup(copy)
    restored = Database(copy, clock=ManualClock())
    await restored.open()
    assert len(await restored.read(texts)) == 200
    await restored.close()
    assert not list(path.parent.glob("*.partial"))


async def test_copies_made_at_once_to_one_place_are_each_whole(
    database: Database, path: Path
) -> None:
    await database.write(add("x" * 500_000))
    copy = path.with_name("copy.db")
    await asyncio.gather(*(database.backup(copy) for _ in range(6)))
    restored = Database(copy, clock=ManualClock())
    await restored.open()
    assert len(await restored.read(texts)) == 1
    await restored.close()
    assert not list(path.parent.glob("*partial"))
    assert copy.stat().st_mode & 0o777 == 0o600


async def test_what_a_crash_left_of_a_copy_is_removed_by_the_next(
    database: Database, path: Path
) -> None:
    copy = path.with_name("copy[1].db")
    left = (copy.name, f"{copy.name}.k3j_2x9a")
    abandoned = [path.with_name(f"{name}.partial") for name in left]
    others = path.with_name("copy1.db.k3j_2x9a.partial")
    busy = path.with_name(f"{copy.name}.in_work_.partial")
    journal = path.with_name(f"{abandoned[1].name}-journal")
    for one in (*abandoned, others, busy, journal):
        one.write_bytes(b"half")
    with busy.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        await database.backup(copy)
        assert set(path.parent.glob("*partial*")) == {others, busy}
    await database.backup(copy)
    assert set(path.parent.glob("*partial")) == {others}


async def test_forgetting_reaches_half_a_copy_from_before_a_migration(
    database: Database, path: Path
) -> None:
    for name in ("before-1.bak.partial", "before-2.bak.k3j_2x9a.partial"):
        path.with_name(f"{path.name}.{name}").write_bytes(b"what is to be forgotten")
    await database.scrub()
    assert not list(path.parent.glob("*partial"))


async def test_ping_asks_reader_and_writer(database: Database) -> None:
    await database.ping()
    assert database.status().file_bytes > 0


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_fifty_cycles_leak_nothing(path: Path, clock: ManualClock) -> None:
    async def cycle(number: int) -> None:
        database = Database(path, clock=clock, migrations=SCHEMA)
        await database.open()
        await database.write(add(f"{number}"))
        await database.read(texts)
        database.read_inline(texts)
        await database.scrub()
        await database.close()

    await cycle(-1)
    descriptors = open_descriptors()
    for number in range(50):
        await cycle(number)
    assert open_descriptors() <= descriptors
    assert [t.name for t in threading.enumerate() if t.name.startswith("cortex")] == []


async def test_a_closed_loop_does_not_stop_the_writer(
    path: Path, clock: ManualClock
) -> None:
    database = Database(path, clock=clock, migrations=SCHEMA)
    await database.open()
    entered, leave = threading.Event(), threading.Event()

    def slow(_: Connection) -> None:
        entered.set()
        leave.wait(5)

    def short_lived() -> None:
        async def give_up() -> None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(database.write(slow), 0.05)

        asyncio.run(give_up())

    await asyncio.to_thread(short_lived)
    leave.set()
    assert await database.write(add("still here")) == "still here"
    await database.close()
