import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.agents.errors import PlanInvalid
from cortex.agents.graph import checked, depth, ordered, problems, renamed
from cortex.agents.model import Branch, Plan, Step, Strategy

NAMES = [f"s{n}" for n in range(1, 9)]
GRAPHS = st.lists(
    st.builds(
        Step,
        st.sampled_from(NAMES),
        st.just("do it"),
        st.lists(st.sampled_from([*NAMES, "ghost"]), max_size=3).map(tuple),
    ),
    max_size=12,
)


def plan_of(*steps: Step, **more: object) -> Plan:
    return Plan("g", Strategy.COT, steps, "", 1, "test", **more)  # type: ignore[arg-type]


@given(GRAPHS)
def test_what_passes_is_in_order_and_what_does_not_is_refused(
    steps: list[Step],
) -> None:
    if problems(steps):
        with pytest.raises(PlanInvalid):
            checked(plan_of(*steps))
        return
    plan = checked(plan_of(*steps))
    done: set[str] = set()
    for step in plan.steps:
        assert done.issuperset(step.dependencies)
        assert step.id not in done
        done.add(step.id)
    assert {step.id for step in steps} == done
    assert 1 <= len(plan.steps) <= 10


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ((), "there are no steps"),
        ((Step("a", "x"), Step("a", "y")), "must differ: a"),
        ((Step("a", "x", ("b",)),), "'b', which is no step"),
        ((Step("a", "x", ("a",)),), "depends on itself"),
        (
            (Step("a", "x", ("b",)), Step("b", "y", ("a",))),
            "wait for one another: a, b",
        ),
        ((Step("a", " "),), "needs an id and a description"),
        (tuple(Step(f"s{n}", "x") for n in range(11)), "the limit is 10"),
    ],
)
def test_each_fault_is_told(steps: tuple[Step, ...], told: str) -> None:
    assert told in "; ".join(problems(steps))
    with pytest.raises(PlanInvalid):
        checked(plan_of(*steps))


def test_a_best_branch_that_is_not_there_is_refused() -> None:
    steps = (Step("a", "x"),)
    branch = Branch("b1", "way", steps, 5.0)
    good = Plan("g", Strategy.TOT, steps, "", 1, "t", (branch,), "b1")
    assert checked(good).best_branch_id == "b1"
    bad = Plan("g", Strategy.TOT, steps, "", 1, "t", (branch,), "b2")
    with pytest.raises(PlanInvalid, match="b2"):
        checked(bad)


def test_order_is_stable_and_names_follow_it() -> None:
    steps = (Step("late", "x", ("first",)), Step("first", "y"), Step("other", "z"))
    assert [step.id for step in ordered(steps)] == ["first", "late", "other"]
    assert renamed(ordered(steps))[1] == Step("s2", "x", ("s1",))
    assert depth(ordered(steps)) == 2
