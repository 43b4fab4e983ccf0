"""Plans without a model: from the goal's own clauses, and from plans made before.

The score of a branch is a sum of measured parts, 0 to 10::

    4.0 * share of the goal's words that its steps hold
  + 2.0 * share of the goal's words of order that it keeps
  + 1.5 * how much may be done side by side: 1 - (longest chain - 1) / (steps - 1)
  + 1.5 * similarity to the stored plan it follows (0 for none, at least 0)
  + 1.0 * whether it ends with a check of the goal and its limits

The complexity counts what has to be kept in mind, rounded into 1 to 10::

    1 + 0.6 * (steps - 1) + 0.4 * (longest chain - 1) + 0.5 * limits
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cortex.agents.clauses import Decomposition, Link, Part, decompose
from cortex.agents.graph import depth, ordered, problems, renamed
from cortex.agents.model import (
    BRANCH_SCORE_KEPT,
    BRANCHES_MAX,
    COMPLEXITY_MAX,
    DECOMPOSITION,
    RECALL,
    STEPS_MAX,
    Branch,
    PastPlan,
    Plan,
    Step,
    Strategy,
    short,
)
from cortex.memory.terms import TermAnalyser

FOLLOWED_FROM: Final = 0.75
"""Similarity of goals from which the stored plan is followed: restatements of one goal
have more, other goals of the same field less (docs/how-to/agents.md)."""

SHOWN_FROM: Final = 0.5
"""Similarity from which a stored plan is weighed as a branch, or named."""

PAST_BRANCHES_MAX: Final = 2
"""Branches made from stored plans."""

PARTS_IN_PLAN_MAX: Final = STEPS_MAX - 2
"""Steps from clauses: a look before and a check behind must fit too."""

FACTS_PER_STEP_MAX: Final = 3
"""Facts of the caller that are named in one step."""

FACT_CHARACTERS_MAX: Final = 120
"""Characters of such a fact: a value, never a document."""

CHECK: Final = "Check that this holds"
LOOK: Final = "Find out what is known and what is missing"

_GIVEN: Final = re.compile(r" \(given: .*\)$")
"""What an earlier caller gave does not hold for this one."""

_COVERAGE, _ORDER, _SIDE, _PAST, _CHECKED = 4.0, 2.0, 1.5, 1.5, 1.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What a plan may build on.

    Attributes:
        facts: the caller's own, name → value as text.
        past: stored plans, most similar first.
    """

    facts: Mapping[str, str]
    past: Sequence[PastPlan] = ()


@dataclass(frozen=True, slots=True)
class Planner:
    """Makes plans from words alone; deterministic."""

    analyser: TermAnalyser

    def plan(self, goal: str, strategy: Strategy, ground: Ground) -> Plan:
        """Return a plan; its steps are in order and at most ten."""
        taken = decompose(goal)
        if strategy is Strategy.TOT:
            return self._tree(goal, taken, ground)
        nearest = _followed(ground.past)
        if nearest is None:
            steps = self._told(in_order(taken, goal), ground.facts)
            return self._plan(goal, taken, steps, DECOMPOSITION, ground)
        steps = self._told(self._after(nearest, taken, goal), ground.facts)
        return self._plan(goal, taken, steps, RECALL, ground)

    def score(self, goal: str, steps: Sequence[Step], similarity: float) -> float:
        """Return how good a branch is, 0 to 10; see the module for the formula."""
        taken = decompose(goal)
        covered = self.covered(goal, (step.description for step in steps))
        kept = self._kept(taken, steps)
        chain = depth(ordered(steps)) - 1
        side = 1 - chain / (len(steps) - 1) if len(steps) > 1 else 1.0
        last = steps[-1].description if steps else ""
        total = (
            _COVERAGE * covered
            + _ORDER * kept
            + _SIDE * side
            + _PAST * max(0.0, min(1.0, similarity))
            + _CHECKED * last.casefold().startswith(("check", "verify", "test"))
        )
        return round(total, 2)

    def covered(self, goal: str, texts: Iterable[str]) -> float:
        """Return the share of the goal's words that are in the texts."""
        wanted = set(self.analyser.query_terms(goal))
        held = set(self.analyser.terms("\n".join(texts)))
        return len(wanted & held) / len(wanted) if wanted else 1.0

    def _tree(self, goal: str, taken: Decomposition, ground: Ground) -> Plan:
        ways: list[tuple[str, tuple[Step, ...], float]] = [
            (f"As plan {past.id} did", self._after(past, taken, goal), past.similarity)
            for past in _shown(ground.past)[:PAST_BRANCHES_MAX]
        ]
        ways += [
            ("In the order of the goal", in_order(taken, goal), 0.0),
            ("Look first, then in order", looked_first(taken, goal), 0.0),
            ("Side by side where no word orders", side_by_side(taken, goal), 0.0),
        ]
        branches: list[Branch] = []
        seen: set[tuple[Step, ...]] = set()
        for text, plain, similarity in ways[:BRANCHES_MAX]:
            steps = self._told(plain, ground.facts)
            if steps not in seen:
                seen.add(steps)
                score = self.score(goal, steps, similarity)
                name = f"b{len(branches) + 1}"
                branches.append(Branch(name, text, steps, score))
        best = best_of(branches)
        followed = best.description.startswith("As plan")
        plan = self._plan(
            goal, taken, best.steps, RECALL if followed else DECOMPOSITION, ground
        )
        why = f" Of {len(branches)} ways {best.id} scores best, {best.score} of 10."
        return replace(
            plan,
            strategy=Strategy.TOT,
            reasoning=plan.reasoning + why,
            branches=pruned(branches),
            best_branch_id=best.id,
        )

    def _plan(
        self,
        goal: str,
        taken: Decomposition,
        steps: tuple[Step, ...],
        method: str,
        ground: Ground,
    ) -> Plan:
        return Plan(
            goal=goal,
            strategy=Strategy.COT,
            steps=steps,
            reasoning=_reasoning(taken, method, ground),
            complexity=complexity(steps, len(taken.constraints)),
            method=method,
        )

    def _after(
        self, past: PastPlan, taken: Decomposition, goal: str
    ) -> tuple[Step, ...]:
        """Return the stored steps, and the parts of this goal that they leave out."""
        steps = [
            replace(step, description=_GIVEN.sub("", step.description))
            for step in renamed(ordered(past.steps)[:STEPS_MAX])
        ]
        held = [step.description for step in steps]
        new = [
            part.text for part in taken.parts if self.covered(part.text, held) < 1 / 2
        ][: STEPS_MAX - len(steps)]
        check = steps.pop() if new and steps and _is_check(steps[-1]) else None
        for text in new:
            needs = (steps[-1].id,) if steps else ()
            steps.append(Step(f"n{len(steps) + 1}", short(text), needs))
        if check is not None:
            steps.append(replace(check, dependencies=_sinks(steps)))
        found = tuple(steps)
        return renamed(found) if not problems(found) else in_order(taken, goal)

    def _told(
        self, steps: tuple[Step, ...], facts: Mapping[str, str]
    ) -> tuple[Step, ...]:
        """Name in each step the facts that share a word with it."""
        analysed = [
            (f"{name}: {short(value, FACT_CHARACTERS_MAX)}", f"{name} {value}")
            for name, value in facts.items()
        ]
        words = [
            (text, set(self.analyser.query_terms(all_))) for text, all_ in analysed
        ]
        told = []
        for step in steps:
            own = set(self.analyser.query_terms(step.description))
            near = [text for text, terms in words if own & terms][:FACTS_PER_STEP_MAX]
            given = f" (given: {'; '.join(near)})" if near else ""
            told.append(replace(step, description=short(step.description + given)))
        return tuple(told)

    def _kept(self, taken: Decomposition, steps: Sequence[Step]) -> float:
        """Return the share of the goal's words of order that the steps keep."""
        parts = taken.parts
        pairs = [
            (self._place(parts[n - 1], steps), self._place(part, steps))
            for n, part in enumerate(parts)
            if n and part.link is Link.ORDERED
        ]
        if not pairs:
            return 1.0
        return sum(early < late for early, late in pairs) / len(pairs)

    def _place(self, part: Part, steps: Sequence[Step]) -> int:
        held = [
            0.0
            if step.description.startswith(LOOK)
            else self.covered(part.text, [step.description])
            for step in steps
        ]
        return held.index(max(held)) if held else 0


def in_order(taken: Decomposition, goal: str) -> tuple[Step, ...]:
    """Return a step a part, each after the one before unless words say otherwise."""
    steps: list[Step] = []
    for text, part in _texts(taken):
        if not steps:
            needs: tuple[str, ...] = ()
        elif part.link is Link.ALONGSIDE:
            needs = steps[-1].dependencies
        else:
            needs = _sinks(steps)
        steps.append(Step(f"s{len(steps) + 1}", short(text), needs))
    return (*steps, _check_step(steps, taken, goal))


def side_by_side(taken: Decomposition, goal: str) -> tuple[Step, ...]:
    """Return a step a part that waits only where a word of the goal orders it."""
    steps: list[Step] = []
    for text, part in _texts(taken):
        waits = bool(steps) and part.link is Link.ORDERED
        needs = _sinks(steps) if waits else ()
        steps.append(Step(f"s{len(steps) + 1}", short(text), needs))
    return (*steps, _check_step(steps, taken, goal))


def looked_first(taken: Decomposition, goal: str) -> tuple[Step, ...]:
    """Return the steps in order behind one that finds out what is missing."""
    look = Step("s0", short(f"{LOOK}: {goal}"))
    steps = [
        step if step.dependencies else replace(step, dependencies=("s0",))
        for step in in_order(taken, goal)
    ]
    return renamed((look, *steps))


def best_of(branches: Sequence[Branch]) -> Branch:
    """Return the branch with the highest score, the first of equal ones."""
    return max(branches, key=lambda branch: branch.score)


def pruned(branches: Sequence[Branch]) -> tuple[Branch, ...]:
    """Return all branches, those below 5.0 marked; the best one never is."""
    best = best_of(branches)
    return tuple(
        replace(one, pruned=one.score < BRANCH_SCORE_KEPT and one is not best)
        for one in branches
    )


def complexity(steps: Sequence[Step], limits: int) -> int:
    """Return 1 to 10; see the module for the formula."""
    worth = 1 + 0.6 * (len(steps) - 1) + 0.4 * (depth(ordered(steps)) - 1)
    return max(1, min(COMPLEXITY_MAX, round(worth + 0.5 * limits)))


def _texts(taken: Decomposition) -> list[tuple[str, Part]]:
    """Return the text of each step; what is too many is joined at the end."""
    parts = list(taken.parts)
    kept, rest = parts[: PARTS_IN_PLAN_MAX - 1], parts[PARTS_IN_PLAN_MAX - 1 :]
    texts = [(part.text, part) for part in kept]
    if rest:
        texts.append(("; ".join(part.text for part in rest), rest[0]))
    return texts


def _check_step(steps: Sequence[Step], taken: Decomposition, goal: str) -> Step:
    wanted = [goal, *taken.constraints] if len(taken.parts) < 2 else taken.constraints  # noqa: PLR2004 - one part is the goal itself
    what = "; ".join(dict.fromkeys(wanted)) or goal
    return Step(f"s{len(steps) + 1}", short(f"{CHECK}: {what}"), _sinks(steps))


def _sinks(steps: Sequence[Step]) -> tuple[str, ...]:
    """Return the steps that no other waits for."""
    needed = {need for step in steps for need in step.dependencies}
    return tuple(step.id for step in steps if step.id not in needed)


def _is_check(step: Step) -> bool:
    return step.description.startswith(CHECK)


def _followed(past: Sequence[PastPlan]) -> PastPlan | None:
    found = [one for one in past if one.similarity >= FOLLOWED_FROM and one.steps]
    return max(found, key=lambda one: one.similarity, default=None)


def _shown(past: Sequence[PastPlan]) -> list[PastPlan]:
    found = [one for one in past if one.similarity >= SHOWN_FROM and one.steps]
    return sorted(found, key=lambda one: -one.similarity)


def _reasoning(taken: Decomposition, method: str, ground: Ground) -> str:
    told = [f"The goal has {_number(len(taken.parts), 'part')} of its own."]
    cues = [part.cue for part in taken.parts if part.cue]
    if cues:
        told.append(f"Its words of order are: {', '.join(cues)}.")
    elif len(taken.parts) > 1:
        told.append("No word orders them; they stand as they were given.")
    if taken.constraints:
        told.append(f"Limits to check: {'; '.join(map(short, taken.constraints))}.")
    near = _shown(ground.past)
    if method == RECALL:
        told.append(
            f"A stored plan ({near[0].id}, similarity {near[0].similarity:.2f}) had "
            "nearly this goal; its steps are used."
        )
    elif near:
        names = ", ".join(f"{one.id} ({one.similarity:.2f})" for one in near[:3])
        told.append(f"Stored plans of similar goals: {names}.")
    told.append("No language model made it.")
    return " ".join(told)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
