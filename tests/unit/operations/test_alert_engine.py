"""Alerts over restarts, failing stores and clock jumps; each change is told once."""

import pytest

from cortex.bus.events import Event
from cortex.foundation.errors import CortexError
from cortex.operations.alerts.engine import Alerts
from cortex.operations.alerts.model import Evaluation, Phase, Rule, Severity
from cortex.operations.alerts.store import AlertStore
from cortex.operations.errors import AlertNotFound
from cortex.storage.outbox import Journal
from cortex.storage.sqlite import Database
from cortex.testing.memory import CountedIds

FAST = Rule("slo:a:fast", Severity.CRITICAL, objective="a")
SLOW = Rule("slo:a:slow", Severity.WARNING, objective="a")
CPU = Rule("HighCpu", Severity.WARNING, for_seconds=300, component="host")


def looked(rule: Rule, holds: bool = True, value: float = 1.0) -> Evaluation:
    return Evaluation(rule, holds, value)


IDS = CountedIds()


async def opened(database: Database, now: float = 0.0, *rules: Rule) -> Alerts:
    alerts = Alerts(rules or (FAST, SLOW, CPU), AlertStore(database), ids=IDS)
    await alerts.open(now)
    return alerts


async def told(database: Database) -> list[str]:
    journal = Journal(database, Event.from_json)
    entries = await journal.after(0, limit=100)
    return [f"{e.event.type} {e.event.subject}" for e in entries]


async def test_firing_and_resolving_are_events_of_the_outbox(
    database: Database,
) -> None:
    alerts = await opened(database)
    await alerts.evaluate([looked(FAST)], 10)
    await alerts.evaluate([looked(FAST)], 20)
    await alerts.evaluate([looked(FAST, holds=False)], 30)
    assert await told(database) == [
        "alert.fired slo:a:fast",
        "slo.burning a",
        "alert.resolved slo:a:fast",
        "slo.recovered a",
    ]


async def test_a_promise_recovers_when_the_last_of_its_alerts_ends(
    database: Database,
) -> None:
    alerts = await opened(database)
    await alerts.evaluate([looked(FAST), looked(SLOW)], 10)
    await alerts.evaluate([looked(FAST, holds=False), looked(SLOW)], 20)
    before = await told(database)
    await alerts.evaluate([looked(FAST, holds=False), looked(SLOW, holds=False)], 30)
    assert "slo.recovered a" not in before
    assert (await told(database))[-1] == "slo.recovered a"


async def test_a_condition_must_hold_for_its_time(database: Database) -> None:
    alerts = await opened(database)
    for now in range(0, 300, 10):
        assert await alerts.evaluate([looked(CPU)], now) == []
    assert [e.type for e in await alerts.evaluate([looked(CPU)], 300)] == [
        "alert.fired"
    ]


async def test_one_look_without_it_starts_the_wait_again(database: Database) -> None:
    alerts = await opened(database)
    await alerts.evaluate([looked(CPU)], 0)
    await alerts.evaluate([looked(CPU, holds=False)], 290)
    assert await alerts.evaluate([looked(CPU)], 300) == []
    assert await alerts.evaluate([looked(CPU)], 599) == []
    assert await alerts.evaluate([looked(CPU)], 600)


async def test_a_restart_neither_repeats_nor_forgets_a_page(
    database: Database,
) -> None:
    alerts = await opened(database)
    await alerts.evaluate([looked(FAST)], 10)
    again = await opened(database, 15)
    assert await again.evaluate([looked(FAST)], 20) == []
    resolved = await again.evaluate([looked(FAST, holds=False)], 30)
    assert [e.type for e in resolved] == ["alert.resolved", "slo.recovered"]


async def test_a_wait_survives_a_short_restart_and_not_a_long_one(
    database: Database,
) -> None:
    alerts = await opened(database)
    await alerts.evaluate([looked(CPU)], 1_000)
    await alerts.evaluate([looked(CPU)], 1_070)
    soon = await opened(database, 1_100)
    assert await soon.evaluate([looked(CPU)], 1_300)  # 300 s since it began
    await soon.evaluate([looked(CPU, holds=False)], 1_400)
    await soon.evaluate([looked(CPU)], 1_500)
    late = await opened(database, 9_000)
    assert await late.evaluate([looked(CPU)], 9_010) == []


async def test_an_alert_whose_rule_is_gone_is_resolved(database: Database) -> None:
    alerts = await opened(database)
    await alerts.evaluate([looked(FAST)], 10)
    without = await opened(database, 20, CPU)
    assert without.standing() == []
    assert "alert.resolved slo:a:fast" in await told(database)


async def test_what_could_not_be_stored_is_told_with_the_next_look(
    database: Database,
) -> None:
    store = AlertStore(database)
    alerts = Alerts([FAST], store, ids=IDS)
    await alerts.open(0)
    await database.close()
    with pytest.raises(CortexError):
        await alerts.evaluate([looked(FAST)], 10)
    await database.open()
    assert [e.type for e in await alerts.evaluate([looked(FAST)], 20)] == [
        "alert.fired",
        "slo.burning",
    ]
    assert await alerts.evaluate([looked(FAST)], 30) == []


async def test_a_clock_set_back_does_not_hasten_a_waiting_alert(
    database: Database,
) -> None:
    alerts = await opened(database)
    await alerts.evaluate([looked(CPU)], 5_000)
    assert await alerts.evaluate([looked(CPU)], 1_000) == []
    assert await alerts.evaluate([looked(CPU)], 1_299) == []
    assert await alerts.evaluate([looked(CPU)], 1_300)


async def test_acknowledging_is_kept_and_told_once(database: Database) -> None:
    alerts = await opened(database)
    await alerts.evaluate([looked(FAST)], 10)
    await alerts.acknowledge("slo:a:fast", "ann", 20)
    await alerts.acknowledge("slo:a:fast", "bob", 30)
    again = await opened(database, 40)
    [alert] = again.standing()
    assert alert.state.acknowledged_by == "ann"
    assert alert.state.phase is Phase.FIRING
    assert (await told(database)).count("alert.acknowledged slo:a:fast") == 1


async def test_only_what_fires_can_be_acknowledged(database: Database) -> None:
    alerts = await opened(database)
    await alerts.evaluate([looked(CPU)], 10)
    for name in ("HighCpu", "nothing"):
        with pytest.raises(AlertNotFound):
            await alerts.acknowledge(name, "ann", 20)


async def test_a_page_that_nobody_answers_escalates_once(database: Database) -> None:
    alerts = await opened(database)
    for now in range(10, 900, 10):
        await alerts.evaluate([looked(FAST), looked(SLOW)], now)
    assert "alert.escalated slo:a:fast" not in await told(database)
    alerts = await opened(database, 900.0)
    for now in range(910, 3_000, 10):
        await alerts.evaluate([looked(FAST), looked(SLOW)], now)
    alerts = await opened(database, 3_000.0)
    await alerts.evaluate([looked(FAST), looked(SLOW)], 3_010)
    escalations = [one for one in await told(database) if "escalated" in one]
    assert escalations == ["alert.escalated slo:a:fast"]


async def test_an_answered_page_does_not_escalate(database: Database) -> None:
    alerts = await opened(database)
    await alerts.evaluate([looked(FAST)], 10)
    await alerts.acknowledge(FAST.name, "kim", 20)
    await alerts.evaluate([looked(FAST)], 2_000)
    assert "alert.escalated slo:a:fast" not in await told(database)
