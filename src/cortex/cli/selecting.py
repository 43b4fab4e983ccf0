"""Options that say which memories, for all commands that select some."""

from dataclasses import dataclass
from typing import Annotated

import typer

from cortex_client.calls.memory import Selection

NamespaceName = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Else the default namespace.")
]


@dataclass(frozen=True, slots=True)
class Which:
    """A selection of memories: all the given conditions hold."""

    namespace: NamespaceName = None
    session: Annotated[str | None, typer.Option(help="Session id.")] = None
    user: Annotated[str | None, typer.Option(help="User id.")] = None
    agent: Annotated[str | None, typer.Option(help="Agent id.")] = None
    author: Annotated[str | None, typer.Option(help="Who said it.")] = None
    tag: Annotated[str | None, typer.Option(help="One of its tags.")] = None
    after: Annotated[
        str | None, typer.Option(help="Happened at or after, ISO 8601.")
    ] = None
    before: Annotated[str | None, typer.Option(help="Happened before, ISO 8601.")] = (
        None
    )

    @property
    def narrowed(self) -> bool:
        """Return whether any condition beside the namespace is given."""
        return bool(self.selection().keys() - {"namespace"})

    def selection(self) -> Selection:
        """Return the selection as the client takes it."""
        values = {
            "namespace": self.namespace,
            "session_id": self.session,
            "user_id": self.user,
            "agent_id": self.agent,
            "author": self.author,
            "tag": self.tag,
            "start": self.after,
            "end": self.before,
        }
        return {k: v for k, v in values.items() if v is not None}  # type: ignore[return-value]
