"""Daily quotas: what is used up is refused until midnight, and nothing is forgotten."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cortex.operations.errors import QuotaExceeded
from cortex.operations.quotas import DAYS_KEPT, Measure, Meter, Quotas
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database
from cortex.testing.clock import ManualClock

NOON = 20_000 * 86_400 + 43_200.0
TEN_TOKENS = Quotas(tokens=10)


@pytest.fixture
def noon() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
async def file(tmp_path: Path, noon: ManualClock) -> AsyncIterator[Database]:
    rooms = ("cortex.storage", "cortex.operations")
    steps = tuple(step for room in rooms for step in load_migrations(room))
    database = Database(tmp_path / "cortex.db", clock=noon, migrations=steps)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def meter(file: Database, noon: ManualClock) -> Meter:
    made = Meter(TEN_TOKENS, file, clock=noon)
    await made.open()
    return made


def used(meter: Meter, tenant: str = "ann") -> int:
    return meter.usage(tenant).used[Measure.TOKENS]


async def test_what_is_left_may_be_used_and_the_next_call_is_refused(meter: Meter):
    meter.check("ann", Measure.TOKENS)
    meter.add("ann", {Measure.TOKENS: 12})
    with pytest.raises(QuotaExceeded, match="used up its 10 tokens") as refused:
        meter.check("ann", Measure.TOKENS)
    assert refused.value.retry_after_seconds == 43_200
    assert refused.value.data["used"] == 12


async def test_tenants_and_measures_are_counted_apart(meter: Meter):
    meter.add("ann", {Measure.TOKENS: 50})
    meter.check("bob", Measure.TOKENS)
    meter.check("ann", Measure.BYTES)
    assert used(meter, "bob") == 0


async def test_midnight_begins_a_new_count(meter: Meter, noon: ManualClock):
    meter.add("ann", {Measure.TOKENS: 50})
    noon.advance(43_201)
    meter.check("ann", Measure.TOKENS)
    assert used(meter) == 0


async def test_usage_survives_a_restart(meter: Meter, file: Database, noon):
    meter.add("ann", {Measure.TOKENS: 7})
    await meter.flush()
    again = Meter(TEN_TOKENS, file, clock=noon)
    await again.open()
    assert used(again) == 7


async def test_workers_see_each_others_usage(meter: Meter, file: Database, noon):
    other = Meter(TEN_TOKENS, file, clock=noon)
    for worker in (meter, other, meter, other):
        worker.add("ann", {Measure.TOKENS: 3})
        await worker.flush()
    await meter.flush()
    assert used(meter) == used(other) == 12


async def test_a_clock_that_steps_back_over_midnight_finds_the_old_count(
    meter: Meter, noon: ManualClock
):
    meter.add("ann", {Measure.TOKENS: 7})
    await meter.flush()
    noon.advance(86_400)
    await meter.flush()
    noon.step(-86_400)
    await meter.flush()
    assert used(meter) == 7


async def test_what_cannot_be_stored_is_counted_still(
    meter: Meter, file: Database, monkeypatch: pytest.MonkeyPatch
):
    meter.add("ann", {Measure.TOKENS: 7})

    async def full(_unit):
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(file, "write", full)
        with pytest.raises(OSError, match="no space"):
            await meter.flush()
    assert used(meter) == 7
    await meter.flush()
    assert used(meter) == 7


async def test_old_days_are_forgotten(meter: Meter, file: Database, noon: ManualClock):
    for _ in range(3):
        meter.add("ann", {Measure.TOKENS: 1})
        await meter.flush()
        noon.advance((DAYS_KEPT + 1) * 86_400)
    meter.add("ann", {Measure.TOKENS: 1})
    await meter.flush()
    rows = await file.read(
        lambda c: c.execute("SELECT count(*) FROM quota_usage").fetchone()
    )
    assert rows == (1,)
