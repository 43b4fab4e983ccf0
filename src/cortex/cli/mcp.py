"""``cortex mcp``: the Model Context Protocol over standard streams."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cortex.cli.command import command, fail
from cortex.cli.exits import Exit
from cortex.cli.mcp_clients import CLIENTS, Launch, printed
from cortex.cli.selecting import NamespaceName
from cortex_client import CortexClientSync

NAME_STYLES = ("dotted", "plain")

TOKEN_PLACE = "YOUR-TOKEN"  # noqa: S105 - where the person writes it


@dataclass(frozen=True, slots=True)
class Server:
    """Whom the client's requests reach."""

    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            envvar="CORTEX_URL",
            help="Hand everything on to this running server instead of opening the "
            "files of CORTEX_HOME.",
        ),
    ] = None
    token: Annotated[
        str | None,
        typer.Option("--token", envvar="CORTEX_TOKEN", help="Bearer token for --url."),
    ] = None


@dataclass(frozen=True, slots=True)
class Look:
    """How tools are named, and where they work."""

    namespace: NamespaceName = None
    names: Annotated[
        str,
        typer.Option(
            help="dotted (memory.store) or plain (memory_store), which Claude "
            "Desktop, Windsurf and others need."
        ),
    ] = "dotted"


@command
def mcp(
    server: Server,
    look: Look,
    print_config: Annotated[
        bool,
        typer.Option(
            "--print-config", help="Print what a client's configuration needs; stop."
        ),
    ] = False,
    client: Annotated[
        str | None,
        typer.Argument(help=f"With --print-config: {', '.join(CLIENTS)}; else all."),
    ] = None,
) -> int | None:
    """Serve the memory to one MCP client over standard input and output.

    Clients start this command themselves. Without --url it works on the files of
    CORTEX_HOME in its own process, also while a server runs over them.

    Example: cortex mcp --print-config claude-desktop
    """
    if look.names not in NAME_STYLES:
        fail(f"--names is {' or '.join(NAME_STYLES)}.")
        return Exit.USAGE
    if print_config:
        return _print_config(client, _launch(server, look))
    if client is not None:
        fail("a client is named with --print-config only.")
        return Exit.USAGE
    from cortex.bootstrap.mcp_stdio import Choice, run_local, run_remote
    from cortex.settings import load

    choice = Choice(look.namespace, plain_names=look.names == "plain")
    if not server.url:
        run_local(load().settings, choice)
        return None
    with CortexClientSync(server.url, token=server.token) as asked:
        asked.health()
    run_remote(server.url, server.token, choice)
    return None


def _print_config(client: str | None, launch: Launch) -> int | None:
    if client is not None and client not in CLIENTS:
        fail(f"no client is known as {client!r}.", f"Known: {', '.join(CLIENTS)}.")
        return Exit.USAGE
    print(printed([client] if client else list(CLIENTS), launch))
    return None


def _launch(server: Server, look: Look) -> Launch:
    """Return how a client starts this program; it inherits no shell's variables."""
    from cortex.settings import load

    arguments = ["mcp", "--names", "plain"]
    if look.namespace is not None:
        arguments += ["--namespace", look.namespace]
    environment = {}
    if server.url:
        arguments += ["--url", server.url]
        if server.token:
            environment["CORTEX_TOKEN"] = TOKEN_PLACE
    else:
        environment["CORTEX_HOME"] = str(load().settings.home_folder)
    program = Path(sys.executable).with_name("cortex")
    return Launch(str(program), tuple(arguments), environment)
