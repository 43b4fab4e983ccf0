"""``cortex remember``: store one thing."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from cortex.cli.command import Server, command, fail
from cortex.cli.exits import Exit
from cortex.cli.printing import print_json, say
from cortex.cli.selecting import NamespaceName
from cortex_client import NewMemory
from cortex_client.media_wire import RememberedFile
from cortex_client.wire import Stored


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
    about: About,
    server: Server,
    content: Annotated[
        str | None, typer.Argument(help="The text; - reads standard input.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="A picture, recording or film to remember."),
    ] = None,
) -> int | None:
    """Store one thing; prints its id.

    Example: cortex remember "Ana prefers tea" --author Ana --user ana --tag drinks
    """
    if content is None and file is None:
        fail("remember takes a text, a --file or both.")
        return Exit.USAGE
    text = sys.stdin.read() if content == "-" else content or ""
    if file is not None:
        _remember_file(file, text, about, server)
        return None
    with server.connect() as client:
        item = _item(text, about)
        if about.namespace is None:
            stored = client.remember(item)
        else:
            stored = client.remember(item, namespace=about.namespace)
    if server.as_json:
        print_json(stored)
        return None
    for entry in stored.items:
        _print_stored(entry)
    return None


def _remember_file(file: Path, caption: str, about: About, server: Server) -> None:
    said = asdict(_item(caption, about)) | {"namespace": about.namespace}
    said["caption"] = said.pop("content")
    fields = {name: value for name, value in said.items() if value}
    with server.connect() as client:
        stored = client.remember_file(file, **fields)
    if server.as_json:
        print_json(stored)
        return
    _print_stored(stored)
    say(stored.content)


def _print_stored(entry: Stored | RememberedFile) -> None:
    print(entry.id if entry.created else f"{entry.id} (was there already)")
    if entry.quarantined:
        say(f"quarantined: {entry.quarantined}; nothing answers with it")


def _item(text: str, about: About) -> NewMemory:
    return NewMemory(
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
