"""Plan towards a goal: recall, make, check, keep.

A plan is kept as a memory of kind ``plan``; its id is that memory's. So it is found by
search, read by ``GET /memory/{id}`` and forgotten like any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cortex.agents.drafts import read_plan
from cortex.agents.graph import checked
from cortex.agents.model import (
    PastPlan,
    Plan,
    Source,
    Step,
    Strategy,
    short,
    steps_as_json,
    steps_from_json,
)
from cortex.agents.planning import Ground, Planner
from cortex.agents.prompts import plan_question
from cortex.foundation.canonical import JsonValue, canonical_json
from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError, Unavailable
from cortex.foundation.limits import METADATA_BYTES_MAX, TAG_CHARACTERS_MAX
from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.model import Memory, NewMemory, Query, Selection
from cortex.memory.trust import SourceKind
from cortex.usecases.agent_memory import AgentMemory
from cortex.usecases.asking import Asking, Errand
from cortex.usecases.build_context import Announce
from cortex.usecases.model import CallContext

PLAN_KIND: Final = "plan"
PAST_PLANS_MAX: Final = 5
"""Stored plans that are looked at: their goals are embedded, a few ms each."""

MEMORIES_MAX: Final = 5
"""Memories that a language model is shown."""

TRUST_MIN: Final = 0.5
"""Trust from which a memory is shown to a language model: pages of the web are not."""

GOAL_IN_METADATA_CHARACTERS_MAX: Final = 2_000
TIGHT_CHARACTERS_MAX: Final = 100
"""Characters of a kept step's description where whole ones do not fit."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What to plan.

    Attributes:
        facts: what the caller knows, name → JSON.
    """

    goal: str
    strategy: Strategy = Strategy.COT
    facts: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanMade:
    """A plan that is kept.

    Attributes:
        id: of the plan and of the memory that keeps it.
        memories: ids of memories and stored plans that were looked at.
    """

    id: str
    plan: Plan
    created_at: float
    memories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MakePlan:
    """Makes a plan and keeps it."""

    memory: AgentMemory
    planner: Planner
    announce: Announce
    clock: Clock
    asking: Asking | None = None

    async def __call__(
        self,
        principal: Principal,
        namespace: Namespace,
        request: PlanRequest,
        context: CallContext,
        /,
    ) -> PlanMade:
        """Return the plan, durable; it has no cycle and no unknown dependency.

        Raises:
            ValidationError: the goal is empty or too long.
        """
        past, notes = await self._past(namespace, request.goal, context)
        facts = {name: as_text(value) for name, value in request.facts.items()}
        ground = Ground(facts, past)
        errand = Errand(principal, namespace, context, "agents.plan")
        plan, used = await self._planned(request, ground, errand)
        plan = checked(replace(plan, notes=(*plan.notes, *notes)))
        now = self.clock.now()
        stored = await self.memory.keep(
            principal, namespace, [_item(plan, now)], context
        )
        made = PlanMade(stored[0].id, plan, now, (*(one.id for one in past), *used))
        self._tell(namespace, made, context)
        return made

    async def _planned(
        self, request: PlanRequest, ground: Ground, errand: Errand
    ) -> tuple[Plan, tuple[str, ...]]:
        """Return the model's plan, or without one the planner's; and memories shown."""
        goal, strategy = request.goal, request.strategy
        if self.asking is None:
            return self.planner.plan(goal, strategy, ground), ()
        method = self.asking.method
        shown = await self._shown(goal, errand)
        question = plan_question(goal, strategy, ground, shown)
        try:
            plan = await self.asking(
                question,
                lambda value: read_plan(value, goal, strategy, method),
                errand,
            )
        except CortexError as error:
            plan = self.planner.plan(goal, strategy, ground)
            note = f"The language model gave no usable plan ({error.code})."
            return replace(plan, notes=(note,)), ()
        return plan, tuple(one.id for one in shown)

    async def _shown(self, goal: str, errand: Errand) -> list[Source]:
        wanted = Query(goal, MEMORIES_MAX, selection=Selection(min_trust=TRUST_MIN))
        found = await self.memory.recall(errand.namespace, wanted, errand.context)
        if found.low_confidence:
            return []
        return [
            Source(hit.memory.id, hit.memory.content)
            for hit in found.hits
            if hit.memory.kind != PLAN_KIND
        ]

    async def _past(
        self, namespace: Namespace, goal: str, context: CallContext
    ) -> tuple[list[PastPlan], tuple[str, ...]]:
        """Return the nearest stored plans, and what could not be done for it."""
        wanted = Query(goal, PAST_PLANS_MAX, selection=Selection(kind=PLAN_KIND))
        found = await self.memory.recall(namespace, wanted, context)
        memories = [hit.memory for hit in found.hits if _planned(hit.memory)]
        if not memories:
            return [], ()
        goals = [str(_planned(memory).get("goal", "")) for memory in memories]
        try:
            near = (await self.memory.cosines([goal], goals))[0]
        except Unavailable:
            return [], ("Stored plans were not compared: the embedder is down.",)
        past = [
            PastPlan(memory.id, told, steps_from_json(_planned(memory)["steps"]), value)
            for memory, told, value in zip(memories, goals, near, strict=True)
        ]
        return sorted(past, key=lambda one: -one.similarity), ()

    def _tell(self, namespace: Namespace, made: PlanMade, context: CallContext) -> None:
        plan = made.plan
        data: dict[str, JsonValue] = {
            "ids": [made.id],
            "count": len(plan.steps),
            "method": plan.method,
            "strategy": plan.strategy.value,
            "value": float(plan.complexity),
        }
        self.announce("agents.planned", namespace, data, context)


def as_text(value: JsonValue) -> str:
    """Return a JSON value as a text for people: texts as they are."""
    return value if isinstance(value, str) else canonical_json(value).decode()


def text_of(plan: Plan) -> str:
    """Return the plan as it is remembered and read."""
    lines = [f"Plan: {plan.goal}"]
    for step in plan.steps:
        needs = f" (after {', '.join(step.dependencies)})" if step.dependencies else ""
        lines.append(f"{step.id}. {step.description}{needs}")
    return "\n".join(lines)


def _planned(memory: Memory) -> Mapping[str, JsonValue]:
    """Return the plan in a memory's metadata; empty when it holds none."""
    found = memory.metadata.get(PLAN_KIND)
    usable = isinstance(found, Mapping) and isinstance(found.get("steps"), list)
    return found if usable and isinstance(found, Mapping) else {}


def _item(plan: Plan, now: float) -> NewMemory:
    return NewMemory(
        content=text_of(plan),
        kind=PLAN_KIND,
        tags=(PLAN_KIND, plan.strategy.value),
        metadata=_metadata(plan),
        occurred_at=now,
        source=plan.method[:TAG_CHARACTERS_MAX],
        source_kind=SourceKind.AGENT,
    )


def _metadata(plan: Plan) -> dict[str, JsonValue]:
    for steps in (plan.steps, _tightened(plan)):
        kept: dict[str, JsonValue] = {
            "goal": short(plan.goal, GOAL_IN_METADATA_CHARACTERS_MAX),
            "strategy": plan.strategy.value,
            "steps": steps_as_json(steps),
            "complexity": plan.complexity,
            "method": plan.method,
        }
        metadata: dict[str, JsonValue] = {PLAN_KIND: kept}
        if len(canonical_json(metadata)) <= METADATA_BYTES_MAX:
            break
    return metadata


def _tightened(plan: Plan) -> Sequence[Step]:
    return [
        replace(step, description=short(step.description, TIGHT_CHARACTERS_MAX))
        for step in plan.steps
    ]
