import pytest

from cortex.foundation.tenancy import Namespace
from cortex.testing.clock import START, ManualClock
from cortex.usecases.model import CallContext, OptimizeItem, OptimizeRequest
from cortex.usecases.optimize_context import OptimizeContext

ITEMS = (
    OptimizeItem("Where is the ship?", 9.0, "query"),
    OptimizeItem("You are a harbour master.", 10.0, "system"),
    OptimizeItem("The ship left at noon." + " It blew its horn." * 60, 1.0, "history"),
    OptimizeItem("The ship is at pier 9.", 5.0, "memory", {"id": 7}),
    OptimizeItem("Ships are large — mostly. ⛵", 0.1),
)


@pytest.fixture
def optimize(counters):
    optimize = OptimizeContext(counters, ManualClock())
    place, call = Namespace("default", "default"), CallContext("usecases", "tester")
    return lambda request: optimize(place, request, call)


@pytest.mark.parametrize("model", ["gpt-4o", "llama-3", "claude-3-opus", ""])
async def test_never_over_the_budget(optimize, counters, model):
    count = counters.for_model(model).count
    for budget in (100, 120, 200, 300, 1_000):
        got = await optimize(OptimizeRequest(ITEMS, budget, 20, model))
        assert got.total_tokens <= budget - 20
        assert {i.index for i in got.items}.isdisjoint(d.index for d in got.dropped)
        assert len(got.items) + len(got.dropped) == len(ITEMS)
        assert all(one.tokens == count(one.item.content) for one in got.items)
    assert got.dropped == ()


async def test_kept_items_are_the_callers_own_in_prompt_order(optimize):
    got = await optimize(OptimizeRequest(ITEMS, 4_000, 0, "gpt-4o"))
    order = [one.item.category for one in got.items]
    assert order == ["system", "memory", "general", "history", "query"]
    for one in got.items:
        assert one.item == ITEMS[one.index]
    assert 0 < got.budget_used_percent <= 100


async def test_only_the_item_at_the_end_of_the_budget_is_cut_and_shows_it(optimize):
    got = await optimize(OptimizeRequest(ITEMS, 100, 0, "gpt-4o"))
    cut = [one for one in got.items if one.item.content != ITEMS[one.index].content]
    assert [one.index for one in cut] == [2]
    assert cut[0].item.content.endswith("…")
    assert ITEMS[2].content.startswith(cut[0].item.content.rstrip("… "))
    assert [one.index for one in got.dropped] == [4]
    assert got.dropped[0].reason


async def test_age_weighs(optimize):
    def aged(days: float) -> OptimizeItem:
        when = START - days * 86_400
        return OptimizeItem(
            f"said {days} days ago " + "word " * 60, 1.0, metadata={"occurred_at": when}
        )

    items = (aged(400), aged(1), aged(200))
    got = await optimize(OptimizeRequest(items, 100, 0, "gpt-4o"))
    assert [one.index for one in got.items] == [1]


@pytest.mark.parametrize("when", [True, "yesterday", None, [1]])
async def test_an_age_that_is_none_is_passed_over(optimize, when):
    items = (OptimizeItem("a text", metadata={"occurred_at": when}),)
    assert len((await optimize(OptimizeRequest(items, 100))).items) == 1
