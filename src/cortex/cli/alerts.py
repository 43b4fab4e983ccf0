"""``cortex alerts``: what fires, and saying that one knows."""

from typing import Annotated

import typer

from cortex.cli.command import Server, command
from cortex.cli.printing import moment, print_json, print_table


@command
def list_(server: Server) -> None:
    """Show the alerts that are pending or fire, the longest first.

    Example: cortex alerts list --json
    """
    with server.connect() as client:
        told = client.alerts()
    if server.as_json:
        print_json(told)
        return
    rows = [
        (
            one["name"],
            one["phase"],
            one["severity"],
            moment(one["since"]),
            f"{one['value']:.4g}",
            one["acknowledged_by"],
        )
        for one in told["alerts"]  # type: ignore[attr-defined]
    ]
    columns = ("alert", "phase", "severity", "since (UTC)", "value", "known to")
    print_table(columns, rows)


@command
def acknowledge(
    name: Annotated[str, typer.Argument(help="Name of the alert.")], server: Server
) -> None:
    """Say that you know of a firing alert; it stays until its cause is gone.

    Example: cortex alerts acknowledge slo:memory:availability:fast
    """
    with server.connect() as client:
        known = client.acknowledge_alert(name)
    if server.as_json:
        print_json(known)
    else:
        print(f"{known['name']} is known to {known['acknowledged_by']}")


def build() -> typer.Typer:
    """Return the command group."""
    group = typer.Typer(no_args_is_help=True, help="Alerts: list and acknowledge them.")
    group.command("list")(list_)
    group.command("acknowledge")(acknowledge)
    return group
