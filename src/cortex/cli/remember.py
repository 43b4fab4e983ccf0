"""``cortex remember``: store one thing."""

import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from cortex.cli.command import Server, command
from cortex.cli.printing import print_json, say
from cortex.cli.selecting import NamespaceName
from cortex_client import NewMemory


@dataclass(frozen=True, slots=True)
class About:
    """What is said of the memory beside its content."""

    author: Annotated[str, typer.Option(help="Who said or wrote it.")] = ""
    kind: Annotated[str, typer.Option(help="Label, such as fact or message.")] = ""
    namespace: NamespaceName = None
    session: Annotated[str | None, typer.Option(help="Session id.")] = None
    user: Annotated[str | None, typer.Option(help="User id.")] = None
    agent: Annotated[str | None, typer.Option(help="Agent id.")] = None
    tag: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None
    importance: Annotated[float | None, typer.Option(min=0, max=1, help="0 to 1.")] = (
        None
    )
    at: Annotated[
        str | None, typer.Option(help="When it happened: ISO 8601 or epoch seconds.")
    ] = None
    ttl: Annotated[float | None, typer.Option(help="Forget after seconds.")] = None
    source: Annotated[
        str, typer.Option(help="Where it came from: a URL, the name of a tool.")
    ] = ""
    source_kind: Annotated[
        str, typer.Option(help="user, agent, tool, import, web or unknown.")
    ] = ""
    run: Annotated[str | None, typer.Option(help="Id of the run it came from.")] = None
    trust: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="At most what the kind of source allows."),
    ] = None


@command
def remember(
    content: Annotated[str, typer.Argument(help="The text; - reads standard input.")],
    about: About,
    server: Server,
) -> None:
    """Store one thing; prints its id.

    Example: cortex remember "Ana prefers tea" --author Ana --user ana --tag drinks
    """
    text = sys.stdin.read() if content == "-" else content
    item = NewMemory(
        content=text,
        author=about.author,
        kind=about.kind,
        session_id=about.session,
        user_id=about.user,
        agent_id=about.agent,
        tags=tuple(about.tag or ()),
        importance=about.importance,
        occurred_at=about.at,
        ttl_seconds=about.ttl,
        source=about.source,
        source_kind=about.source_kind,
        run_id=about.run,
        trust=about.trust,
    )
    with server.connect() as client:
        if about.namespace is None:
            stored = client.remember(item)
        else:
            stored = client.remember(item, namespace=about.namespace)
    if server.as_json:
        print_json(stored)
        return
    for entry in stored.items:
        print(entry.id if entry.created else f"{entry.id} (was there already)")
        if entry.quarantined:
            say(f"quarantined: {entry.quarantined}; nothing answers with it")
