"""Changes of what models take are told to all, with their reason."""

from dataclasses import replace

import pytest

from cortex.bus.registry import check
from cortex.foundation.errors import ValidationError
from cortex.foundation.ids import Uuid7Source
from cortex.foundation.tenancy import Principal
from cortex.inference.engine import ModelStatus
from cortex.inference.power import BY_SCHEDULE, PowerControl, PowerMode
from cortex.inference.text import EmbeddingStats
from cortex.testing.clock import ManualClock
from cortex.testing.inference_control import fake_control
from cortex.testing.surroundings import MODEL
from cortex.usecases.inference_control import REASON_CHARACTERS_MAX, SwitchHeard
from cortex.usecases.model import CallContext
from cortex.usecases.models import Models

ANA = Principal("ana", scopes=frozenset({"*"}))
CONTEXT = CallContext("c-1", "ana")


@pytest.fixture
def told():
    return []


@pytest.fixture
def control(told):
    return fake_control(
        ManualClock(1_700_000_000),
        lambda type_, _place, data, _context: told.append((type_, dict(data))),
    )


async def test_a_switch_of_power_is_told_with_its_reason(control, told):
    status = await control.switch_power(ANA, PowerMode.LOW, "on battery", CONTEXT)
    assert (status.low, status.reason) == (True, "on battery")
    facts = {"keys": ["inference.power"], "revision": "low", "reason": "on battery"}
    assert told == [("config.changed", facts)]


async def test_processes_are_told_with_their_reason(control, told):
    await control.scale(ANA, 2, "import", CONTEXT)
    [(type_, facts)] = told
    assert type_ == "scaling.triggered"
    assert (facts["replicas_before"], facts["replicas_after"]) == (0, 2)
    assert facts["reason"] == "import"


async def test_what_reads_files_is_warmed_by_a_file(control):
    with pytest.raises(ValidationError, match="first file"):
        await control.warm("whisper-tiny.en")


async def test_nothing_is_told_of_what_was_refused(control, told):
    with pytest.raises(ValidationError):
        await control.switch_power(ANA, PowerMode.SCHEDULE, "", CONTEXT)
    with pytest.raises(ValidationError):
        await control.scale(ANA, 1, "x" * (REASON_CHARACTERS_MAX + 1), CONTEXT)
    assert told == []


async def test_what_the_schedule_switches_is_told_without_a_caller():
    clock = ManualClock(1_700_000_000)
    lines, events = [], []
    power = PowerControl(PowerMode.NORMAL, "", clock=clock, savers=())
    power.changed = SwitchHeard(
        lambda event, **facts: lines.append((event, facts)),
        lambda *told: events.append(told),
        Uuid7Source(clock),
    )
    power.switch(PowerMode.LOW, "on battery")
    assert lines == [("power switched", {"low": True, "reason": "on battery"})]
    assert events == []
    power.follow(PowerMode.SCHEDULE, "00:00-24:00", "settings")
    power.follow(PowerMode.NORMAL, "", "settings")
    assert len(lines) == 2
    power.changed(replace(power.status, low=True, reason=BY_SCHEDULE))
    [(type_, about, facts, context)] = events
    assert (type_, about) == ("config.changed", ("local", "inference.power"))
    assert (facts["revision"], facts["reason"]) == ("low", "schedule")
    assert context.actor == facts["actor"] == "~automatic"
    check("config.changed", facts)


class Active:
    """What embeds; only its name is asked for."""

    info = MODEL


async def test_the_active_models_runs_are_uses_of_it():
    def row(hits):
        return ModelStatus(
            MODEL, ("text",), loaded=True, pinned=True, users=0, hits=hits, misses=0,
            loads=1, load_seconds=0.2, evictions=0,
        )  # fmt: skip

    stats = EmbeddingStats(
        hits=5, misses=7, shared=0, runs=7, failures=0, seconds=0.1, waiting=0, cached=7
    )
    [listed] = await Models(Active(), lambda: stats, lambda: [row(2)])()
    assert (listed.active, listed.cache_hits, listed.uses) == (True, 5, 9)
