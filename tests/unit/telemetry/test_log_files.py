"""Lines of several processes in one bounded folder, and what can be asked of them."""

import json
from datetime import UTC, datetime
from io import StringIO

import pytest

from cortex.foundation.errors import ValidationError
from cortex.telemetry.log_files import (
    FILES,
    LOST,
    PENDING_LINES_MAX,
    LogFiles,
    files_in,
)
from cortex.telemetry.log_search import LogQuestion, LogSearch
from cortex.telemetry.logs import LogOptions, build_logger
from cortex.testing.memory import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "logs"


def line(event: str, at: float, level: str = "info", **more: object) -> str:
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return json.dumps({"event": event, "level": level, "timestamp": moment, **more})


async def put(folder, clock, *lines: str, bytes_max: int = 80_000) -> None:
    files = LogFiles(folder, bytes_max, clock)
    for one in lines:
        files.keep(one)
    await files.flush()


async def events(folder, **asked: object) -> list[str]:
    page = await LogSearch(folder).page(LogQuestion(**asked))
    return [one["event"] for one in page.lines]


async def test_two_processes_share_a_file_and_lines_are_found_newest_first(
    folder, clock
):
    one, two = LogFiles(folder, 80_000, clock), LogFiles(folder, 80_000, clock)
    for files, event in ((one, "a"), (two, "b"), (one, "c")):
        files.keep(line(event, clock.now()))
        await files.flush()
    assert len(files_in(folder)) == 1
    assert await events(folder) == ["c", "b", "a"]
    assert files_in(folder)[0].stat().st_mode & 0o077 == 0


async def test_the_room_is_bounded_and_the_oldest_lines_go(folder, clock):
    for n in range(200):
        await put(folder, clock, line(f"e{n}", clock.now(), fill="x" * 400))
        clock.advance(1)
    files = files_in(folder)
    assert len(files) == FILES
    assert sum(path.stat().st_size for path in files) <= 90_000
    found = await events(folder, limit=1000)
    assert found[0] == "e199"
    assert found == [f"e{199 - n}" for n in range(len(found))]


async def test_what_is_logged_is_kept_redacted_also_from_a_console(folder, clock):
    files = LogFiles(folder, 80_000, clock)
    for as_json in (True, False):
        options = LogOptions(json=as_json)
        log = build_logger(options, clock, StringIO(), keep=files.keep)
        log.warning("odd", token="s3cr3t", place="here")
    await files.flush()
    page = await LogSearch(folder).page(LogQuestion())
    assert [one["place"] for one in page.lines] == ["here", "here"]
    assert "s3cr3t" not in files_in(folder)[0].read_text()


async def test_conditions_choose(folder, clock):
    await put(
        folder,
        clock,
        line("old", 100, "error", correlation_id="r1"),
        line("new", 200, "warning", correlation_id="r2", route="/Memory"),
        line("quiet", 300, "debug", correlation_id="r2"),
        '{"event": "half',
    )
    assert await events(folder, level="warning") == ["new", "old"]
    assert await events(folder, since=150) == ["quiet", "new"]
    assert await events(folder, until=200.0) == ["new", "old"]
    assert await events(folder, correlation_id="r2") == ["quiet", "new"]
    assert await events(folder, text="/memory") == ["new"]


async def test_pages_and_what_follows_have_no_gap_and_no_repeat(folder, clock):
    await put(folder, clock, *(line(f"e{n}", n) for n in range(5)))
    search, seen, cursor = LogSearch(folder), [], None
    while True:
        page = await search.page(LogQuestion(limit=2, cursor=cursor))
        seen += [one["event"] for one in page.lines]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert seen == ["e4", "e3", "e2", "e1", "e0"]
    newest = page.newest
    assert await events(folder, after=newest) == []
    await put(folder, clock, line("e5", 5), bytes_max=8)  # the next file begins
    clock.advance(1)
    await put(folder, clock, line("e6", 6), line("e7", 7), bytes_max=8)
    assert await events(folder, after=newest) == ["e5", "e6", "e7"]
    page = await search.page(LogQuestion(after=newest, limit=2))
    assert await events(folder, after=page.newest) == ["e7"]


async def test_a_summary_counts_by_level_and_event(folder, clock):
    many = [line("request", n) for n in range(3)]
    await put(folder, clock, *many, line("failed", 9, "error"))
    groups = await LogSearch(folder).summary(LogQuestion())
    told = [(one.level, one.event, one.count, one.first, one.last) for one in groups]
    assert told == [("error", "failed", 1, 9, 9), ("info", "request", 3, 0, 2)]


async def test_a_disk_that_takes_nothing_costs_lines_and_says_how_many(folder, clock):
    files = LogFiles(folder, 80_000, clock)
    folder.write_text("no folder")
    files.keep(line("a", 1))
    files.keep(line("b", 2))
    await files.flush()
    folder.unlink()
    files.keep(line("c", 3))
    await files.flush()
    page = await LogSearch(folder).page(LogQuestion())
    assert [one["event"] for one in page.lines] == [LOST, "c"]
    assert page.lines[0]["lines"] == 2


async def test_a_flood_is_bounded(folder, clock):
    files = LogFiles(folder, 80_000_000, clock)
    for n in range(PENDING_LINES_MAX + 7):
        files.keep(line("flood", n))
    await files.flush()
    page = await LogSearch(folder).page(LogQuestion(limit=1))
    assert page.lines[0]["lines"] == 7


async def test_without_a_folder_nothing_is_found_and_a_wrong_place_is_refused(folder):
    assert await events(folder) == []
    assert await events(folder, after="") == []
    with pytest.raises(ValidationError):
        await events(folder, cursor="../etc/passwd:0")
