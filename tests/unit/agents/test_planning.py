from hypothesis import given
from hypothesis import strategies as st

from cortex.agents.graph import checked
from cortex.agents.model import DECOMPOSITION, RECALL, PastPlan, Step, Strategy
from cortex.agents.planning import Ground, Planner
from cortex.memory.terms import TermAnalyser

PLANNER = Planner(TermAnalyser())
NOTHING = Ground({})
GOAL = "Back up the database, then migrate it to PostgreSQL 16 without downtime"


def test_a_chain_follows_the_goal_and_ends_with_a_check() -> None:
    plan = PLANNER.plan(GOAL, Strategy.COT, NOTHING)
    assert [(s.id, s.description, s.dependencies) for s in plan.steps] == [
        ("s1", "Back up the database", ()),
        ("s2", "Migrate it to PostgreSQL 16", ("s1",)),
        ("s3", "Check that this holds: without downtime", ("s2",)),
    ]
    assert plan.method == DECOMPOSITION
    assert "Its words of order are: then." in plan.reasoning
    assert "No language model made it." in plan.reasoning


def test_facts_are_named_where_they_share_a_word() -> None:
    facts = {"database size": "4 TB", "team": "three people"}
    steps = PLANNER.plan(GOAL, Strategy.COT, Ground(facts)).steps
    assert steps[0].description == "Back up the database (given: database size: 4 TB)"
    assert "team" not in "".join(step.description for step in steps)


def test_a_tree_weighs_ways_and_names_the_best() -> None:
    plan = PLANNER.plan(GOAL, Strategy.TOT, NOTHING)
    assert 2 <= len(plan.branches) <= 5
    best = next(b for b in plan.branches if b.id == plan.best_branch_id)
    assert best.score == max(b.score for b in plan.branches)
    assert plan.steps == best.steps
    assert all(b.pruned == (b.score < 5 and b is not best) for b in plan.branches)


def past(similarity: float, *texts: str) -> PastPlan:
    steps = tuple(
        Step(f"s{n}", text, (f"s{n - 1}",) if n > 1 else ())
        for n, text in enumerate(texts, 1)
    )
    return PastPlan("m7", "an old goal", steps, similarity)


def test_a_near_stored_plan_is_followed_and_completed() -> None:
    old = past(
        0.9,
        "Stop the writers (given: host: db1)",
        "Migrate it to PostgreSQL 16",
        "Check that this holds: no rows lost",
    )
    plan = checked(PLANNER.plan(GOAL, Strategy.COT, Ground({}, [old])))
    texts = [step.description for step in plan.steps]
    assert plan.method == RECALL
    assert texts[:2] == ["Stop the writers", "Migrate it to PostgreSQL 16"]
    assert "Back up the database" in texts
    assert texts[-1].startswith("Check that this holds")
    assert "m7" in plan.reasoning


def test_a_distant_stored_plan_is_named_and_not_followed() -> None:
    plan = PLANNER.plan(GOAL, Strategy.COT, Ground({}, [past(0.6, "Do a dance")]))
    assert plan.method == DECOMPOSITION
    assert "m7 (0.60)" in plan.reasoning


def test_more_parts_than_steps_are_joined() -> None:
    goal = "\n".join(f"- check item number {n}" for n in range(30))
    plan = checked(PLANNER.plan(goal, Strategy.COT, NOTHING))
    assert len(plan.steps) <= 10
    assert plan.complexity > PLANNER.plan("Ship it", Strategy.COT, NOTHING).complexity


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(["s1", "s2", "x"]),
        st.text(max_size=20),
        st.lists(st.sampled_from(["s1", "s2", "ghost"]), max_size=2).map(tuple),
    ),
    max_size=12,
).map(tuple)


@given(
    st.text(min_size=1, max_size=300).filter(lambda text: bool(text.strip(" .!?:;"))),
    st.sampled_from(Strategy),
    st.lists(st.builds(PastPlan, st.just("m"), st.text(max_size=9), STEPS,
                       st.floats(-1, 1)), max_size=4),
)  # fmt: skip
def test_no_cycle_or_missing_dependency_ever_leaves(
    goal: str, strategy: Strategy, plans: list[PastPlan]
) -> None:
    if not goal.strip():
        return
    plan = checked(PLANNER.plan(goal, strategy, Ground({"a": "b"}, plans)))
    assert 1 <= plan.complexity <= 10
    assert strategy is Strategy.COT or 2 <= len(plan.branches) <= 5
