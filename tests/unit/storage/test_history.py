import asyncio

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter

from cortex.storage.migrations import load_migrations
from cortex.storage.observations import series as module
from cortex.storage.observations.series import SqliteHistory
from cortex.storage.observations.tiers import TIERS
from cortex.storage.sqlite import Database
from cortex.telemetry.history import functions
from cortex.telemetry.history.model import (
    Catalogued,
    Comparison,
    Kind,
    Matcher,
    Run,
    Sample,
    Selector,
)
from cortex.telemetry.history.sampler import Sampler
from cortex.testing.clock import ManualClock

START = 1_700_000_400.0  # a full minute
TOTAL = Selector("m_total")


def counter(value, name="m_total", **labels):
    return Sample(name, tuple(sorted(labels.items())), Kind.COUNTER, float(value))


def gauge(value, name="level"):
    return Sample(name, (), Kind.GAUGE, float(value))


class Life:
    """One process over the file."""

    def __init__(self, path, clock, name="one"):
        self.clock = clock
        self.run = Run(name, clock.now())
        steps = load_migrations("cortex.storage.observations")
        self.database = Database(path, clock=clock, migrations=steps)
        self.history = SqliteHistory(self.database, clock)

    async def __aenter__(self):
        await self.database.open()
        return self

    async def __aexit__(self, *_):
        await self.database.close()

    async def tick(self, *samples, seconds=10.0):
        self.clock.advance(seconds)
        return await self.history.append(self.clock.now(), samples, self.run)

    async def values(self, selector=TOTAL, seconds=3600.0, step=0.0):
        now = self.clock.now()
        found = await self.history.select(selector, now - seconds, now, step=step)
        return {line.labels: line.values.tolist() for line in found}


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "telemetry.db"


async def test_a_counter_begins_with_a_zero_at_its_birth(path, clock):
    async with Life(path, clock) as life:
        await life.tick(counter(3))
        await life.tick(counter(3), counter(2, code="X"))
        found = await life.values()
        assert found[()] == [0, 3, 3]
        assert found[("code", "X"),] == [0, 2]


async def test_a_timer_that_wakes_early_costs_no_count(path, clock):
    clock.advance(2.0)  # the process starts within a stretch of ten seconds
    metrics = CollectorRegistry()
    total = Counter("m", "What is counted.", registry=metrics)

    async def collect():
        return metrics.collect()

    async with Life(path, clock) as life:
        sampler = Sampler(life.history, collect, clock=clock, run=life.run)
        total.inc(40)
        clock.advance(8.0 - 0.0005)
        assert await sampler.sample()
        clock.advance(5.0)
        assert await life.values() == {(): [0.0, 40.0]}
        [line] = await life.history.select(TOTAL, START, clock.now())
        assert line.times.tolist() == [START + 2.0, START + 10.0]


async def test_a_restart_is_seen_even_when_the_new_count_is_larger(path, clock):
    async with Life(path, clock) as life:
        await life.tick(counter(5))
    async with Life(path, clock, "two") as life:
        await life.tick(counter(50))
        assert (await life.values())[()] == [0, 5, 55]


async def test_another_process_of_the_same_run_goes_on_where_the_first_was(path, clock):
    async with Life(path, clock) as one, Life(path, clock) as two:
        assert await one.tick(counter(5))
        assert not await two.history.append(clock.now(), [counter(5)], two.run)
        assert await two.tick(counter(7), counter(1, code="X"))
        assert await one.tick(counter(8), counter(4, code="X"))
        found = await one.values()
        assert found == {(): [0, 5, 7, 8], (("code", "X"),): [0, 1, 4]}


async def test_a_counter_not_exposed_since_the_restart_keeps_its_total(path, clock):
    async with Life(path, clock) as life:
        await life.tick(counter(5))
    async with Life(path, clock, "two") as life:
        await life.tick(gauge(1))
        await life.tick(counter(2))
        assert (await life.values())[()] == [0, 5, 5, 7]


async def test_a_clock_set_back_is_followed_and_costs_no_count(path, clock):
    async with Life(path, clock) as life:
        for value in (5, 7, 9):
            await life.tick(counter(value), gauge(1))
        clock.step(-3600)
        assert await life.tick(counter(12), gauge(2))
        assert not await life.history.append(clock.now() - 10, [gauge(3)], life.run)
        assert await life.values(Selector("level")) == {(): [2.0]}
        assert (await life.values())[()][-1] == 12.0
    async with Life(path, clock, "two") as life:
        await life.tick(counter(1))
        assert (await life.values())[()][-1] == 13.0


async def test_a_clock_that_leaps_and_returns_costs_no_history(path, clock):
    year = 365 * 86_400.0
    async with Life(path, clock) as life:
        for value in range(60):
            await life.tick(gauge(value))
        clock.step(year)
        for value in range(40):
            await life.tick(gauge(1000 + value))
        clock.step(-year)
        for value in range(20):
            await life.tick(gauge(2000 + value))
        (kept,) = (await life.values(Selector("level"), 6 * 3600.0)).values()
        assert kept == [*map(float, range(60)), *map(float, range(2000, 2020))]


async def test_after_a_long_rest_what_is_too_old_goes_an_hour_later(path, clock):
    async with Life(path, clock) as life:
        await life.tick(gauge(7))
        clock.advance(40 * 86_400.0)
        for number in range(150):
            await life.tick(gauge(1), seconds=60.0)
            if number == 50:
                (kept,) = (await life.values(Selector("level"), 5e6)).values()
                assert 7.0 in kept
        (kept,) = (await life.values(Selector("level"), 5e6)).values()
        assert set(kept) == {1.0}


async def test_a_gauge_that_is_gone_has_no_values(path, clock):
    async with Life(path, clock) as life:
        await life.tick(gauge(4))
        await life.tick(counter(1))
        assert (await life.values(Selector("level")))[()] == [4]


async def test_minutes_hold_means_of_gauges_and_last_values_of_counters(path, clock):
    async with Life(path, clock) as life:
        for n in range(1, 13):
            await life.tick(gauge(n), counter(n))
        now = clock.now()
        start = now - 119
        levels = await life.history.select(Selector("level"), start, now, step=60)
        assert levels[0].values.tolist() == [3.5, 9.5]
        assert levels[0].times.tolist() == [now - 60, now]
        counts = await life.history.select(TOTAL, start, now, step=60)
        assert counts[0].values.tolist() == [6, 12]


async def test_coarse_values_go_on_with_fine_ones_up_to_now(path, clock):
    async with Life(path, clock) as life:
        for n in range(1, 9):
            await life.tick(counter(n))
        assert (await life.values(step=60, seconds=75))[()] == [6, 7, 8]


async def test_old_values_grow_coarser_and_then_go(path, clock):
    async with Life(path, clock) as life:
        steps = 0
        for _ in range(32):  # days, a few instants each
            for _ in range(4):
                steps += 1
                await life.tick(counter(steps), seconds=6 * 3600)
        rows = await life.database.read(
            lambda c: c.execute(
                "SELECT tier, min(at) FROM instants GROUP BY 1"
            ).fetchall()
        )
        now = clock.now()
        for (number, oldest), tier in zip(rows, TIERS, strict=True):
            assert number == tier.number
            assert now - oldest <= tier.kept_seconds
        found = await life.history.select(TOTAL, now - 29 * 86_400, now)
        assert np.all(np.diff(found[0].values) == 1)


async def test_an_increase_over_a_day_is_exact_in_every_tier(path, clock):
    async with Life(path, clock) as life:
        for n in range(1, 400):
            await life.tick(counter(n * 3), seconds=60)
        now = clock.now()
        for step in (10, 60, 3600):
            (line,) = await life.history.select(TOTAL, now - 7200, now, step=step)
            grown = functions.increase(line, np.array([now]), 7200.0)[0]
            assert grown == pytest.approx(360, rel=0.02)


async def test_too_many_bytes_cost_the_oldest_fine_values(path, clock, monkeypatch):
    monkeypatch.setattr(module, "BYTES_MAX", 4_000)
    async with Life(path, clock) as life:
        for n in range(400):
            await life.tick(counter(n), gauge(n * 1.1))
        rows = await life.database.read(
            lambda c: c.execute(
                "SELECT count(*) FROM instants WHERE tier = 0"
            ).fetchone()
        )
        assert rows[0] < 300
        assert (await life.values())[()][-1] == 399


async def test_too_many_series_are_dropped(path, clock, monkeypatch):
    monkeypatch.setattr(module, "SERIES_MAX", 3)
    async with Life(path, clock) as life:
        await life.tick(*(counter(1, n=str(n)) for n in range(5)))
        assert len(await life.values()) == 3


async def test_a_write_that_fails_leaves_nothing_half_known(path, clock):
    async with Life(path, clock) as life:
        await life.tick(counter(1))
        broken = Sample("m_total", (("a", "b"),), Kind.COUNTER, "no number")
        with pytest.raises(ValueError, match="convert"):
            await life.tick(counter(2), broken)
        await life.tick(counter(3), counter(1, a="b"))
        found = await life.values()
        assert found == {(): [0, 1, 3], (("a", "b"),): [0, 1]}


async def test_matchers_choose_series_and_the_catalog_names_metrics(path, clock):
    async with Life(path, clock) as life:
        await life.tick(counter(1, r="a"), counter(2, r="b"), gauge(1))
        wanted = Selector("m_total", (Matcher("r", "[b-z]", Comparison.MATCHES),))
        assert list(await life.values(wanted)) == [(("r", "b"),)]
        assert await life.values(Selector("none")) == {}
        assert await life.history.catalog() == [
            Catalogued("level", Kind.GAUGE, 1),
            Catalogued("m_total", Kind.COUNTER, 2),
        ]


async def test_two_processes_that_race_keep_each_instant_once(path, clock):
    async with Life(path, clock) as one, Life(path, clock) as two:
        for n in range(1, 20):
            clock.advance(10)
            sample = [counter(n)]
            kept = await asyncio.gather(
                one.history.append(clock.now(), sample, one.run),
                two.history.append(clock.now(), sample, two.run),
            )
            assert sorted(kept) == [False, True]
        assert (await one.values())[()] == list(range(20))
