"""``cortex events``: what subscribers refused, and offering it again."""

from typing import Annotated

import typer

from cortex.cli.command import Server, command
from cortex.cli.exits import Exit
from cortex.cli.printing import moment, print_json, print_table

Subscriber = Annotated[
    str | None, typer.Option("--subscriber", help="Only letters of this one.")
]


@command
def dead_letters(server: Server, subscriber: Subscriber = None) -> None:
    """Show events that a subscriber refused too often, the oldest first.

    Example: cortex events dead-letters --json
    """
    with server.connect() as client:
        told = client.dead_letters(subscriber=subscriber)
    if server.as_json:
        print_json(told)
        return
    rows = [
        (
            one["event_id"],
            one["type"],
            one["subscriber"],
            str(one["tries"]),
            moment(one["failed_at"]),
            one["error"],
        )
        for one in told["dead_letters"]  # type: ignore[attr-defined]
    ]
    columns = ("event", "type", "subscriber", "tries", "failed (UTC)", "error")
    print_table(columns, rows)


@command
def retry(
    server: Server,
    event_id: Annotated[
        str | None, typer.Argument(help="Id of one event; all without.")
    ] = None,
    subscriber: Subscriber = None,
) -> None:
    """Offer dead letters to their subscribers once more; 1 when one stays.

    Example: cortex events retry --subscriber ledger
    """
    with server.connect() as client:
        told = client.retry_dead_letters(subscriber=subscriber, event_id=event_id)
    if server.as_json:
        print_json(told)
    else:
        print(f"{told['delivered']} delivered, {told['failed']} stay")
    if told["failed"]:
        raise typer.Exit(Exit.FAILURE)


def build() -> typer.Typer:
    """Return the command group."""
    group = typer.Typer(no_args_is_help=True, help="Events and their dead letters.")
    group.command("dead-letters")(dead_letters)
    group.command("retry")(retry)
    return group
