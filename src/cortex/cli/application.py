"""The command tree. A command's module is loaded when the command is asked for."""

from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Final

import typer

import cortex

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "serve": "serve:serve",
        "demo": "demo.command:demo",
        "remember": "remember:remember",
        "recall": "recall:recall",
        "context": "context:context",
        "embed": "embed:embed",
        "plan": "agents:plan",
        "reflect": "agents:reflect",
        "forget": "forget:forget",
        "quarantine": "quarantine:quarantine",
        "release": "quarantine:release",
        "import": "transfer:import_",
        "export": "transfer:export",
        "mcp": "mcp:mcp",
        "doctor": "doctor:doctor",
        "energy": "energy:energy",
        "witness": "witness:witness",
    }
)
"""Name to module and function, in the order of the help."""

GROUPS: Final = (
    "sessions", "models", "config", "ledger", "tokens", "policy", "encryption", "slo",
    "alerts", "events", "perf",
)  # fmt: skip
"""Groups of commands; each has a module of its name with a ``build``."""


def build(only: Collection[str] | None = None) -> typer.Typer:
    """Return the program: the whole, or no more than what one call needs."""
    program = typer.Typer(
        name="cortex",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        help="Memory, context and proof for agents, on port 4949.",
    )
    program.callback()(_program)
    for name, place in COMMANDS.items():
        if only is None or name in only:
            module, _, function = place.partition(":")
            loaded = import_module(f"cortex.cli.{module}")
            program.command(name)(getattr(loaded, function))
    for name in GROUPS:
        if only is None or name in only:
            loaded = import_module(f"cortex.cli.{name}")
            program.add_typer(loaded.build(), name=name)
    return program


def needed(arguments: Collection[str]) -> Collection[str] | None:
    """Return the commands to load for a command line; None for all of them.

    The first word decides. What is no command's name (``--help``, a typing error, the
    completion of a shell) takes the whole tree to answer.
    """
    first = next(iter(arguments), "")
    if first == "--version":
        return ()
    return (first,) if first in COMMANDS or first in GROUPS else None


def corrected(arguments: Sequence[str]) -> Sequence[str]:
    """Return a command line with ``help X`` as ``X --help``."""
    return (*arguments[1:], "--help") if arguments[:1] == ["help"] else arguments


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
