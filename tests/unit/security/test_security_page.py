"""The how-to page does what it says: its Python runs, its policies and commands too."""

import ast
import inspect
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cortex.cli.policy import build as policy
from cortex.cli.tokens import build as tokens
from cortex.security.conditions import Operator
from cortex.security.intrusion import DENIALS, WatchOptions
from cortex.security.oidc import KEYS_FRESH_SECONDS, REFETCH_SECONDS_MIN
from cortex.security.policy import Request
from cortex.security.policy_file import parse_policy
from cortex.security.token_store import REVOCATION_SECONDS_MAX
from cortex.security.vault import VAULT_FRESH_SECONDS

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "security.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


async def test_the_python_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, block in enumerate(blocks("python")):
        code = compile(
            block,
            f"{PAGE.name}[{number}]",
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        )
        pending = eval(code, names)
        if inspect.isawaitable(pending):
            await pending
    assert "cortex_" in capsys.readouterr().out
    assert len(blocks("python")) == 7


def test_the_policies_are_good():
    (found,) = [parse_policy(block) for block in blocks("toml")]
    asked = Request(
        "ana", "acme", "memory.forget", 0.0, frozenset({"memory"}), namespace="shared"
    )
    assert found.decide(asked).rule == "no-forgetting-from-outside"


def test_the_commands_run(tmp_path, monkeypatch):
    monkeypatch.setenv("CORTEX_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "policy.toml"
    file.write_text(blocks("toml")[0])
    lines = [
        line
        for block in blocks("bash")
        for line in block.splitlines()
        if line.startswith("cortex ")
    ]
    assert len(lines) == 6
    made = ""
    for line in lines:
        _, group, *words = shlex.split(
            line.replace("policy.toml", str(file)).replace("ID", made)
        )
        told = CliRunner().invoke({"policy": policy, "tokens": tokens}[group](), words)
        assert told.exit_code == 0, told.output
        if words[0] == "issue":
            made = re.search(r"id ([0-9a-f-]{36})", told.stderr)[1]


@pytest.mark.parametrize("operator", Operator)
def test_every_operator_is_named(operator):
    assert f"`{operator}`" in TEXT


def test_the_figures_are_those_of_the_program():
    options = WatchOptions()
    assert DENIALS.requests == 20
    assert options.sprayed_tokens == 10
    assert options.wait_max_seconds == 5 * 60
    assert REVOCATION_SECONDS_MAX == 1
    assert KEYS_FRESH_SECONDS == 10 * 60
    assert REFETCH_SECONDS_MIN == 30
    assert VAULT_FRESH_SECONDS == 5 * 60
