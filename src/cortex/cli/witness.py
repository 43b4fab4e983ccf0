"""``cortex witness``: cosign heads of logs that only ever grow."""

import re
from pathlib import Path
from typing import Annotated

import typer

from cortex.cli.command import command
from cortex.cli.printing import print_json, say
from cortex.foundation.errors import ValidationError

_PLACE = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:\s]+):([0-9]{1,5})")
_PORT_MAX = 65_535


@command
def witness(
    name: Annotated[str, typer.Argument(help="Key name, such as witness.example/w1.")],
    log: Annotated[
        list[Path] | None,
        typer.Option(help="File of a log's verifier keys; repeatable."),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder of key and heads; else CORTEX_HOME.")
    ] = None,
    at: Annotated[str, typer.Option(help="HOST:PORT to listen on.")] = "127.0.0.1:4950",
    show_key: Annotated[
        bool, typer.Option("--show-key", help="Print the verifier key and stop.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --show-key: print JSON.")
    ] = False,
) -> int | None:
    """Run a witness (c2sp.org/tlog-witness) until SIGTERM or Ctrl-C.

    It signs a log's head only with a proof that the log extends the last head it
    signed. Run it where the writers of the log cannot reach it.

    Example: cortex witness witness.example/w1 --log log.vkey --state /var/lib/witness
    """
    from cortex.cli.witness_server import cosigner_at, run_witness, state_folder

    folder = state_folder(state)
    cosigner = cosigner_at(folder, name)
    key = cosigner.verifier_key.encode()
    if show_key:
        if as_json:
            print_json({"key": key})
        else:
            print(key)
        return None
    place = _PLACE.fullmatch(at)
    if place is None or int(place[2]) > _PORT_MAX:
        raise ValidationError(f"{at!r} is not HOST:PORT", field="at")
    if not log:
        message = "a witness has to know a log"
        raise ValidationError(message, hint="Name its keys with --log.", field="log")
    say(f"signing as {key}")
    return run_witness(folder, cosigner, log, at)
