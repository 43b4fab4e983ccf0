"""``cortex slo``: what is promised, what is left of it, and rules for Prometheus."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cortex.cli.command import Server, command, fail
from cortex.cli.exits import Exit
from cortex.cli.printing import moment, print_json, print_table
from cortex.foundation.errors import ValidationError

_HOUR = 3_600.0

BROKEN = frozenset({"burning", "exhausted"})
"""States that fail a check."""

Group = Annotated[
    list[str] | None, typer.Option("--group", "-g", help="Only this group; repeatable.")
]


@command
def report(server: Server, group: Group = None) -> None:
    """Show every promise, and how each route does with its success rate.

    Example: cortex slo report --group memory
    """
    with server.connect() as client:
        told = _narrowed(client.slo(), group)
    if server.as_json:
        print_json(told)
        return
    columns = ("objective", "promised", "so far", "budget left", "burn 1 h", "state")
    print_table(columns, [_row(one) for one in _objectives(told)])
    columns = ("route", "requests", "success", "p50 ms", "p95 ms", "p99 ms")
    since = moment(told["baseline_since"])
    rows = [_line(one) for one in told["baseline"]]
    print_table(columns, rows, title=f"baseline since {since} UTC")


@command
def budget(server: Server, group: Group = None) -> None:
    """Show the error budgets: how many bad requests are allowed, and how many left.

    Example: cortex slo budget --json
    """
    with server.connect() as client:
        told = _narrowed(client.slo(), group)
    found = [(one["name"], one["budget"]) for one in _objectives(told)]
    if server.as_json:
        print_json(dict(found))
        return
    columns = ("objective", "requests", "bad", "allowed", "left")
    rows = [
        (
            name,
            f"{left['requests']:.0f}",
            f"{left['bad']:.0f}",
            f"{left['allowed']:.1f}",
            f"{left['remaining']:.1%}",
        )
        for name, left in found
    ]
    print_table(columns, rows)


@command
def check(
    server: Server,
    group: Group = None,
    required: Annotated[
        bool, typer.Option(help="Promises without a request fail, too.")
    ] = False,
) -> int:
    """Fail (exit code 1) when a promise is broken or its budget burns too fast.

    For CI: run it after a load test, against the server that was loaded.

    Example: cortex slo check --group memory --required
    """
    with server.connect() as client:
        told = _narrowed(client.slo(), group)
    failing = BROKEN | {"no_data"} if required else BROKEN
    broken = [one for one in _objectives(told) if one["state"] in failing]
    if server.as_json:
        print_json({"ok": not broken, "broken": broken})
    elif broken:
        for one in broken:
            state = f"is {one['state']}"
            seen = "saw no request" if one["state"] == "no_data" else state
            fail(f"{one['name']} {seen}.")
    else:
        print(f"all {len(told['objectives'])} objectives are kept")
    return Exit.FAILURE if broken else Exit.OK


@command
def validate(
    file: Annotated[Path, typer.Argument(help="The file of objectives.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of text.")
    ] = False,
) -> None:
    """Read a file of objectives and say what is wrong with it, or what it makes.

    Example: cortex slo validate .slo.yml
    """
    from cortex.operations.slo.files import read_objectives

    found = read_objectives(file)
    if as_json:
        print_json(found)
        return
    rows = [(o.name, f"{o.target:.4%}", ", ".join(o.routes)) for o in found]
    print_table(("objective", "promised", "routes"), rows)


@command
def rules(
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Objectives; else the defaults.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of YAML.")
    ] = False,
) -> None:
    """Print the same promises and alerts as rules for Prometheus.

    Example: cortex slo rules --file .slo.yml > cortex-rules.yml
    """
    from cortex.operations.rules_file import rules_file, rules_yaml
    from cortex.operations.slo.defaults import default_objectives
    from cortex.operations.slo.files import read_objectives

    found = default_objectives() if file is None else read_objectives(file)
    if as_json:
        print_json(rules_file(found))
    else:
        print(rules_yaml(found), end="")


def build() -> typer.Typer:
    """Return the command group."""
    group = typer.Typer(no_args_is_help=True, help="Promises and error budgets.")
    group.command("report")(report)
    group.command("budget")(budget)
    group.command("check")(check)
    group.command("validate")(validate)
    group.command("rules")(rules)
    return group


def _narrowed(told: Mapping[str, Any], groups: Sequence[str] | None) -> dict[str, Any]:
    chosen = dict(told)
    known = {one["group"] for one in told["objectives"]}
    strange = sorted(set(groups or ()) - known)
    if strange:
        # A check of no objective would pass, whatever was meant.
        message = f"no promise is of the group {strange[0]!r}"
        hint = f"Groups are: {', '.join(sorted(known))}."
        raise ValidationError(message, hint=hint, field="group")
    if groups:
        chosen["objectives"] = [o for o in told["objectives"] if o["group"] in groups]
    return chosen


def _objectives(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(told["objectives"])


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    limit = one["threshold_ms"]
    promised = f"{one['target']:.4g}" + ("" if limit is None else f" <= {limit:g} ms")
    so_far = "-" if one["good_ratio"] is None else f"{one['good_ratio']:.3%}"
    hour = next(b["rate"] for b in one["burn"] if b["window_seconds"] == _HOUR)
    left = f"{one['budget']['remaining']:.1%}"
    return one["name"], promised, so_far, left, f"{hour:.2f}", one["state"]


def _line(one: Mapping[str, Any]) -> tuple[str, ...]:
    times = (one["p50_ms"], one["p95_ms"], one["p99_ms"])
    return (
        one["route"],
        f"{one['requests']:.0f}",
        f"{one['success_ratio']:.3%}",
        *("-" if value is None else f"{value:.1f}" for value in times),
    )
