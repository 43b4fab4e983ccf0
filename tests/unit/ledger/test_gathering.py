"""Requests that come together are written together; each has its own answer."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import CortexError, NotFound, Overloaded
from cortex.ledger.gathering import (
    GROUP_ENTRIES_MAX,
    GROUP_WEIGHT_MAX,
    WAITING_MAX,
    Gatherer,
)
from cortex.storage.errors import StorageClosed
from cortex.storage.sqlite import Connection, Database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(tmp_path / "a.db", clock=SystemClock())
    await opened.open()
    yield opened
    await opened.close()


class Groups:
    """Answers with the double of a request; keeps who was written with whom."""

    def __init__(self) -> None:
        self.seen: list[Sequence[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(
        self, connection: Connection, requests: Sequence[int]
    ) -> list[int | CortexError]:
        del connection
        self.gate.wait(10)
        self.seen.append(list(requests))
        if 13 in requests:
            raise ZeroDivisionError
        return [
            NotFound("there is no such entry") if request < 0 else 2 * request
            for request in requests
        ]


async def test_who_comes_together_is_written_together(database: Database) -> None:
    groups = Groups()
    gatherer = Gatherer(database, groups)

    first = await asyncio.gather(*(gatherer.add(n) for n in range(5)))
    second = await asyncio.gather(*(gatherer.add(n) for n in range(5)))

    assert first == second == [0, 2, 4, 6, 8]
    assert groups.seen == [[0, 1, 2, 3, 4]] * 2


async def test_who_asks_again_at_once_is_in_the_next_group(database: Database) -> None:
    groups = Groups()
    gatherer = Gatherer(database, groups)

    async def twice(number: int) -> None:
        await gatherer.add(number)
        await gatherer.add(number + 100)

    await asyncio.gather(*(twice(n) for n in range(8)))

    assert [len(group) for group in groups.seen] == [8, 8]


async def test_what_is_wrong_with_one_fails_that_one_alone(database: Database) -> None:
    gatherer = Gatherer(database, Groups())

    answers = await asyncio.gather(
        gatherer.add(1), gatherer.add(-1), gatherer.add(2), return_exceptions=True
    )

    assert (answers[0], answers[2]) == (2, 4)
    assert isinstance(answers[1], NotFound)


async def test_a_group_that_fails_is_told_to_all_and_the_next_goes_on(
    database: Database,
) -> None:
    gatherer = Gatherer(database, Groups())

    answers = await asyncio.gather(
        gatherer.add(1), gatherer.add(13), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [ZeroDivisionError] * 2
    assert await gatherer.add(4) == 8


async def test_groups_are_bounded_by_number_and_weight(database: Database) -> None:
    groups = Groups()
    gatherer = Gatherer(database, groups)

    await asyncio.gather(*(gatherer.add(20) for _ in range(GROUP_ENTRIES_MAX + 1)))
    heavy = GROUP_WEIGHT_MAX // 2
    await asyncio.gather(*(gatherer.add(20, heavy) for _ in range(5)))

    assert [len(group) for group in groups.seen] == [GROUP_ENTRIES_MAX, 1, 2, 2, 1]


async def test_too_many_are_told_to_slow_down(database: Database) -> None:
    groups = Groups()
    groups.gate.clear()
    gatherer = Gatherer(database, groups)
    waiting = [asyncio.ensure_future(gatherer.add(n + 20)) for n in range(WAITING_MAX)]
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await gatherer.add(1)

    groups.gate.set()
    assert len(await asyncio.gather(*waiting)) == WAITING_MAX


async def test_who_gave_up_is_passed_over(database: Database) -> None:
    groups = Groups()
    groups.gate.clear()
    gatherer = Gatherer(database, groups)
    first = asyncio.ensure_future(gatherer.add(1))
    await asyncio.sleep(0.01)
    late = [asyncio.ensure_future(gatherer.add(n)) for n in (2, 3)]
    await asyncio.sleep(0.01)
    late[0].cancel()
    groups.gate.set()

    assert (await first, await late[1]) == (2, 6)
    assert groups.seen == [[1], [3]]


async def test_a_closed_file_is_told(database: Database) -> None:
    gatherer = Gatherer(database, Groups())
    await database.close()

    with pytest.raises(StorageClosed):
        await gatherer.add(1)
