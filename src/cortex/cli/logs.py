"""``cortex perf logs``: the kept log lines of all worker processes."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cortex.cli.command import Server, command
from cortex.cli.printing import moment, print_json, print_table
from cortex.cli.tokens import seconds_of
from cortex.foundation.clock import SystemClock
from cortex_client import CortexClientSync
from cortex_client.call import Call

LOOK_SECONDS = 1.0
"""Between two looks for new lines: the server writes them every second."""

_PATH = "/performance/logs"

_HIDDEN = frozenset({"timestamp", "level", "event", "service", "version", "brand"})
"""Fields of every line, told in its columns or alike on all."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Which lines: all the given conditions hold."""

    level: Annotated[str, typer.Option(help="The least severe shown.")] = "debug"
    last: Annotated[
        str | None, typer.Option(help="Time looked back: 90s, 15m, 12h, 30d.")
    ] = None
    correlation: Annotated[str, typer.Option(help="Only lines of this request.")] = ""
    text: Annotated[str, typer.Option(help="Stands somewhere in the line.")] = ""

    def asked(self) -> dict[str, Any]:
        """Return the conditions as the route takes them."""
        found = {
            "level": self.level,
            "correlation_id": self.correlation,
            "text": self.text,
        }
        if self.last is None:
            return found
        return found | {"since": SystemClock().now() - seconds_of(self.last)}


@command
def logs(
    server: Server,
    which: Lines,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Lines shown.")] = 100,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines.")
    ] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="Count lines by level and event.")
    ] = False,
) -> None:
    """Show kept log lines, the newest last; with --json one object a line.

    Example: cortex perf logs --level warning --last 1h --summary
    """
    with server.connect() as client:
        if summary:
            told = _ask(client, "/performance/logs/summary", which.asked())
            _print_summary(told, as_json=server.as_json)
            return
        for line in _lines(client, which.asked() | {"limit": limit}, follow=follow):
            print(json.dumps(line) if server.as_json else _written(line), flush=True)


def _lines(
    client: CortexClientSync, asked: dict[str, Any], *, follow: bool
) -> Iterator[Mapping[str, Any]]:
    while True:
        told = _ask(client, _PATH, asked)
        lines = told["lines"] if "after" in asked else reversed(told["lines"])
        yield from (line for line in lines if not follow or line.get("route") != _PATH)
        if not follow:
            return
        if told["newest"]:
            asked["after"] = told["newest"]
        # Its own looks are lines, too: there is always a new one.
        if len(told["lines"]) < asked["limit"]:
            asyncio.run(SystemClock().sleep(LOOK_SECONDS))


def _written(line: Mapping[str, Any]) -> str:
    facts = " ".join(
        f"{name}={value}" for name, value in line.items() if name not in _HIDDEN
    )
    at = str(line.get("timestamp", ""))[:23]
    return f"{at} {line.get('level', ''):<8} {line.get('event', '')}  {facts}"


def _print_summary(told: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    rows = [
        (
            group["level"],
            group["event"],
            str(group["count"]),
            moment(group["first"]),
            moment(group["last"]),
        )
        for group in told["groups"]
    ]
    columns = ("level", "event", "lines", "first (UTC)", "last (UTC)")
    print_table(columns, rows, f"{told['lines']} lines")


def _ask(client: CortexClientSync, path: str, asked: dict[str, Any]) -> dict[str, Any]:
    return client.send(Call("GET", path, _read, asked))


def _read(answer: Any) -> dict[str, Any]:
    return dict(answer.body)
