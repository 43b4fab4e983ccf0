"""``cortex forget``: remove for good."""

import sys
from typing import Annotated

import typer

from cortex.cli.command import Server, command, fail
from cortex.cli.exits import Exit
from cortex.cli.printing import print_json
from cortex.cli.selecting import Which


@command
def forget(
    which: Which,
    server: Server,
    memory_id: Annotated[str | None, typer.Argument(help="Id of one memory.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int | None:
    """Forget one memory, or all that the conditions name; it cannot be undone.

    Example: cortex forget --user ana --yes
    """
    if which.narrowed if memory_id else not which.selection():
        fail("give an id, or at least one condition such as --user; not both.")
        return Exit.USAGE
    if not yes and not _agreed(memory_id):
        return Exit.USAGE
    with server.connect() as client:
        gone = client.forget(memory_id, **which.selection())
    if server.as_json:
        print_json(gone)
    else:
        count = len(gone.ids)
        print(f"forgot {count} {'memory' if count == 1 else 'memories'}")
    return None


def _agreed(memory_id: str | None) -> bool:
    if not sys.stdin.isatty():
        fail("forgetting cannot be undone:", "say --yes to do it.")
        return False
    what = f"memory {memory_id}" if memory_id else "all memories that match"
    return typer.confirm(f"Forget {what} for good?")
