"""``cortex demo``: start a server, use it, prove what it promises."""

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console

from cortex.cli.command import command, fail
from cortex.cli.demo.journey import Journey
from cortex.cli.demo.server import free_port, is_free, running
from cortex.cli.exits import Exit
from cortex_client.discovery import PORT_MAX, own_port, process_environment


@command
def demo(
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=PORT_MAX,
            help="Port, another if taken; else CORTEX_PORT, else 4949.",
        ),
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="Keep the data here; else a temporary folder.")
    ] = None,
) -> int:
    """Show the main job on a real conversation; under a minute, offline.

    Starts a server, imports the Apollo 11 transcript, asks questions, packs a
    context, forgets one person for good and proves it. On a terminal the server then
    stays for you until Ctrl-C.

    Example: cortex demo --port 4949
    """
    console = Console(highlight=False)
    chosen = _port(port or own_port(process_environment()), console)
    began = perf_counter()
    with _folder(home) as folder, running(folder, chosen) as client:
        started = perf_counter() - began
        console.print(f"Server ready on {client.base_url} after {started:.1f} s")
        journey = Journey(client, folder, console)
        journey.times.append(("start", started, "from nothing to ready, offline"))
        kept = journey.run()
        console.print(f"Whole demo: {perf_counter() - began:.1f} s")
        if not kept:
            fail("something the demo promises did not hold; see above.")
            return Exit.FAILURE
        if sys.stdin.isatty() and sys.stdout.isatty():
            _stay(client.base_url, console)
    return Exit.OK


def _port(wanted: int, console: Console) -> int:
    if is_free(wanted):
        return wanted
    chosen = free_port()
    console.print(f"Port {wanted} is taken; this demo uses {chosen}.")
    return chosen


@contextmanager
def _folder(home: Path | None) -> Iterator[Path]:
    if home is not None:
        home.mkdir(parents=True, exist_ok=True)
        yield home.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="cortex-demo-") as folder:
        yield Path(folder)


def _stay(url: str, console: Console) -> None:
    console.print(f"\nThe server stays on {url} until Ctrl-C. Try, in another window:")
    console.print(
        f'  cortex recall "Who saw the rainbow?" --namespace apollo11 --url {url}',
        markup=False,
    )
    console.print(
        f"  cortex sessions list --namespace apollo11 --url {url}", markup=False
    )
    console.print(f"  {url}/docs", markup=False)
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("Stopping.")
