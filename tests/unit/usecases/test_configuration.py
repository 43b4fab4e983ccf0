"""The run-time layer of several processes: followed, undone, and read at the start."""

import pytest

from cortex.foundation.errors import Conflict
from cortex.operations.configuration.model import Kind, Revision
from cortex.operations.errors import RevisionMoved, SettingsNotApplied
from cortex.testing.configuration import FakeRevisions, FakeTuning
from cortex.testing.memory import VirtualClock
from cortex.usecases.configuration import AUTOMATIC, Condition, Configuration
from cortex.usecases.model import CallContext

CONTEXT = CallContext("c1", "chief")
WHY = Condition(reason="a test")


class Process:
    """One process over revisions that others share."""

    def __init__(self, revisions: FakeRevisions) -> None:
        self.tuning = FakeTuning()
        self.warned: list[dict[str, object]] = []
        self.configuration = Configuration(
            self.tuning,
            revisions,
            revisions.clock,
            lambda event, **fields: self.warned.append({"event": event, **fields}),
        )

    async def set(self, **values):
        return await self.configuration.change(values, (), WHY, CONTEXT)


@pytest.fixture
def revisions():
    return FakeRevisions(VirtualClock())


async def test_another_process_follows(revisions):
    one, other = Process(revisions), Process(revisions)
    await one.set(log_level="debug")
    await other.configuration.follow()
    assert other.tuning.applied == {"log_level": "debug"}
    assert other.configuration.revision == 1


async def test_a_change_is_made_over_what_others_stored_before(revisions):
    one, other = Process(revisions), Process(revisions)
    await one.set(log_level="debug")
    made = await other.configuration.change({"trace": {"ratio": 0.5}}, (), WHY, CONTEXT)
    assert made.revision == 2
    assert other.tuning.applied == {"log_level": "debug", "trace.ratio": 0.5}


async def test_a_change_that_loses_the_race_is_made_again(revisions):
    one, other = Process(revisions), Process(revisions)
    kept, races = revisions.append, iter([True, False])

    async def raced(draft, *, on):
        if next(races, False):
            await other.configuration.change({"log_level": "debug"}, (), WHY, CONTEXT)
            raise RevisionMoved("the other was quicker")
        return await kept(draft, on=on)

    racing = FakeRevisions(revisions.clock, revisions.kept)
    racing.append = raced
    one.configuration._revisions = racing
    made = await one.configuration.change({"trace": {"ratio": 0.5}}, (), WHY, CONTEXT)
    assert made.revision == 2
    assert one.tuning.applied == {"log_level": "debug", "trace.ratio": 0.5}


async def test_a_change_that_always_loses_says_so(revisions):
    one = Process(revisions)

    async def refused(draft, *, on):
        raise RevisionMoved("the other was quicker")

    revisions.append = refused
    with pytest.raises(Conflict, match="by others all the time"):
        await one.set(log_level="debug")


async def test_a_process_that_cannot_follow_rolls_all_back(revisions):
    one, other = Process(revisions), Process(revisions)
    other.tuning.broken.add("debug")
    await one.set(log_level="debug")
    await other.configuration.follow()
    last = revisions.kept[-1]
    assert (last.number, last.kind, last.target) == (2, Kind.ROLLED_BACK, 0)
    assert last.actor == AUTOMATIC
    assert "it is broken" in last.reason
    assert [(c.name, c.before, c.after) for c in last.changes] == [
        ("log_level", "debug", "info")
    ]
    await one.configuration.follow()
    assert one.tuning.applied == other.tuning.applied == {}
    await other.configuration.follow()
    assert revisions.newest() == 2


async def test_processes_that_cannot_agree_do_not_roll_back_for_ever(revisions):
    one, other = Process(revisions), Process(revisions)
    await one.set(log_level="warning")
    await other.configuration.follow()
    one.tuning.broken.add("warning")
    other.tuning.broken.add("debug")
    await one.set(log_level="debug")
    await other.configuration.follow()
    await one.configuration.follow()
    assert revisions.newest() == 3
    assert one.tuning.applied == {"log_level": "debug"}
    health = await one.configuration.health()
    assert health["degraded"]
    assert "it is broken" in health["reason"]


async def test_a_failed_change_leaves_the_caller_where_it_was(revisions):
    one = Process(revisions)
    await one.set(log_level="warning")
    one.tuning.broken.add("debug")
    with pytest.raises(SettingsNotApplied, match="it is broken"):
        await one.set(log_level="debug")
    assert one.tuning.applied == {"log_level": "warning"}
    assert one.configuration.revision == 3
    assert (await one.set(log_level="warning")).changes == ()


async def test_a_start_ignores_what_no_longer_is_valid_and_names_it(revisions):
    layer = {"log_level": "loud", "gone": 1, "trace.ratio": 0.5}
    revisions.kept.append(Revision(1, layer))
    one = Process(revisions)
    await one.configuration.open()
    assert one.tuning.applied == {"trace.ratio": 0.5}
    assert set(one.configuration.ignored) == {"log_level", "gone"}
    assert {entry["setting"] for entry in one.warned} == {"log_level", "gone"}
    assert "log_level" in (await one.configuration.health())["reason"]


async def test_a_start_ignores_what_fails_and_the_next_change_clears_it(revisions):
    revisions.kept.append(Revision(1, {"log_level": "debug", "trace.ratio": 0.5}))
    one = Process(revisions)
    one.tuning.broken.add("debug")
    await one.configuration.open()
    assert one.tuning.applied == {"trace.ratio": 0.5}
    assert list(one.configuration.ignored) == ["log_level"]
    await one.set(log_level="warning")
    assert one.configuration.ignored == {}
    assert revisions.kept[-1].layer == {"log_level": "warning", "trace.ratio": 0.5}


async def test_a_start_outlives_a_layer_that_cannot_be_read(revisions):
    revisions.kept.append(Revision(1, damaged=True))
    one = Process(revisions)
    await one.configuration.open()
    assert one.configuration.revision == 1
    assert (await one.configuration.health())["degraded"]
