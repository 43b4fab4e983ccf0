"""The nouns of planning and reflection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cortex.foundation.canonical import JsonValue

STEPS_MAX: Final = 10
"""Steps of a plan or a branch: more is a project, to be planned in parts."""

BRANCHES_MIN: Final = 2
BRANCHES_MAX: Final = 5
"""Branches of a tree: enough to differ, few enough to read."""

BRANCH_SCORE_MAX: Final = 10.0

BRANCH_SCORE_KEPT: Final = 5.0
"""Branches that score below are pruned; the best one always stays."""

COMPLEXITY_MAX: Final = 10

ITERATIONS_MAX: Final = 3
"""Rounds of reflection on one output: later ones change words, not worth."""

APPROVED_FROM: Final = 0.7
"""Quality score from which an output is approved."""

DESCRIPTION_CHARACTERS_MAX: Final = 500
"""Characters of a step's or a branch's description; a longer one is cut."""

DECOMPOSITION: Final = "decomposition"
"""Method of a plan that was made from the goal's own clauses."""

RECALL: Final = "recall"
"""Method of a plan that was made from the nearest stored one."""

CHECKS: Final = "checks"
"""Method of a reflection that measured and asked no model."""


class Strategy(StrEnum):
    """One chain of steps, or a tree of alternatives of which the best is named."""

    COT = "cot"
    TOT = "tot"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        dependencies: ids of steps that must be done before.
    """

    id: str
    description: str
    dependencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Branch:
    """One way to the goal.

    Attributes:
        score: 0..10, higher is better.
        pruned: it scored too low to be followed; told so that one sees what was
            weighed.
    """

    id: str
    description: str
    steps: tuple[Step, ...]
    score: float
    pruned: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps towards a goal, in an order in which each comes after what it needs.

    Attributes:
        complexity: 1..10.
        method: what made it: ``model:<name>``, ``recall`` or ``decomposition``.
        branches: two to five with the strategy ``tot``, else none.
        notes: what was missing or not as asked, in sentences.
    """

    goal: str
    strategy: Strategy
    steps: tuple[Step, ...]
    reasoning: str
    complexity: int
    method: str
    branches: tuple[Branch, ...] = ()
    best_branch_id: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PastPlan:
    """A stored plan that may help with a new goal.

    Attributes:
        similarity: -1..1, cosine between its goal and the new one.
    """

    id: str
    goal: str
    steps: tuple[Step, ...]
    similarity: float


@dataclass(frozen=True, slots=True)
class Source:
    """A text that an output may rest on: a memory, or what the caller gave."""

    id: str
    text: str


class Severity(StrEnum):
    """How much an issue weighs for a reader."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class IssueKind(StrEnum):
    """What a reflection can find."""

    GOAL_NOT_COVERED = "goal_not_covered"
    CRITERION_NOT_MET = "criterion_not_met"
    UNSUPPORTED_CLAIM = "unsupported_claim"
    NUMBER_NOT_IN_SOURCES = "number_not_in_sources"
    CITATION_NOT_IN_SOURCES = "citation_not_in_sources"
    CONTRADICTS_SOURCE = "contradicts_source"
    CONTRADICTS_ITSELF = "contradicts_itself"
    FORMAT = "format"
    LENGTH = "length"
    REPETITION = "repetition"
    OVERCONFIDENT = "overconfident"
    JUDGED = "judged"


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing wrong with an output.

    Attributes:
        evidence: the words concerned, of the output or of what it leaves out.
        against: what it was held against, or how near that was.
    """

    kind: IssueKind
    severity: Severity
    message: str
    evidence: str = ""
    against: str = ""

    @property
    def key(self) -> str:
        """Return what stays the same when the issue is found again."""
        return f"{self.kind.value}:{self.evidence[:80]}"


@dataclass(frozen=True, slots=True)
class Output:
    """What an agent made.

    Attributes:
        confidence: 0..1, the agent's own; None when it did not say.
        iteration: 1..3, which attempt this is.
    """

    content: str
    confidence: float | None = None
    reasoning: str = ""
    iteration: int = 1


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a reflection thinks of an output.

    Attributes:
        quality_score: 0..1; the share of outputs with such findings that are good.
        features: the measured values that the score was made from.
    """

    quality_score: float
    issues: tuple[Issue, ...]
    suggestions: tuple[str, ...]
    action_items: tuple[str, ...]
    method: str
    features: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def approved(self) -> bool:
        """Return whether the output may go."""
        return self.quality_score >= APPROVED_FROM


@dataclass(frozen=True, slots=True)
class Progress:
    """How an output changed since the attempt before.

    Attributes:
        previous_id: that attempt's reflection.
        score_change: now less then.
        resolved: keys of issues that are gone.
        remaining: keys of issues that are still there.
    """

    previous_id: str
    score_change: float
    resolved: tuple[str, ...]
    remaining: tuple[str, ...]


def short(text: str, limit: int = DESCRIPTION_CHARACTERS_MAX) -> str:
    """Return the text on one line, cut at a word where it is too long."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    return line[: limit - 1].rsplit(" ", 1)[0] + "…"


def steps_as_json(steps: Sequence[Step]) -> list[JsonValue]:
    """Return the steps as JSON."""
    return [
        {
            "id": step.id,
            "description": step.description,
            "dependencies": list[JsonValue](step.dependencies),
        }
        for step in steps
    ]


def steps_from_json(value: JsonValue) -> tuple[Step, ...]:
    """Return stored steps; what is not one is left out."""
    if not isinstance(value, list):
        return ()
    found = []
    for row in value:
        if not isinstance(row, Mapping):
            continue
        needs = row.get("dependencies")
        dependencies = needs if isinstance(needs, list) else []
        found.append(
            Step(
                str(row.get("id", "")),
                str(row.get("description", "")),
                tuple(str(one) for one in dependencies),
            )
        )
    return tuple(found)
