"""``cortex quarantine`` and ``cortex release``: out of answers, and in again."""

from dataclasses import dataclass
from typing import Annotated

import typer

from cortex.cli.command import Server, command, fail
from cortex.cli.exits import Exit
from cortex.cli.printing import print_json
from cortex.cli.selecting import NamespaceName
from cortex_client.calls.memory import Suspects


@dataclass(frozen=True, slots=True)
class Conditions:
    """What to take out of answers: all the given conditions hold."""

    namespace: NamespaceName = None
    source: Annotated[str | None, typer.Option(help="Exactly this source.")] = None
    source_kind: Annotated[
        str | None, typer.Option(help="user, agent, tool, import, web or unknown.")
    ] = None
    run: Annotated[str | None, typer.Option(help="Run id.")] = None
    written_by: Annotated[
        str | None, typer.Option(help="Name of the token that wrote it.")
    ] = None
    session: Annotated[str | None, typer.Option(help="Session id.")] = None
    user: Annotated[str | None, typer.Option(help="User id.")] = None
    after: Annotated[
        str | None, typer.Option(help="Happened at or after, ISO 8601.")
    ] = None
    before: Annotated[str | None, typer.Option(help="Happened before, ISO 8601.")] = (
        None
    )

    def suspects(self) -> Suspects:
        """Return the conditions as the client takes them."""
        values = {
            "namespace": self.namespace,
            "source": self.source,
            "source_kind": self.source_kind,
            "run_id": self.run,
            "written_by": self.written_by,
            "session_id": self.session,
            "user_id": self.user,
            "start": self.after,
            "end": self.before,
        }
        return {k: v for k, v in values.items() if v is not None}  # type: ignore[return-value]


@command
def quarantine(
    conditions: Conditions,
    server: Server,
    reason: Annotated[str, typer.Option(help="Why; kept with each and in the ledger.")],
    memory_id: Annotated[str | None, typer.Argument(help="Id of one memory.")] = None,
) -> int | None:
    """Keep one memory, or all that the conditions name, out of every answer.

    Nothing is deleted; `cortex release` lets one in again.

    Example: cortex quarantine --source https://example.org/page --reason "poisoned"
    """
    suspects = conditions.suspects()
    narrowed = bool(suspects.keys() - {"namespace"})
    if narrowed == (memory_id is not None):
        fail("give an id, or at least one condition such as --source; not both.")
        return Exit.USAGE
    with server.connect() as client:
        taken = client.quarantine(memory_id, reason=reason, **suspects)
    if server.as_json:
        print_json(taken)
    else:
        print(f"quarantined {len(taken.ids)} memories")
    return None


@command
def release(
    memory_id: Annotated[str, typer.Argument(help="Id of the memory.")],
    server: Server,
    namespace: NamespaceName = None,
) -> None:
    """Let a quarantined memory into answers again; needs the scope admin.

    Example: cortex release 01890a5d-ac96-774b-bcce-b302099a8057
    """
    with server.connect() as client:
        released = client.release(memory_id, namespace=namespace)
    if server.as_json:
        print_json(released)
    else:
        print(f"released {released.id}")
