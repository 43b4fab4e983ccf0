"""The command tree."""

from typing import Annotated

import typer

import cortex
from cortex.cli import (
    alerts,
    config,
    encryption,
    events,
    ledger,
    models,
    perf,
    policy,
    sessions,
    slo,
    tokens,
)
from cortex.cli.agents import plan, reflect
from cortex.cli.context import context
from cortex.cli.demo.command import demo
from cortex.cli.doctor import doctor
from cortex.cli.embed import embed
from cortex.cli.energy import energy
from cortex.cli.forget import forget
from cortex.cli.mcp import mcp
from cortex.cli.quarantine import quarantine, release
from cortex.cli.recall import recall
from cortex.cli.remember import remember
from cortex.cli.serve import serve
from cortex.cli.transfer import export, import_
from cortex.cli.witness import witness


def build() -> typer.Typer:
    """Return the whole program."""
    program = typer.Typer(
        name="cortex",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        help="Memory, context and proof for agents, on port 4949.",
    )
    program.callback()(_program)
    for name, function in (
        ("serve", serve),
        ("demo", demo),
        ("remember", remember),
        ("recall", recall),
        ("context", context),
        ("embed", embed),
        ("plan", plan),
        ("reflect", reflect),
        ("forget", forget),
        ("quarantine", quarantine),
        ("release", release),
        ("import", import_),
        ("export", export),
        ("mcp", mcp),
        ("doctor", doctor),
        ("energy", energy),
        ("witness", witness),
    ):
        program.command(name)(function)
    program.add_typer(sessions.build(), name="sessions")
    program.add_typer(models.build(), name="models")
    program.add_typer(config.build(), name="config")
    program.add_typer(ledger.build(), name="ledger")
    program.add_typer(tokens.build(), name="tokens")
    program.add_typer(policy.build(), name="policy")
    program.add_typer(encryption.build(), name="encryption")
    program.add_typer(slo.build(), name="slo")
    program.add_typer(alerts.build(), name="alerts")
    program.add_typer(events.build(), name="events")
    program.add_typer(perf.build(), name="perf")
    return program


def _print_version(value: bool) -> None:
    if value:
        print(f"cortex {cortex.__version__}")
        raise typer.Exit


def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_print_version,
            help="Print the version and stop.",
        ),
    ] = False,
) -> None:
    """Take the options of the program itself."""
