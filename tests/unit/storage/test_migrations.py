"""Schemas go forward in order, all or nothing, with a copy kept from before."""

from pathlib import Path

import pytest

from cortex.storage.errors import MigrationFailed, SchemaTooNew, StorageError
from cortex.storage.migrations import (
    Migration,
    check_numbers,
    load_migrations,
    statements,
)
from cortex.storage.sqlite import Connection, Database
from cortex.testing.clock import ManualClock

ONE = Migration("room", 1, "create", "CREATE TABLE one (a TEXT);")
TWO = Migration("room", 2, "more", "CREATE TABLE two (a TEXT);\nDROP TABLE one;")
BAD = Migration("room", 2, "bad", "CREATE TABLE two (a TEXT);\nSELECT * FROM nowhere;")


async def opened(path: Path, *steps: Migration) -> Database:
    database = Database(path, clock=ManualClock(), migrations=steps)
    await database.open()
    return database


def tables(connection: Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {name for (name,) in rows}


def backups(path: Path) -> list[Path]:
    return list(path.parent.glob("*.bak"))


async def test_a_fresh_file_gets_all_steps_without_a_backup(path: Path) -> None:
    database = await opened(path, ONE, TWO)
    assert await database.read(tables) == {"two", "schema_migrations"}
    assert not backups(path)
    await database.close()


async def test_an_older_file_is_copied_and_taken_forward(path: Path) -> None:
    database = await opened(path, ONE)
    await database.write(lambda c: c.execute("INSERT INTO one VALUES ('kept')"))
    await database.close()
    database = await opened(path, ONE, TWO)
    assert "one" not in await database.read(tables)
    (copy,) = backups(path)
    await database.close()
    before = await opened(copy, ONE)
    rows = await before.read(lambda c: c.execute("SELECT a FROM one").fetchall())
    assert rows == [("kept",)]
    await before.close()
    again = await opened(path, ONE, TWO)
    assert len(backups(path)) == 1
    await again.close()


async def test_a_failing_step_changes_nothing(path: Path) -> None:
    await (await opened(path, ONE)).close()
    with pytest.raises(MigrationFailed, match="room 0002"):
        await opened(path, ONE, BAD)
    database = await opened(path, ONE)
    assert await database.read(tables) == {"one", "schema_migrations"}
    await database.close()


async def test_a_newer_file_is_refused_untouched(path: Path) -> None:
    await (await opened(path, ONE, TWO)).close()
    content = path.read_bytes()
    with pytest.raises(SchemaTooNew, match="newer release") as refusal:
        await opened(path, ONE)
    assert refusal.value.data["found"] == 2
    assert path.read_bytes() == content


async def test_a_room_unknown_to_this_release_is_left_alone(path: Path) -> None:
    other = Migration("plugin", 1, "create", "CREATE TABLE plugin (a TEXT);")
    await (await opened(path, ONE, other)).close()
    database = await opened(path, ONE)
    assert "plugin" in await database.read(tables)
    await database.close()


def test_numbers_have_no_gaps() -> None:
    with pytest.raises(StorageError, match="0001"):
        check_numbers([TWO])
    with pytest.raises(StorageError, match="0002"):
        check_numbers([ONE, ONE])


def test_this_packages_own_steps_load() -> None:
    steps = load_migrations("cortex.storage")
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert {step.room for step in steps} == {"storage"}


def test_scripts_are_split_at_statements() -> None:
    script = (
        "-- first\nCREATE TABLE a (b TEXT DEFAULT 'x;y');\n"
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM a;\nEND;\n-- end\n"
    )
    found = list(statements(script))
    assert len(found) == 2
    assert found[1].startswith("CREATE TRIGGER")
    assert found[1].endswith("END;")
