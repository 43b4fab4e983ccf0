"""``cortex doctor``: does everything that a server needs work here?"""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cortex.cli.command import command
from cortex.cli.exits import Exit
from cortex.cli.printing import print_json

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@command
def doctor(
    url: Annotated[
        str | None, typer.Option("--url", help="Server to look at; else this host.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of a table.")
    ] = False,
) -> int:
    """Check Python, settings, data folder, disk, SQLite, the model and the port.

    Exit code 1 when something is wrong; warnings leave it at 0.

    Example: cortex doctor --json
    """
    from cortex.cli.checkup import examine

    findings = examine(url)
    healthy = all(finding.status != "fail" for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "checks": findings})
        return Exit.OK if healthy else Exit.FAILURE
    table = Table("", "check", "found", "what to do")
    for finding in findings:
        mark = f"[{_COLOURS[finding.status]}]{finding.status}[/]"
        table.add_row(mark, finding.name, finding.detail, finding.hint)
    Console(highlight=False).print(table)
    return Exit.OK if healthy else Exit.FAILURE
