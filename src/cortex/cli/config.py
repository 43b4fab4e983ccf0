"""``cortex config``: what is set, from where, and whether a server would start."""

from typing import Annotated

import typer

from cortex.cli.command import command
from cortex.cli.printing import print_json, print_table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@command
def show(as_json: AsJson = False) -> None:
    """Show every setting, its value and where that came from; secrets are masked.

    Example: cortex config show --json
    """
    from cortex.settings import load

    described = load().describe()
    if as_json:
        print_json(described)
        return
    rows = [(d.name, d.value, d.source, d.variable) for d in described]
    print_table(("setting", "value", "from", "variable"), rows)


@command
def check(as_json: AsJson = False) -> None:
    """Say whether a server would start with these settings; exit code 1 if not.

    Example: CORTEX_ENV=production cortex config check
    """
    from cortex.settings import load_with_secrets

    settings = load_with_secrets().settings
    settings.check()
    if as_json:
        print_json({"ok": True, "env": settings.env.value})
    else:
        print(f"settings are good ({settings.env.value})")


def build() -> typer.Typer:
    """Return the command group."""
    group = typer.Typer(no_args_is_help=True, help="Settings: show or check them.")
    group.command("show")(show)
    group.command("check")(check)
    return group
