"""``cortex plan`` and ``cortex reflect``: before the work, and after it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cortex.cli.command import Server, command
from cortex.cli.exits import Exit
from cortex.cli.printing import print_json, print_table, say
from cortex.cli.selecting import NamespaceName
from cortex.foundation.errors import ValidationError
from cortex_client.calls.agents import PlanOptions, ReflectOptions
from cortex_client.wire import Plan, Reflection

Facts = Annotated[
    list[str] | None, typer.Option("--fact", help="name=value; may be repeated.")
]


@dataclass(frozen=True, slots=True)
class How:
    """How to plan, and from what."""

    strategy: Annotated[
        str, typer.Option(help="cot: one chain; tot: ways, the best named.")
    ] = "cot"
    fact: Facts = None
    namespace: NamespaceName = None

    def options(self) -> PlanOptions:
        """Return the options as the client takes them."""
        options: PlanOptions = {"strategy": self.strategy}
        if self.fact:
            options["context"] = _facts(self.fact)
        if self.namespace:
            options["namespace"] = self.namespace
        return options


@dataclass(frozen=True, slots=True)
class Against:
    """What an output is held against."""

    goal: Annotated[str | None, typer.Option(help="What it was made for.")] = None
    criterion: Annotated[
        list[str] | None, typer.Option(help="What must hold; may be repeated.")
    ] = None
    source: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, dir_okay=False, help="Text it rests on; may be repeated."
        ),
    ] = None
    iteration: Annotated[int, typer.Option(min=1, max=3, help="Which attempt.")] = 1
    previous: Annotated[
        str | None, typer.Option(help="Id of the reflection on the attempt before.")
    ] = None
    namespace: NamespaceName = None

    def options(self) -> ReflectOptions:
        """Return the options as the client takes them."""
        texts = {path.name: path.read_text("utf-8") for path in self.source or ()}
        values = {
            "goal": self.goal,
            "criteria": self.criterion or None,
            "context": texts or None,
            "previous_id": self.previous,
            "namespace": self.namespace,
        }
        return {k: v for k, v in values.items() if v is not None}  # type: ignore[return-value]


@command
def plan(
    goal: Annotated[str, typer.Argument(help="What shall be reached.")],
    how: How,
    server: Server,
) -> None:
    """Break a goal into ordered steps, and keep them as a memory.

    Example: cortex plan "Back up the database, then migrate it" --strategy tot
    """
    with server.connect() as client:
        made = client.plan(goal, **how.options())
    if server.as_json:
        print_json(made)
        return
    _show_plan(made)


@command
def reflect(
    file: Annotated[
        Path, typer.Argument(allow_dash=True, help="The output; - is standard input.")
    ],
    against: Against,
    server: Server,
) -> int | None:
    """Judge an output with evidence; exit code 1 when it is not approved.

    Example: cortex reflect answer.md --goal "Describe the bridge" --source page.txt
    """
    stdin = str(file) == "-"
    content = sys.stdin.read() if stdin else file.read_text("utf-8")
    output = {"content": content, "iteration": against.iteration}
    with server.connect() as client:
        made = client.reflect(output, **against.options())
    if server.as_json:
        print_json(made)
    else:
        _show_reflection(made)
    return None if made.approved else Exit.FAILURE


def _facts(pairs: list[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise ValidationError(
                f"{pair!r} is not name=value", hint="Write --fact 'size=4 TB'."
            )
        found[name] = value
    return found


def _show_plan(made: Plan) -> None:
    rows = [
        (
            str(step.get("id", "")),
            str(step.get("description", "")),
            _joined(step.get("dependencies")),
        )
        for step in made.steps
    ]
    print_table(("step", "what", "after"), rows)
    for branch in made.branches:
        mark = "*" if branch.get("id") == made.best_branch_id else " "
        cut = "  pruned" if branch.get("pruned") else ""
        say(f"{mark} {branch.get('score')}  {branch.get('description')}{cut}")
    say(made.reasoning)
    say(f"complexity {made.complexity}, {made.method}, kept as {made.id}")


def _show_reflection(made: Reflection) -> None:
    verdict = "approved" if made.approved else "not approved"
    say(f"{verdict}, score {made.quality_score:.2f} ({made.method}, kept as {made.id})")
    rows = [
        (str(i.get("severity")), str(i.get("message")), str(i.get("evidence")))
        for i in made.issues
        if isinstance(i, Mapping)
    ]
    if rows:
        print_table(("severity", "issue", "evidence"), rows)
    for item in made.action_items:
        say(f"- {item}")


def _joined(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else ""
