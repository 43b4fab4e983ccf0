"""What was deleted is in no file afterwards."""

import asyncio
import random
import sqlite3
import threading
from pathlib import Path

import pytest

from cortex.foundation.errors import Unavailable
from cortex.storage.errors import StorageBusy
from cortex.storage.migrations import Migration
from cortex.storage.pages import Layout, is_dirty, slack, wiped
from cortex.storage.sqlite import Connection, Database
from cortex.testing.clock import ManualClock

SCHEMA = (
    Migration(
        "notes",
        1,
        "create",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n"
        "CREATE INDEX notes_by_text ON notes (text);\n"
        "CREATE TABLE names (name TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID;",
    ),
)
SECRET = "the-quick-brown-secret"


def files_with(path: Path, text: str) -> list[str]:
    needle = text.encode()
    return [f.name for f in path.parent.iterdir() if needle in f.read_bytes()]


@pytest.fixture
async def notes(path: Path) -> Database:
    database = Database(path, clock=ManualClock(), migrations=SCHEMA)
    await database.open()
    return database


def insert(number: int, text: str) -> "Unit":
    return Unit("INSERT INTO notes VALUES (?, ?)", (number, text))


class Unit:
    """One statement with its values."""

    def __init__(self, sql: str, values: tuple[object, ...] = ()) -> None:
        self._sql = sql
        self._values = values

    def __call__(self, connection: Connection) -> None:
        connection.execute(self._sql, self._values)


@pytest.mark.parametrize("length", [1, 100, 5_000])
async def test_deleted_text_is_gone(notes: Database, path: Path, length: int) -> None:
    for number in range(50):
        text = f"{SECRET} " * length if number == 25 else f"note {number}"
        await notes.write(insert(number, text))
    assert files_with(path, SECRET)
    await notes.write(Unit("DELETE FROM notes WHERE id = 25"))
    await notes.scrub()
    assert files_with(path, SECRET) == []
    await notes.close()
    assert files_with(path, SECRET) == []


async def test_rows_that_moved_between_pages_leave_nothing(
    notes: Database, path: Path
) -> None:
    """Without wiping the gaps about 3 in 1 000 of these rows stay behind."""
    source = random.Random(11)
    alive: dict[int, str] = {}
    made = []

    def churn(connection: Connection) -> None:
        for _ in range(20):
            number = source.randrange(10**6)
            text = f"secret-{number:06}-{len(made):06}; " * source.choice([1, 5, 40])
            if number in alive or source.random() < 0.4:
                number = source.choice([*alive, number])
                alive.pop(number, None)
                connection.execute("DELETE FROM notes WHERE id = ?", (number,))
                connection.execute("DELETE FROM names WHERE name = ?", (str(number),))
                continue
            alive[number] = text.split(";")[0]
            made.append(alive[number])
            connection.execute("INSERT INTO notes VALUES (?, ?)", (number, text))
            connection.execute("INSERT INTO names VALUES (?, ?)", (str(number), text))

    for _ in range(150):
        await notes.write(churn)
    await notes.scrub()
    raw = b"".join(file.read_bytes() for file in path.parent.iterdir())
    left = set(alive.values())
    assert [text for text in made if text not in left and text.encode() in raw] == []
    assert all(text.encode() in raw for text in left)
    await notes.close()
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


async def test_another_writers_cached_pages_do_not_bring_it_back(
    notes: Database, path: Path
) -> None:
    other = Database(path, clock=ManualClock())
    await other.open()
    writers = (notes, other)
    for number in range(400):
        key = (number * 7919) % 1_000
        text = f"{SECRET}-{number} " * 12
        await writers[number % 2].write(insert(key, text))
    for number in range(0, 1_000, 2):
        await writers[0].write(Unit("DELETE FROM notes WHERE id = ?", (number,)))
    kept = await notes.read(lambda c: c.execute("SELECT text FROM notes").fetchall())
    await notes.scrub()
    for number in range(2_000, 2_050):
        await writers[number % 2].write(insert(number, "later"))
    assert await notes.checkpoint_truncate()
    raw = path.read_bytes()
    alive = {text for (text,) in kept}
    gone = [
        text
        for text in (f"{SECRET}-{n} " * 12 for n in range(400))
        if text not in alive and text.encode() in raw
    ]
    assert gone == []
    await other.close()
    await notes.close()


async def test_scrub_goes_on_while_others_write_and_read(
    notes: Database, path: Path
) -> None:
    await notes.write(insert(1, SECRET))
    await notes.write(Unit("DELETE FROM notes"))

    async def keep_writing(start: int) -> None:
        for number in range(start, start + 40):
            await notes.write(insert(number, f"note {number}"))
            await notes.read(lambda c: c.execute("SELECT * FROM notes").fetchall())

    async with asyncio.TaskGroup() as group:
        for start in (100, 200, 300):
            group.create_task(keep_writing(start))
        group.create_task(notes.scrub())
    assert files_with(path, SECRET) == []
    await notes.close()


async def test_scrub_waits_for_a_reader_and_says_when_it_gave_up(
    notes: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await notes.write(insert(1, SECRET))
    entered, leave = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        connection.execute("SELECT * FROM notes").fetchall()
        entered.set()
        leave.wait(10)

    monkeypatch.setattr("cortex.storage.sqlite.SCRUB_TRIES_MAX", 1)
    reading = asyncio.gather(notes.read(hold))
    await asyncio.to_thread(entered.wait, 5)
    await notes.write(Unit("DELETE FROM notes"))
    async with asyncio.TaskGroup() as group:
        scrub = group.create_task(_refused(notes))
        clock = notes._clock
        assert isinstance(clock, ManualClock)
        while not scrub.done():
            clock.advance(1)
            await asyncio.sleep(0.005)
    assert isinstance(scrub.result(), StorageBusy)
    leave.set()
    await reading
    await notes.scrub()
    assert files_with(path, SECRET) == []
    await notes.close()


async def _refused(database: Database) -> Unavailable | None:
    try:
        await database.scrub()
    except Unavailable as error:
        return error
    return None


async def test_scrub_deletes_the_copy_from_before_a_migration(path: Path) -> None:
    database = Database(path, clock=ManualClock(), migrations=SCHEMA)
    await database.open()
    await database.write(insert(1, SECRET))
    await database.close()
    more = Migration("notes", 2, "more", "CREATE TABLE more (a TEXT);")
    database = Database(path, clock=ManualClock(), migrations=(*SCHEMA, more))
    await database.open()
    await database.write(Unit("DELETE FROM notes"))
    assert any(name.endswith(".bak") for name in files_with(path, SECRET))
    await database.scrub()
    assert files_with(path, SECRET) == []
    await database.close()


async def test_vacuum_makes_the_file_small(notes: Database, path: Path) -> None:
    for number in range(200):
        await notes.write(insert(number, "long " * 1_000))
    await notes.write(Unit("DELETE FROM notes"))
    large = path.stat().st_size + notes.status().wal_bytes
    await notes.scrub(vacuum=True)
    assert path.stat().st_size < large / 4
    await notes.close()


def test_slack_of_an_empty_leaf_is_everything_behind_its_header() -> None:
    layout = Layout(page_bytes=4096, usable_bytes=4096, has_map=False)
    page = bytearray(4096)
    page[0:8] = bytes([13, 0, 0, 0, 0, 0x10, 0x00, 0])
    page[2_000:2_006] = b"remain"
    assert slack(bytes(page), 3, layout) == [(8, 4096)]
    assert is_dirty(bytes(page), 3, layout)
    assert not any(wiped(bytes(page), 3, layout)[8:])


@pytest.mark.parametrize(
    "header",
    [
        bytes([0, 0, 0, 9]),  # an overflow page
        bytes([13, 0, 0, 255, 255, 0, 9, 0]),  # more cells than fit
        bytes([13, 0, 0, 0, 1, 0x20, 0x00, 0]),  # content beyond the page
    ],
)
def test_pages_that_do_not_add_up_are_left_alone(header: bytes) -> None:
    layout = Layout(page_bytes=4096, usable_bytes=4096, has_map=False)
    page = header + b"\xff" * (4096 - len(header))
    assert slack(page, 3, layout) == []
    assert wiped(page, 3, layout) == page


def test_map_pages_are_not_taken_for_trees() -> None:
    layout = Layout(page_bytes=4096, usable_bytes=4096, has_map=True)
    assert not layout.is_tree(2, 5)
    assert layout.is_tree(3, 5)
    assert not layout.is_tree(2 + 4096 // 5 + 1, 2)
    assert not layout.is_tree(0x4000_0000 // 4096 + 1, 13)
    assert Layout.of(b"something else" * 20) is None
