"""One of many speaks: the lock, and what the others show."""

from pathlib import Path

from cortex.operations.alerts.engine import Alerts
from cortex.operations.alerts.model import Evaluation, Rule, Severity
from cortex.operations.alerts.store import AlertStore
from cortex.operations.leadership import Lead
from cortex.storage.sqlite import Database
from cortex.testing.memory import CountedIds


def test_one_leads_until_it_lets_go(tmp_path: Path) -> None:
    first, second = Lead(tmp_path / "lock"), Lead(tmp_path / "lock")
    assert first.held()
    assert first.held()
    assert not second.held()
    first.release()
    assert second.held()
    assert not first.held()
    second.release()
    second.release()


async def test_who_does_not_lead_shows_what_the_leader_stored(
    database: Database,
) -> None:
    rule = Rule("HighCpu", Severity.WARNING)
    ids = CountedIds()
    leader = Alerts([rule], AlertStore(database), ids=ids)
    other = Alerts([rule], AlertStore(database), ids=ids)
    await leader.open(0)
    await other.open(0)
    await leader.evaluate([Evaluation(rule, holds=True, value=0.9)], 10)
    await other.follow()
    assert [a.rule.name for a in other.standing()] == ["HighCpu"]
    await leader.evaluate([Evaluation(rule, holds=False, value=0.1)], 20)
    await other.follow()
    assert other.standing() == []
