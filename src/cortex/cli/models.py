"""``cortex models``: which models the server has."""

from time import perf_counter

import typer

from cortex.cli.command import Server, command
from cortex.cli.printing import print_json, print_table

_COLUMNS = ("name", "revision", "dimensions", "runtime", "loaded", "license")


@command
def list_(server: Server) -> None:
    """List the models the server knows, and what they did.

    Example: cortex models list
    """
    with server.connect() as client:
        found = client.models()
    if server.as_json:
        print_json({"models": found})
        return
    rows = [
        (m.name, *(_shown(m.extra.get(column, "")) for column in _COLUMNS[1:]))
        for m in found
    ]
    print_table(_COLUMNS, rows)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


@command
def warm(server: Server) -> None:
    """Run the embedding model once, so that the next request finds it ready.

    Example: cortex models warm
    """
    with server.connect() as client:
        began = perf_counter()
        # A text never seen before: one from the cache would not run the model.
        client.vector_search(f"warm up at {began}", 1)
        milliseconds = (perf_counter() - began) * 1000
    if server.as_json:
        print_json({"warm": True, "milliseconds": round(milliseconds, 1)})
    else:
        print(f"warm: a search by meaning took {milliseconds:.0f} ms")


def build() -> typer.Typer:
    """Return the command group."""
    group = typer.Typer(no_args_is_help=True, help="Models.")
    group.command("list")(list_)
    group.command("warm")(warm)
    return group
