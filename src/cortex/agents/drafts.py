"""What a language model answered, held to the rules; faults are told to it once."""

from collections.abc import Mapping
from typing import Final

from cortex.agents.graph import ordered, problems
from cortex.agents.model import (
    CHECKS,
    Branch,
    Issue,
    IssueKind,
    Judgement,
    Plan,
    Severity,
    Step,
    Strategy,
    short,
    steps_from_json,
)
from cortex.agents.planning import best_of, pruned
from cortex.foundation.canonical import JsonValue
from cortex.inference.schema import Unfit

ID_CHARACTERS_MAX: Final = 40
TEXTS_MAX: Final = 10
"""Suggestions and action items of a model that are kept."""

REASONING_CHARACTERS_MAX: Final = 4_000


def read_plan(value: JsonValue, goal: str, strategy: Strategy, method: str) -> Plan:
    """Return the plan in an answer that keeps to the schema.

    Raises:
        Unfit: ids that repeat, unknown dependencies, a cycle, too many steps.
    """
    answer = value if isinstance(value, Mapping) else {}
    branches: tuple[Branch, ...] = ()
    if strategy is Strategy.TOT:
        branches = _branches(answer.get("branches"))
        best = best_of(branches)
        steps, best_id = best.steps, best.id
    else:
        steps, best_id = _steps(answer.get("steps"), "the plan"), None
    complexity = answer.get("complexity")
    return Plan(
        goal=goal,
        strategy=strategy,
        steps=steps,
        reasoning=short(str(answer.get("reasoning", "")), REASONING_CHARACTERS_MAX),
        complexity=complexity if isinstance(complexity, int) else 1,
        method=method,
        branches=pruned(branches) if branches else (),
        best_branch_id=best_id,
    )


def read_judgement(value: JsonValue, content: str, method: str) -> Judgement:
    """Return a model's judgement of an output.

    An issue whose evidence is not in the output is left out, and that is noted: it
    was made up.
    """
    answer = value if isinstance(value, Mapping) else {}
    told = [row for row in _rows(answer.get("issues")) if row.get("message")]
    said = " ".join(content.casefold().split())
    real = [row for row in told if _quoted(row) in said]
    notes: tuple[str, ...] = ()
    if len(real) < len(told):
        lost = len(told) - len(real)
        notes = (
            f"The model quoted words that are not in the output; {lost} left out.",
        )
    score = answer.get("quality_score")
    return Judgement(
        quality_score=float(score) if isinstance(score, int | float) else 0.0,
        issues=tuple(map(_issue, real)),
        suggestions=_texts(answer.get("suggestions")),
        action_items=_texts(answer.get("action_items")),
        method=method or CHECKS,
        notes=notes,
    )


def _branches(value: JsonValue) -> tuple[Branch, ...]:
    made, wrong = [], []
    for n, row in enumerate(_rows(value), 1):
        name = short(str(row.get("id") or f"b{n}"), ID_CHARACTERS_MAX)
        score = row.get("score")
        try:
            steps = _steps(row.get("steps"), f"branch {name}")
        except Unfit as unfit:
            wrong += unfit.problems
            continue
        text = short(str(row.get("description", "")))
        worth = float(score) if isinstance(score, int | float) else 0.0
        made.append(Branch(name, text, steps, round(worth, 2)))
    if len({branch.id for branch in made}) < len(made):
        wrong.append("branch ids must differ")
    if wrong:
        raise Unfit(wrong)
    return tuple(made)


def _steps(value: JsonValue, where: str) -> tuple[Step, ...]:
    steps = tuple(
        Step(short(one.id, ID_CHARACTERS_MAX), short(one.description), one.dependencies)
        for one in steps_from_json(value)
    )
    wrong = problems(steps)
    if wrong:
        raise Unfit([f"{where}: {one}" for one in wrong])
    return ordered(steps)


def _rows(value: JsonValue) -> list[Mapping[str, JsonValue]]:
    if not isinstance(value, list):
        return []
    return [row for row in value if isinstance(row, Mapping)]


def _quoted(row: Mapping[str, JsonValue]) -> str:
    text = " ".join(str(row.get("evidence", "")).casefold().split())
    return text.strip("\"'“”…. ")


def _issue(row: Mapping[str, JsonValue]) -> Issue:
    return Issue(
        IssueKind.JUDGED,
        Severity(str(row.get("severity", "low"))),
        short(str(row["message"])),
        short(str(row.get("evidence", ""))),
    )


def _texts(value: JsonValue) -> tuple[str, ...]:
    rows = value if isinstance(value, list) else []
    return tuple(short(str(one)) for one in rows[:TEXTS_MAX] if str(one).strip())
