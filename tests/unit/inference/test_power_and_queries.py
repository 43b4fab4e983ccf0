"""When power is saved, what then answers queries, and what stays as it was."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.foundation.breaker import Breaker
from cortex.foundation.cache import Cache
from cortex.foundation.errors import ValidationError
from cortex.inference.backends.bundled import open_bundled
from cortex.inference.backends.early import entry, open_early
from cortex.inference.engine import Engine
from cortex.inference.errors import ModelUnusable
from cortex.inference.onnx_cut import NotCuttable, cut_after
from cortex.inference.packaged import bundled_folder
from cortex.inference.ports import TextBackend
from cortex.inference.power import (
    MINUTES_OF_DAY,
    SAVING_COST,
    PowerControl,
    PowerMode,
    Span,
    is_low,
    parse_hours,
    read_power,
)
from cortex.inference.queries import QueryEmbedding
from cortex.inference.registry import ModelEntry, Registry
from cortex.inference.text import TextEmbedding
from cortex.testing.clock import ManualClock
from cortex.testing.inference import ControlledText

TEXTS = (
    "Install the package and run the command in an empty folder.",
    "Return the number of items that were removed from the list.",
    "My sister plays the violin in a small orchestra.",
    "The invoice was paid in full last Tuesday.",
)


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


MINUTES = st.integers(0, MINUTES_OF_DAY - 1)


@given(begin=MINUTES, end=MINUTES, minute=MINUTES)
def test_a_span_and_the_rest_of_the_day_are_one_day(
    begin: int, end: int, minute: int
) -> None:
    if begin == end:
        return
    assert Span(begin, end).holds(minute) is not Span(end, begin).holds(minute)


def test_hours_are_read_or_refused_with_the_form_they_have() -> None:
    spans = parse_hours("22:00-06:00, 12:00-13:30")
    assert spans == (Span(1320, 360), Span(720, 810))
    assert parse_hours("") == ()
    assert parse_hours("00:00-24:00")[0].holds(MINUTES_OF_DAY - 1)
    for wrong in ("22-06", "25:00-06:00", "06:00-06:00", "20:00-24:30", "night"):
        with pytest.raises(ValidationError):
            parse_hours(wrong)
    assert is_low(PowerMode.SCHEDULE, spans, 1439)
    assert not is_low(PowerMode.NORMAL, spans, 1439)
    assert read_power("low") == (PowerMode.LOW, "")
    assert read_power("22:00-06:00") == (PowerMode.SCHEDULE, "22:00-06:00")
    for wrong in ("", "high", "schedule"):
        with pytest.raises(ValidationError):
            read_power(wrong)
    assert is_low(PowerMode.LOW, (), 0)


@pytest.mark.usefixtures("utc")
async def test_power_follows_the_schedule_and_then_the_operator() -> None:
    clock = ManualClock(1_700_000_000 - 1_700_000_000 % 86_400 + 21 * 3_600)
    said: list[bool] = []
    power = PowerControl(
        PowerMode.SCHEDULE, "22:00-06:00", clock=clock, savers=(said.append,)
    )
    assert not power.low
    clock.advance(3_600)
    power.switch(PowerMode.SCHEDULE, "asked again")
    assert power.low
    assert power.switch(PowerMode.NORMAL, "guests").reason == "guests"
    assert said == [True, False]
    assert power.status.since == clock.now()
    without = PowerControl(PowerMode.NORMAL, "", clock=clock, savers=())
    with pytest.raises(ValidationError, match="no schedule"):
        without.switch(PowerMode.SCHEDULE, "nothing to follow")


def test_the_cost_that_is_told_is_the_one_that_was_measured() -> None:
    kept = Path(__file__).parents[3] / "benchmarks/results/inference-power.json"
    claims = {
        one["name"]: one["value"] for one in json.loads(kept.read_text())["claims"]
    }
    # Runs differ a little; what is told is rounded.
    saved = claims["low_power_cpu_saved_percent"] / 100
    assert saved == pytest.approx(SAVING_COST.cpu_saved, abs=0.1)
    lost = claims["low_power_recall_at_10_lost"] / 100
    assert lost == pytest.approx(SAVING_COST.recall_lost, abs=0.01)


def test_the_cut_model_lands_near_the_whole_one_in_its_space() -> None:
    whole, early = open_bundled(), open_early()
    assert early.info.space == whole.info.space
    assert early.info.name != whole.info.name
    near = [float(early.embed(text) @ whole.embed(text)) for text in TEXTS]
    assert min(near) > 0.4
    found = np.array([early.embed(text) for text in TEXTS])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    known = np.array([whole.embed(text) for text in TEXTS])
    assert (found @ known.T).argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert early.count_tokens(TEXTS[0]) == whole.count_tokens(TEXTS[0])
    np.testing.assert_array_equal(early.embed(TEXTS[0]), found[0])


def test_only_a_model_with_such_a_value_is_cut() -> None:
    model = (bundled_folder() / "model.onnx").read_bytes()
    assert len(cut_after(model, "x1")) < len(cut_after(model, "x3")) < len(model)
    with pytest.raises(NotCuttable, match="no value"):
        cut_after(model, "nothing")


@given(st.binary(max_size=80))
def test_no_bytes_make_the_cut_do_anything_but_refuse(data: bytes) -> None:
    with pytest.raises(NotCuttable):
        cut_after(data, "x1")


class World:
    """Queries over controlled models."""

    def __init__(self) -> None:
        clock = ManualClock()
        self.whole_model, self.quick_model = ControlledText(), ControlledText()
        self.saving = False
        self.broken = False
        self.whole = TextEmbedding(
            self.whole_model,
            cache=Cache(1_000_000),
            breaker=Breaker(clock),
            clock=clock,
        )
        self.engine = Engine(Registry(), clock=clock)
        self.queries = QueryEmbedding(
            self.whole,
            self.engine,
            ModelEntry(self.quick_model.info, self.open),
            cache=Cache(1_000_000),
            saving=lambda: self.saving,
        )

    def open(self) -> TextBackend:
        if self.broken:
            message = "its file is gone"
            raise ModelUnusable(message)
        return self.quick_model

    async def close(self) -> None:
        await self.whole.close()
        await self.engine.close()


async def test_while_power_is_saved_the_quick_model_answers_what_is_not_kept() -> None:
    world = World()
    await world.queries.embed(["asked before"])
    world.saving = True
    await world.queries.embed(["asked before", "new"])
    await world.queries.embed(["new"])
    assert world.whole_model.runs == ["asked before"]
    assert world.quick_model.runs == ["new"]
    # What is stored and what is asked of /embed never comes from it.
    assert world.whole.kept("new") is None
    world.saving = False
    await world.queries.embed(["new"])
    assert world.whole_model.runs == ["asked before", "new"]
    await world.close()


async def test_a_quick_model_that_does_not_load_is_not_needed() -> None:
    world = World()
    world.saving = world.broken = True
    assert await world.queries.embed(["new"])
    assert world.whole_model.runs == ["new"]
    await world.close()


def test_the_entry_is_known_without_loading_anything() -> None:
    info = entry().info
    assert info.space == open_bundled().info.space
    assert info.license == "Apache-2.0"
