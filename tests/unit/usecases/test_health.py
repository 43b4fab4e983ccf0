import asyncio

from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import Unavailable
from cortex.usecases import health
from cortex.usecases.health import Health, Ready
from cortex.usecases.model import Status


async def _fine() -> dict[str, object]:
    return {"rows": 3}


async def _weak() -> dict[str, object]:
    return {"degraded": True}


async def _broken() -> dict[str, object]:
    raise Unavailable("the file is gone")


def _health(**checks: object) -> Health:
    return Health(checks, vital=frozenset({"database"}), clock=SystemClock())


async def test_all_well_is_ok_with_what_was_measured() -> None:
    report = await _health(database=_fine)()
    assert report.status is Status.OK
    assert report.checks["database"].detail == {"rows": 3}
    assert report.checks["database"].latency_ms >= 0


async def test_a_stand_in_degrades_the_whole() -> None:
    report = await _health(database=_fine, embedder=_weak)()
    assert report.status is Status.DEGRADED


async def test_a_failing_part_degrades_and_a_failing_vital_one_is_unhealthy() -> None:
    assert (await _health(database=_fine, embedder=_broken)()).status is Status.DEGRADED
    report = await _health(database=_broken)()
    assert report.status is Status.UNHEALTHY
    assert "the file is gone" in report.checks["database"].error


async def test_a_hanging_check_counts_as_failed(monkeypatch) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS_MAX", 0.01)
    report = await _health(database=asyncio.Event().wait)()
    assert report.status is Status.UNHEALTHY
    assert "no answer" in report.checks["database"].error


async def test_ready_needs_the_state_and_the_vital_parts() -> None:
    assert (await Ready(lambda: "ready", _health(database=_fine))()).ready
    draining = await Ready(lambda: "draining", _health(database=_fine))()
    assert (draining.ready, draining.reason) == (False, "draining")
    broken = await Ready(lambda: "ready", _health(database=_broken))()
    assert (broken.ready, broken.reason) == (False, "unhealthy: database")
