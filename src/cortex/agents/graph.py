"""Steps as a graph: what is wrong with it, its order, and its longest chain."""

from collections.abc import Sequence
from dataclasses import replace

from cortex.agents.errors import PlanInvalid
from cortex.agents.model import STEPS_MAX, Branch, Plan, Step, Strategy


def problems(steps: Sequence[Step]) -> list[str]:
    """Return what is wrong with the steps, in sentences for a person or a model."""
    if not steps:
        return ["there are no steps"]
    found = []
    if len(steps) > STEPS_MAX:
        found.append(f"there are {len(steps)} steps; the limit is {STEPS_MAX}")
    ids = [step.id for step in steps]
    known = set(ids)
    if len(known) < len(ids):
        twice = sorted({one for one in ids if ids.count(one) > 1})
        found.append(f"step ids must differ: {', '.join(twice)}")
    for step in steps:
        if not step.id or not step.description.strip():
            found.append(f"step {step.id!r} needs an id and a description")
        for need in step.dependencies:
            if need not in known:
                found.append(f"step {step.id} depends on {need!r}, which is no step")
            if need == step.id:
                found.append(f"step {step.id} depends on itself")
    if not found and len(ordered(steps)) < len(steps):
        stuck = known - {step.id for step in ordered(steps)}
        found.append(f"these steps wait for one another: {', '.join(sorted(stuck))}")
    return found


def ordered(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the steps so that each comes after what it needs, else as they stand.

    Steps on a cycle are left out. The method is A. B. Kahn's, "Topological sorting of
    large networks", CACM 5 (1962).
    """
    done: set[str] = set()
    result: list[Step] = []
    waiting = list(steps)
    while waiting:
        ready = next((s for s in waiting if done.issuperset(s.dependencies)), None)
        if ready is None:
            break
        waiting.remove(ready)
        done.add(ready.id)
        result.append(ready)
    return tuple(result)


def depth(steps: Sequence[Step]) -> int:
    """Return the number of steps on the longest chain; the steps must be in order."""
    length: dict[str, int] = {}
    for step in steps:
        before = (length.get(need, 0) for need in step.dependencies)
        length[step.id] = 1 + max(before, default=0)
    return max(length.values(), default=0)


def renamed(steps: Sequence[Step], prefix: str = "s") -> tuple[Step, ...]:
    """Return the steps with ids s1, s2, … in their order."""
    names = {step.id: f"{prefix}{n}" for n, step in enumerate(steps, 1)}
    return tuple(
        replace(
            step,
            id=names[step.id],
            dependencies=tuple(names[need] for need in step.dependencies),
        )
        for step in steps
    )


def checked(plan: Plan) -> Plan:
    """Return the plan with its steps in order.

    Raises:
        PlanInvalid: it has a cycle, an unknown dependency, too many steps, or a best
            branch that is not there.
    """
    wrong = problems(plan.steps)
    for branch in plan.branches:
        wrong += [f"branch {branch.id}: {one}" for one in problems(branch.steps)]
    ids = [branch.id for branch in plan.branches]
    if len(set(ids)) < len(ids):
        wrong.append("branch ids must differ")
    if plan.strategy is Strategy.TOT and plan.best_branch_id not in ids:
        wrong.append(f"the best branch {plan.best_branch_id!r} is not there")
    if wrong:
        raise PlanInvalid("; ".join(wrong), problems=wrong)
    return replace(
        plan,
        steps=ordered(plan.steps),
        branches=tuple(_in_order(branch) for branch in plan.branches),
    )


def _in_order(branch: Branch) -> Branch:
    return replace(branch, steps=ordered(branch.steps))
