"""Plans and reflections on the wire, the same at every edge."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from cortex.agents.model import (
    ITERATIONS_MAX,
    Branch,
    Issue,
    IssueKind,
    Output,
    Progress,
    Severity,
    Step,
    Strategy,
)
from cortex.service.fields import (
    Content,
    Integer,
    Metadata,
    Name,
    NamespaceName,
    QueryText,
    StateValue,
    Wire,
)
from cortex.usecases.plan import PlanMade, PlanRequest
from cortex.usecases.reflect import Reflected, ReflectRequest

OUTPUT_CHARACTERS_MAX = 50_000
"""Characters of an output that is judged: a long report."""

REASONING_CHARACTERS_MAX = 10_000
CRITERIA_MAX = 20
CRITERION_CHARACTERS_MAX = 500

Criterion = Annotated[Content, StringConstraints(max_length=CRITERION_CHARACTERS_MAX)]
Facts = Annotated[
    dict[Name, StateValue],
    Field(max_length=100, description="Facts by name; values are any JSON."),
]


class PlanBody(Wire):
    """POST /agents/plan."""

    goal: QueryText
    context: Annotated[
        Metadata, Field(description="Facts the plan may build on, by name.")
    ] = Field(default_factory=dict)
    strategy: Annotated[
        Strategy, Field(description="cot: one chain; tot: alternatives, best named.")
    ] = Strategy.COT
    namespace: NamespaceName | None = None

    def domain(self) -> PlanRequest:
        """Return the request."""
        return PlanRequest(self.goal, self.strategy, self.context)


class OutputBody(Wire):
    """What an agent made."""

    content: Annotated[Content, StringConstraints(max_length=OUTPUT_CHARACTERS_MAX)]
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    reasoning: Annotated[
        str, StringConstraints(max_length=REASONING_CHARACTERS_MAX)
    ] = ""
    iteration: Annotated[Integer, Field(ge=1, le=ITERATIONS_MAX)] = 1

    def domain(self) -> Output:
        """Return the output."""
        return Output(self.content, self.confidence, self.reasoning, self.iteration)


class ReflectBody(Wire):
    """POST /agents/reflect."""

    output: OutputBody
    goal: QueryText | None = None
    criteria: Annotated[list[Criterion], Field(max_length=CRITERIA_MAX)] = Field(
        default_factory=list
    )
    context: Annotated[
        Facts, Field(description="Sources the output may rest on, by name.")
    ] = Field(default_factory=dict)
    previous_id: Annotated[
        Name | None, Field(description="Reflection on the attempt before.")
    ] = None
    namespace: NamespaceName | None = None

    def domain(self) -> ReflectRequest:
        """Return the request."""
        return ReflectRequest(
            output=self.output.domain(),
            goal=self.goal or "",
            criteria=tuple(self.criteria),
            facts=self.context,
            previous_id=self.previous_id,
        )


class StepShape(Wire):
    """One thing to do, behind the steps it depends on."""

    id: str
    description: str
    dependencies: list[str]


class BranchShape(Wire):
    """One way to the goal; a pruned one scored below 5."""

    id: str
    description: str
    steps: list[StepShape]
    score: float
    pruned: bool


class PlanAnswer(Wire):
    """A plan; its id is that of the memory that keeps it."""

    id: str
    strategy: Strategy
    goal: str
    steps: list[StepShape]
    reasoning: str
    complexity: int
    created_at: float
    method: Annotated[str, Field(description="model:<name>, recall or decomposition.")]
    branches: list[BranchShape]
    best_branch_id: str | None
    memories: Annotated[list[str], Field(description="Ids of what was looked at.")]
    notes: list[str]


class IssueShape(Wire):
    """One thing wrong, with what shows it."""

    kind: IssueKind
    severity: Severity
    message: str
    evidence: str
    against: str


class ProgressShape(Wire):
    """What changed since the attempt before."""

    previous_id: str
    score_change: float
    resolved: list[str]
    remaining: list[str]


class ReflectAnswer(Wire):
    """A judgement; approved from 0.7."""

    id: str
    quality_score: float
    approved: bool
    issues: list[IssueShape]
    suggestions: list[str]
    action_items: list[str]
    timestamp: float
    method: Annotated[str, Field(description="model:<name> or checks.")]
    iteration: int
    another_iteration: Annotated[
        bool, Field(description="Whether a next attempt is worth it.")
    ]
    progress: ProgressShape | None
    features: Annotated[
        dict[str, float], Field(description="What was measured, 0 for nothing wrong.")
    ]
    memories: list[str]
    notes: list[str]


def plan(made: PlanMade) -> dict[str, Any]:
    """Shape a plan."""
    one = made.plan
    return {
        "id": made.id,
        "strategy": one.strategy.value,
        "goal": one.goal,
        "steps": list(map(_step, one.steps)),
        "reasoning": one.reasoning,
        "complexity": one.complexity,
        "created_at": made.created_at,
        "method": one.method,
        "branches": list(map(_branch, one.branches)),
        "best_branch_id": one.best_branch_id,
        "memories": list(made.memories),
        "notes": list(one.notes),
    }


def reflection(made: Reflected) -> dict[str, Any]:
    """Shape a reflection."""
    judged = made.judgement
    return {
        "id": made.id,
        "quality_score": judged.quality_score,
        "approved": judged.approved,
        "issues": list(map(_issue, judged.issues)),
        "suggestions": list(judged.suggestions),
        "action_items": list(judged.action_items),
        "timestamp": made.timestamp,
        "method": judged.method,
        "iteration": made.iteration,
        "another_iteration": made.another,
        "progress": None if made.progress is None else _progress(made.progress),
        "features": dict(judged.features),
        "memories": list(made.memories),
        "notes": list(judged.notes),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "id": step.id,
        "description": step.description,
        "dependencies": list(step.dependencies),
    }


def _branch(branch: Branch) -> dict[str, Any]:
    return {
        "id": branch.id,
        "description": branch.description,
        "steps": list(map(_step, branch.steps)),
        "score": branch.score,
        "pruned": branch.pruned,
    }


def _issue(issue: Issue) -> dict[str, Any]:
    return {
        "kind": issue.kind.value,
        "severity": issue.severity.value,
        "message": issue.message,
        "evidence": issue.evidence,
        "against": issue.against,
    }


def _progress(change: Progress) -> dict[str, Any]:
    return {
        "previous_id": change.previous_id,
        "score_change": change.score_change,
        "resolved": list(change.resolved),
        "remaining": list(change.remaining),
    }
