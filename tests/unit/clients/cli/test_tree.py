"""Every command can be understood from its own help, and the reference is true."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import cortex as package
from cortex.cli.application import build, corrected
from cortex.cli.reference import render

REFERENCE = Path(__file__).parents[4] / "docs/reference/cli.md"
SILENT = {"serve", "mcp", "demo"}
"""Commands that print no data."""


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, child in getattr(command, "commands", {}).items():
        if getattr(child, "commands", None):
            yield from leaves(child, (*path, name))
        else:
            yield " ".join((*path, name)), child


COMMANDS = dict(leaves(typer.main.get_command(build())))


def test_the_contract_of_this_release_is_there() -> None:
    assert set(COMMANDS) >= {
        "serve",
        "demo",
        "remember",
        "recall",
        "context",
        "forget",
        "import",
        "export",
        "sessions list",
        "sessions show",
        "sessions new",
        "models list",
        "models power",
        "models scale",
        "models status",
        "models warm",
        "config show",
        "config check",
        "config history",
        "config rollback",
        "config set",
        "doctor",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_that_is_this_command(name: str) -> None:
    _, found, example = COMMANDS[name].help.partition("Example: ")
    assert found
    assert f"cortex {name}" in example


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is(name: str) -> None:
    for parameter in COMMANDS[name].params:
        assert getattr(parameter, "help", None), parameter.name


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - SILENT))
def test_what_prints_data_prints_json(name: str) -> None:
    assert any("--json" in p.opts for p in COMMANDS[name].params)


def test_the_reference_is_what_the_program_says() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == render()


def test_version_and_help(cortex: Any) -> None:
    assert cortex("--version").output == f"cortex {package.__version__}\n"
    assert cortex("recall", "--help").exit_code == 0
    assert cortex("no-such-command").exit_code == 2
    assert cortex("recall").exit_code == 2


def test_help_is_a_word_too() -> None:
    assert corrected(["help"]) == ("--help",)
    assert corrected(["help", "sessions", "list"]) == ("sessions", "list", "--help")
    assert corrected(["recall", "help"]) == ["recall", "help"]
