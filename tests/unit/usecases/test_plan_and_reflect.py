"""Plans and reflections over a real store."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from cortex.agents.checking import Checker
from cortex.agents.model import Output, Strategy
from cortex.agents.planning import Planner
from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import NotFound, ValidationError
from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.model import NewMemory
from cortex.memory.terms import TermAnalyser
from cortex.usecases.agent_memory import AgentMemory
from cortex.usecases.listing import ListMemories
from cortex.usecases.model import CallContext
from cortex.usecases.plan import MakePlan, PlanMade, PlanRequest
from cortex.usecases.reflect import Reflect, Reflected, ReflectRequest
from cortex.usecases.remember import Remember

CALL = CallContext("agents", "tester")
WHO = Principal("tester")
GOAL = "Back up the database, then migrate it to PostgreSQL 16"
SOURCE = "The bridge was opened in 1932 and is 503 metres long."
BAD = "The bridge was opened in 1932 and is 530 metres long."


@dataclass
class Agents:
    """Both journeys, and what they announced."""

    house: object
    told: list[tuple[str, Mapping[str, JsonValue]]] = field(default_factory=list)

    def announce(
        self,
        type_: str,
        namespace: Namespace,
        data: Mapping[str, JsonValue],
        context: CallContext,
    ) -> None:
        assert (namespace, context) == (self.house.namespace, CALL)
        self.told.append((type_, data))

    @property
    def memory(self) -> AgentMemory:
        house = self.house
        store = house.world.store
        return AgentMemory(
            house.search,
            Remember(store, house.preparing),
            store.get,
            ListMemories(store),
            house.embedder,
        )

    async def plan(self, goal: str = GOAL, **more) -> PlanMade:
        planner = Planner(TermAnalyser())
        make = MakePlan(self.memory, planner, self.announce, self.house.world.clock)
        asked = PlanRequest(goal, **more)
        return await make(WHO, self.house.namespace, asked, CALL)

    async def reflect(
        self, content: str = BAD, iteration: int = 1, **more
    ) -> Reflected:
        checker = Checker(TermAnalyser())
        judge = Reflect(self.memory, checker, self.announce, self.house.world.clock)
        asked = ReflectRequest(Output(content, iteration=iteration), **more)
        return await judge(WHO, self.house.namespace, asked, CALL)

    async def store(self, content: str) -> str:
        item = NewMemory(content)
        kept = await self.memory.keep(WHO, self.house.namespace, [item], CALL)
        return kept[0].id


@pytest.fixture
def agents(house) -> Agents:
    return Agents(house)


async def test_a_plan_is_kept_whole_and_found_for_the_same_goal(agents) -> None:
    first = await agents.plan(facts={"size": {"tb": 4}})
    kept = await agents.house.world.store.get(agents.house.namespace, first.id)
    assert kept.kind == "plan"
    assert kept.content.startswith(f"Plan: {GOAL}\ns1. Back up the database")
    again = await agents.plan(strategy=Strategy.TOT)
    assert again.memories == (first.id,)
    assert again.plan.method == "recall"
    assert [type_ for type_, _ in agents.told] == ["agents.planned"] * 2
    assert agents.told[0][1] == {
        "ids": [first.id], "count": 3, "method": "decomposition", "strategy": "cot",
        "value": float(first.plan.complexity),
    }  # fmt: skip


async def test_a_long_plan_fits_beside_its_memory(agents) -> None:
    goal = "\n".join(f"- write chapter {n} about {'ü' * 450}" for n in range(9))
    made = await agents.plan(goal)
    kept = await agents.house.world.store.get(agents.house.namespace, made.id)
    assert len(kept.metadata["plan"]["steps"]) == len(made.plan.steps)


async def test_plans_are_made_while_the_embedder_is_down(agents) -> None:
    await agents.plan()
    agents.house.embedder.down = True
    made = await agents.plan()
    assert made.plan.method == "decomposition"
    assert made.plan.notes == ("Stored plans were not compared: the embedder is down.",)


async def test_an_output_is_held_against_memory(agents) -> None:
    source = await agents.store(SOURCE)
    made = await agents.reflect(goal="Tell when the bridge opened and how long it is")
    assert made.memories == (source,)
    kinds = {issue.kind.value for issue in made.judgement.issues}
    assert "number_not_in_sources" in kinds
    assert not made.judgement.approved
    assert agents.told[-1][0] == "agents.reflected"
    assert agents.told[-1][1]["approved"] is False


async def test_own_plans_and_reflections_are_no_sources(agents) -> None:
    await agents.plan("Describe the bridge")
    await agents.reflect(goal="Describe the bridge")
    made = await agents.reflect(goal="Describe the bridge")
    assert made.memories == ()
    assert made.judgement.notes == ("There was no source to hold its claims against.",)


async def test_reflections_do_not_crowd_out_what_an_output_rests_on(agents) -> None:
    goal = "Tell when the bridge opened and how long it is"
    source = await agents.store(SOURCE)
    for n in range(12):
        await agents.reflect(f"{BAD} Draft {n}.", goal=goal)
    made = await agents.reflect(goal=goal)
    assert made.memories == (source,)


async def test_attempts_at_one_goal_share_the_vector_of_their_heading(agents) -> None:
    goal, asked = "Describe the bridge", agents.house.embedder.asked
    first = await agents.reflect(goal=goal)
    await agents.reflect(SOURCE, 2, goal=goal)
    kept = await agents.house.world.store.get(agents.house.namespace, first.id)
    heading, _, issues = kept.content.partition("\n")
    assert heading == f"Reflection on: {goal}"
    assert asked.count(heading) == 2
    assert issues
    assert not any(issues in text for text in asked)


async def test_the_attempt_before_is_found_by_its_goal(agents) -> None:
    goal, facts = "Describe the bridge", {"page": SOURCE}
    first = await agents.reflect(goal=goal, facts=facts)
    other = await agents.reflect(goal="Describe the boat", facts=facts)
    second = await agents.reflect(SOURCE, 2, goal=goal, facts=facts)
    assert second.progress is not None
    assert second.progress.previous_id == first.id != other.id
    assert second.progress.score_change > 0
    assert any("530" in key for key in second.progress.resolved)


async def test_reflection_goes_on_by_words_while_the_embedder_is_down(agents) -> None:
    agents.house.embedder.down = True
    made = await agents.reflect(facts={"page": SOURCE})
    assert not made.judgement.approved
    assert "Compared by words alone: the embedder is down." in made.judgement.notes


async def test_what_cannot_be_judged_is_refused(agents) -> None:
    with pytest.raises(ValidationError, match="at most 3"):
        await agents.reflect("x", 4)
    with pytest.raises(ValidationError, match="empty"):
        await agents.reflect(" ")
    plan = await agents.plan()
    with pytest.raises(NotFound):
        await agents.reflect("x", 2, previous_id=plan.id)


async def test_long_texts_are_judged_beside_the_event_loop(agents) -> None:
    long = "\n".join(f"Pier {n} of the bridge stands in the river." for n in range(900))
    bad = BAD.replace("530", "9530")
    made = await agents.reflect(f"{long}\n{bad}", facts={"page": f"{long}\n{SOURCE}"})
    kinds = {issue.kind.value for issue in made.judgement.issues}
    assert "number_not_in_sources" in kinds
    huge = {"page": SOURCE, "more": "x " * 150_000}
    cut = await agents.reflect(facts=huge)
    assert "Sources were cut at 200000 characters." in cut.judgement.notes
