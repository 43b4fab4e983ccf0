"""Energy: drivers against trees of files and a made-up library, and the sums."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.foundation.metering import CpuMeter, Metered, charged
from cortex.operations.energy.carbon import CarbonPower
from cortex.operations.energy.controller import Energy
from cortex.operations.energy.host import Host
from cortex.operations.energy.meters import RequestMeters
from cortex.operations.energy.model import Interval, RouteUse, split
from cortex.operations.energy.nvml import NvmlPower
from cortex.operations.energy.rapl import RaplPower
from cortex.operations.energy.stated import StatedPower
from cortex.operations.errors import PowerUnavailable
from cortex.testing.clock import ManualClock

SECOND = Interval(seconds=1.0, cpus=4, busy_seconds=2.0, own_seconds=1.0)


# RAPL, as powercap lays it out on a machine of two packages.


def zone(root: Path, folder: str, name: str, energy: int, limit: int = 1_000_000):
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{energy}\n")
    (path / "max_energy_range_uj").write_text(f"{limit}\n")
    return path / "energy_uj"


def test_rapl_adds_packages_and_memory_and_leaves_parts_out(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", 100)
    zone(tmp_path, "intel-rapl:0:0", "core", 50)
    memory = zone(tmp_path, "intel-rapl:0:1", "dram", 10)
    second = zone(tmp_path, "intel-rapl:1", "package-1", 200)
    zone(tmp_path, "intel-rapl:2", "psys", 900)
    power = RaplPower(tmp_path)
    for file, value in ((first, 500_100), (memory, 100_010), (second, 400_200)):
        file.write_text(f"{value}\n")
    [drawn] = power.drawn(SECOND)
    assert drawn.joules == pytest.approx(1.0)
    assert (drawn.measured, drawn.source) == (True, "rapl")
    assert (drawn.low, drawn.high) == (drawn.joules, drawn.joules)


def test_a_rapl_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 999_000)
    power = RaplPower(tmp_path)
    counter.write_text("2000\n")
    assert power.drawn(SECOND)[0].joules == pytest.approx(0.003)


def test_a_counter_that_vanishes_adds_nothing(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 1_000)
    power = RaplPower(tmp_path)
    counter.unlink()
    assert power.drawn(SECOND)[0].joules == 0


@pytest.mark.parametrize("readable", [True, False])
def test_without_counters_there_is_no_rapl(tmp_path: Path, readable: bool) -> None:
    if readable:
        zone(tmp_path, "intel-rapl:0", "package-0", 1).write_text("")
    with pytest.raises(PowerUnavailable, match="RAPL"):
        RaplPower(tmp_path)


# NVML, by a library that answers as pynvml does.


class Nvml:
    class NVMLError(Exception):
        pass

    def __init__(self, cards: int = 2, counts_energy: bool = True) -> None:
        self.cards = cards
        self.counts_energy = counts_energy
        self.millijoules = 5_000

    def nvmlInit(self) -> None:  # noqa: N802
        if self.cards < 0:
            raise self.NVMLError("driver not loaded")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return self.cards

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetTotalEnergyConsumption(self, card: int) -> int:  # noqa: N802
        if not self.counts_energy:
            raise self.NVMLError("not supported")
        return self.millijoules * (card + 1)

    def nvmlDeviceGetPowerUsage(self, _card: int) -> int:  # noqa: N802
        return 75_000

    def nvmlDeviceGetMemoryInfo(self, card: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(total=100, used=40 + card * 20)


def test_cards_that_count_energy_are_read_as_counters() -> None:
    library = Nvml()
    power = NvmlPower(library)
    library.millijoules = 6_000
    [drawn] = power.drawn(SECOND)
    assert drawn.joules == pytest.approx(3.0)
    assert (drawn.part, drawn.measured, drawn.shared) == ("gpu", True, False)
    assert power.memory_ratios() == [0.4, 0.6]


def test_older_cards_tell_their_power() -> None:
    power = NvmlPower(Nvml(cards=1, counts_energy=False))
    assert power.drawn(SECOND)[0].joules == pytest.approx(75.0)


@pytest.mark.parametrize("cards", [-1, 0])
def test_without_a_card_there_is_no_nvml(cards: int) -> None:
    with pytest.raises(PowerUnavailable):
        NvmlPower(Nvml(cards=cards))


# CodeCarbon, by a tracker that answers as version 3.3 does.


class Tracker:
    def __init__(self) -> None:
        self._tasks: dict[str, object] = {}
        self.used: SimpleNamespace | None = SimpleNamespace(
            cpu_energy=2e-6, ram_energy=1e-6
        )

    def start_task(self, name: str) -> None:
        assert not self._tasks
        self._tasks[name] = object()

    def stop_task(self) -> SimpleNamespace | None:
        return self.used


def test_codecarbon_is_asked_an_interval_at_a_time() -> None:
    tracker = Tracker()
    power = CarbonPower(tracker)
    for _ in range(3):
        [drawn] = power.drawn(SECOND)
        assert drawn.joules == pytest.approx(10.8)
    assert (drawn.measured, drawn.source) == (False, "codecarbon")
    assert drawn.low < drawn.joules < drawn.high
    tracker.used = None
    assert power.drawn(SECOND)[0].joules == 0


# The stated model and the arithmetic.


def test_the_model_says_that_it_measures_nothing_and_how_wide_it_is() -> None:
    [drawn] = StatedPower().drawn(SECOND)
    assert drawn.joules == pytest.approx(4 * (0.74 + 0.5 * (3.5 - 0.74)))
    assert not drawn.measured
    assert drawn.low < drawn.joules < drawn.high
    [stated] = StatedPower(busy_watts=100).drawn(SECOND)
    assert stated.high / stated.joules < drawn.high / drawn.joules


@given(
    st.floats(0, 1e6),
    st.floats(0, 1e3),
    st.dictionaries(st.text(max_size=3), st.floats(0, 100), max_size=8),
)
def test_the_parts_sum_to_the_whole(
    joules: float, own: float, uses: dict[str, float]
) -> None:
    parts = split(joules, own, {n: RouteUse(1, cpu) for n, cpu in uses.items()})
    total = sum(parts.by_route.values()) + parts.background
    assert total == pytest.approx(joules, abs=1e-6)
    assert all(part >= 0 for part in parts.by_route.values())
    assert parts.background >= -1e-9 * max(1.0, joules)


def proc(root: Path, busy: int, idle: int) -> Path:
    root.mkdir(exist_ok=True)
    (root / "stat").write_text(f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 2 3\n")
    (root / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 250 kB\n")
    return root


def test_cortex_takes_its_share_and_requests_share_that(tmp_path: Path) -> None:
    clock, meters = ManualClock(), RequestMeters()
    host = Host(proc(tmp_path, busy=0, idle=0), own_seconds=0.0)
    host.cpus = 2
    energy = Energy(
        [StatedPower()], host, meters, clock=clock, grid_grams_per_kwh=360.0
    )
    for route, cpu in (("/memory/search", 1.0), ("/memory", 0.5)):
        meter, end = meters.begin(lambda route=route: route)
        meter.add(cpu)
        end()
    proc(tmp_path, busy=800, idle=1_200)  # hundredths: 8 s of 20
    host._own = 2.0
    clock.advance(10)
    energy.tick()
    report, totals = energy.report(), energy.totals
    machine = 10 * 2 * (0.74 + 0.4 * (3.5 - 0.74))
    assert totals.joules == pytest.approx(machine * 2 / 8)
    assert totals.routes["/memory/search"].joules == pytest.approx(totals.joules / 2)
    assert totals.background_joules == pytest.approx(totals.joules / 4)
    assert report.power_watts == pytest.approx(totals.joules / 10)
    assert report.average_watts == pytest.approx(totals.joules / 10)
    grams = totals.joules / 2 / 3_600_000 * 360
    assert report.sci_grams == pytest.approx(grams * 1_000)
    assert energy.memory_ratio == pytest.approx(0.75)


def test_a_request_that_outlives_a_tick_is_counted_in_both() -> None:
    meters = RequestMeters()
    meter, end = meters.begin(lambda: "/slow")
    meter.add(1.0)
    assert meters.drain()["/slow"] == RouteUse(0, 1.0)
    meter.add(0.25)
    end()
    assert meters.drain()["/slow"] == RouteUse(1, 0.25)
    assert meters.drain() == {}


# Metering real work.


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def test_each_request_is_charged_for_its_own_steps_and_threads() -> None:
    async def light() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def heavy() -> None:
        burn(0.02)
        await asyncio.sleep(0)
        work = charged(lambda: burn(0.03))
        await asyncio.get_running_loop().run_in_executor(None, work)

    meters = [CpuMeter(), CpuMeter()]

    async def run(call, meter: CpuMeter) -> None:
        await Metered(call(), meter)

    await asyncio.gather(run(light, meters[0]), run(heavy, meters[1]))
    assert meters[0].cpu_seconds < 0.01
    assert 0.05 <= meters[1].cpu_seconds < 0.08


async def test_what_is_raised_and_cancelled_passes_through() -> None:
    async def failing() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    async def patient() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            burn(0.01)

    with pytest.raises(KeyError):
        await Metered(failing(), CpuMeter())
    meter = CpuMeter()

    async def run() -> None:
        await Metered(patient(), meter)

    task = asyncio.get_running_loop().create_task(run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert meter.cpu_seconds >= 0.01
