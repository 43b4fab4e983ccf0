"""``cortex models``: which models the server has, and what they take."""

from collections.abc import Mapping
from typing import Annotated

import typer

from cortex.cli.command import Server, command
from cortex.cli.printing import moment, print_json, print_table

_COLUMNS = ("name", "modalities", "dimensions", "runtime", "loaded", "uses", "license")
_MEGABYTE = 1024 * 1024

Reason = Annotated[str, typer.Option(help="Why, for the ledger.")]


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
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


@command
def warm(
    server: Server,
    name: Annotated[
        str, typer.Argument(help="Which one, as 'list' has it; else the active one.")
    ] = "",
) -> None:
    """Load a model, so that the next request finds it ready.

    Example: cortex models warm
    """
    with server.connect() as client:
        told = client.warm_model(name)
    if server.as_json:
        print_json(told)
    else:
        print(f"warm: {name or 'the active model'} in {told.get('seconds', 0):.2f} s")


@command
def status(server: Server) -> None:
    """Show memory, worker processes, power and garbage collection.

    Example: cortex models status
    """
    with server.connect() as client:
        told = client.inference_status()
    if server.as_json:
        print_json(told)
        return
    print_table(("what", "now"), _status_rows(told))


def _status_rows(told: object) -> list[tuple[str, str]]:
    whole = _table(told)
    power, pool = _table(whole.get("power")), _table(whole.get("pool"))
    process = _table(whole.get("process"))
    workers = pool.get("workers")
    names = [
        f"{w.get('name')} ({w.get('state')}, pid {w.get('pid')})"
        for w in map(_table, workers if isinstance(workers, list) else [])
    ]
    room = (whole.get("memory_bytes"), whole.get("memory_bytes_max"))
    saving = "saving" if power.get("low") else "normal"
    return [
        ("power", f"{saving}; mode {power.get('mode')}, by {power.get('reason')}"),
        ("while saving", _saving(power) or "not measured for this model"),
        ("active model", str(pool.get("target"))),
        ("worker processes", ", ".join(names) or "none"),
        ("lost, retried", f"{pool.get('losses')}, {pool.get('retries')}"),
        ("models' memory", " of ".join(map(_megabytes, room))),
        ("process memory", _megabytes(process.get("resident_bytes"))),
        ("garbage collector", f"thresholds {process.get('gc_thresholds')}"),
        ("frozen objects", str(process.get("gc_frozen"))),
        ("leftovers removed", str(process.get("leftovers_removed"))),
    ]


def _table(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, dict) else {}


def _megabytes(value: object) -> str:
    return f"{value / _MEGABYTE:.0f} MB" if isinstance(value, int | float) else "?"


@command
def power(
    server: Server,
    mode: Annotated[str, typer.Argument(help="normal, low or schedule.")],
    reason: Reason = "",
) -> None:
    """Save power, stop saving it, or follow the schedule of the settings.

    Switches the process that answers, until it ends. For all processes of a server,
    and for good: cortex config set inference.power=low

    Example: cortex models power low --reason "on battery"
    """
    with server.connect() as client:
        told = client.set_power(mode, reason)
    if server.as_json:
        print_json(told)
        return
    since = moment(float(str(told.get("since", 0))))
    print(f"power: {'saving' if told.get('low') else 'normal'} since {since}")
    if told.get("low") and (cost := _saving(told)):
        print(cost)


def _saving(power: Mapping[str, object]) -> str:
    """Return what saving power gives and takes; empty where nobody measured it."""
    cost = _table(power.get("cost"))
    saved, lost = cost.get("cpu_saved"), cost.get("recall_lost")
    if not isinstance(saved, float) or not isinstance(lost, float):
        return ""
    return (
        f"a search takes about {saved:.0%} less CPU time and misses {lost:.0%} of the "
        f"answers more ({cost.get('source')})"
    )


@command
def scale(
    server: Server,
    replicas: Annotated[int, typer.Argument(help="Worker processes to have.")],
    reason: Reason = "by command",
) -> None:
    """Start or stop processes that embed beside the server's own threads.

    Example: cortex models scale 2 --reason "import of the archive"
    """
    with server.connect() as client:
        told = client.scale_workers(replicas, reason)
    if server.as_json:
        print_json(told)
    else:
        print(f"worker processes: {told.get('before')} -> {told.get('after')}")


def build() -> typer.Typer:
    """Return the command group."""
    group = typer.Typer(
        no_args_is_help=True, help="Models, worker processes and power."
    )
    group.command("list")(list_)
    group.command("warm")(warm)
    group.command("status")(status)
    group.command("power")(power)
    group.command("scale")(scale)
    return group
