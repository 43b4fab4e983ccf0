"""agents.plan and agents.reflect."""

from typing import Annotated, Any

from pydantic import Field

from cortex.security.scopes import Scope
from cortex.service import agents as wire
from cortex.service.fields import NamespaceName
from cortex.service.mcp.calling import Caller
from cortex.service.mcp.tool import Answer, Tool
from cortex.usecases.catalog import UseCases
from cortex.usecases.plan import text_of

Where = Annotated[
    NamespaceName | None,
    Field(description="Partition of memory; leave out for the connection's own."),
]


class PlanArguments(wire.PlanBody):
    """A goal, and what is known."""

    namespace: Where = None


class ReflectArguments(wire.ReflectBody):
    """An output, and what it is held against."""

    namespace: Where = None


class AgentTools:
    """Tools that think before and after the work."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def tools(self) -> tuple[Tool[Any], ...]:
        """Return the tools."""
        return (
            Tool(
                "agents.plan",
                "Plan",
                "Break a goal into at most ten ordered steps, building on stored plans "
                "of similar goals. Strategy tot weighs several ways and names the "
                "best. The plan is kept as a memory; its id reads it again.",
                PlanArguments,
                wire.PlanAnswer,
                Scope.AGENTS,
                "plan",
                self.plan,
                writes=True,
                repeatable=False,
            ),
            Tool(
                "agents.reflect",
                "Reflect",
                "Judge an output before it is handed over: is the goal covered, are "
                "its claims, numbers and citations in the sources (context and "
                "memory), does it contradict them or itself. approved is true from "
                "0.7; improve and reflect again at most three times.",
                ReflectArguments,
                wire.ReflectAnswer,
                Scope.AGENTS,
                "reflect",
                self.reflect,
                writes=True,
                repeatable=False,
            ),
        )

    async def plan(self, caller: Caller, given: PlanArguments) -> Answer:
        """Make a plan."""
        place = caller.namespace(given.namespace)
        await caller.charge("/agents/plan")
        made = await self._cases.plan(
            caller.principal, place, given.domain(), caller.context
        )
        text = f"{text_of(made.plan)}\n({made.plan.method}, kept as {made.id})"
        return Answer(wire.plan(made), text)

    async def reflect(self, caller: Caller, given: ReflectArguments) -> Answer:
        """Judge an output."""
        place = caller.namespace(given.namespace)
        await caller.charge("/agents/reflect")
        made = await self._cases.reflect(
            caller.principal, place, given.domain(), caller.context
        )
        judged = made.judgement
        verdict = "Approved" if judged.approved else "Not approved"
        lines = [f"{verdict}, score {judged.quality_score:.2f}."]
        lines += [
            f"- [{issue.severity.value}] {issue.message} {issue.evidence}".rstrip()
            for issue in judged.issues
        ]
        return Answer(wire.reflection(made), "\n".join(lines))
