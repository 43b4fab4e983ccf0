"""``cortex events``: what happened, what subscribers refused, offering it again."""

from datetime import datetime
from typing import Annotated, Any

import typer

from cortex.cli.command import Server, command, fail
from cortex.cli.exits import Exit
from cortex.cli.printing import moment, print_json, print_table, say
from cortex.cli.tokens import seconds_of
from cortex.foundation.clock import SystemClock
from cortex_client.call import Call

Subscriber = Annotated[
    str | None, typer.Option("--subscriber", help="Only letters of this one.")
]


@command
def list_events(
    server: Server,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", help="Only this type; may be repeated."),
    ] = None,
    subject: Annotated[str, typer.Option(help="Only events about this id.")] = "",
    last: Annotated[
        str | None, typer.Option(help="Time looked back: 90s, 15m, 12h, 30d.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Events shown.")] = 50,
    cursor: Annotated[
        str | None, typer.Option(help="next_cursor of the page before.")
    ] = None,
) -> None:
    """Show events that happened, the newest first.

    Example: cortex events list --type memory.stored --last 1h --json
    """
    asked: dict[str, Any] = {"limit": limit, "types": ",".join(types or ())}
    asked["subject"] = subject
    if last is not None:
        asked["since"] = SystemClock().now() - seconds_of(last)
    if cursor is not None:
        asked["cursor"] = cursor
    with server.connect() as client:
        told = client.send(Call("GET", "/events", _read, asked))
    if server.as_json:
        print_json(told)
        return
    rows = [
        (
            moment(datetime.fromisoformat(one["time"]).timestamp()),
            one["type"],
            one.get("subject", ""),
            one["id"],
        )
        for one in told["events"]
    ]
    print_table(("at (UTC)", "type", "subject", "event"), rows)
    if told["next_cursor"]:
        say(f"older ones: --cursor {told['next_cursor']}")


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

    One that is named and not there is exit code 4.

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
    if (event_id or subscriber) and not told["delivered"]:
        fail("no such dead letter. `cortex events dead-letters` shows all.")
        raise typer.Exit(Exit.NOT_FOUND)


def build() -> typer.Typer:
    """Return the command group."""
    group = typer.Typer(no_args_is_help=True, help="Past events and dead letters.")
    group.command("list")(list_events)
    group.command("dead-letters")(dead_letters)
    group.command("retry")(retry)
    return group


def _read(answer: Any) -> dict[str, Any]:
    return dict(answer.body)
