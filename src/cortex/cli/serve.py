"""``cortex serve``: run the server."""

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from cortex.cli.command import command


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says; None leaves it to the settings."""

    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")
    ] = None
    workers: Annotated[int | None, typer.Option(min=1, help="Server processes.")] = None
    reload: Annotated[
        bool, typer.Option("--reload", help="Restart when the code changes.")
    ] = False
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning, error or critical.")
    ] = None
    json_logs: Annotated[
        bool | None,
        typer.Option("--json-logs/--no-json-logs", help="JSON lines, or text."),
    ] = None


@command
def serve(flags: Flags) -> int:
    """Run the server until SIGTERM or Ctrl-C.

    Without anything set it listens on 127.0.0.1:4949 and keeps its data under
    ~/.local/share/cortex. Exit code 1 when it cannot start.

    Example: cortex serve --port 4949 --log-level info
    """
    from cortex.bootstrap.process import serve as run

    return run({name: v for name, v in asdict(flags).items() if v is not None})
