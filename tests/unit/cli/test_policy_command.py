"""``cortex policy`` as a user runs it."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from cortex.cli.policy import build

POLICY = """
version = 1
[roles.reader]
scopes = ["memory"]
[[bindings]]
subjects = ["ci"]
roles = ["reader"]
[[rules]]
id = "shared"
effect = "allow"
actions = ["memory.*"]
namespaces = ["shared"]
[[rules]]
id = "trusted-only"
effect = "deny"
actions = ["memory.forget"]
when = [{ attribute = "memory.trust", at_most = 0.2 }]
"""


@pytest.fixture
def ask(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)

    def run(words: str):
        return CliRunner().invoke(build(), [*shlex.split(words), "--file", str(file)])

    return run


def test_an_allowed_action_is_explained(ask):
    told = ask("explain memory.forget --subject ci -n shared -a memory.trust=0.9")
    assert told.exit_code == 0
    assert "allowed: the rule 'shared' allows memory.forget" in told.stdout
    assert "trusted-only" in told.stdout


def test_a_denied_action_has_its_own_exit_code(ask):
    told = ask("explain memory.forget --subject ci -n shared --json")
    assert told.exit_code == 5
    tree = json.loads(told.stdout)
    assert tree["rule"] == "trusted-only"
    assert tree["roles"] == ["reader"]
    assert {c["rule"] for c in tree["considered"]} == {"shared", "trusted-only"}


def test_times_and_attributes_that_are_none(ask):
    for words in ("--at soon", "-a nothing"):
        told = ask(f"explain memory.read {words}")
        assert told.exit_code != 0
        assert "error" in told.stderr


def test_check_says_what_is_in_it_and_what_is_wrong(ask, tmp_path):
    assert "1 allow rules, 1 deny rules" in ask("check").stdout
    assert json.loads(ask("check --json").stdout)["ok"]
    broken = tmp_path / "broken.toml"
    broken.write_text(POLICY.replace("memory.*", "memry.*"))
    told = CliRunner().invoke(build(), ["check", "--file", str(broken)])
    assert told.exit_code != 0
    assert "rules[0].actions" in told.stderr
    gone = CliRunner().invoke(build(), ["check", "--file", str(tmp_path / "gone")])
    assert gone.exit_code == 2


def test_the_policy_of_the_settings_is_the_one_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(POLICY)
    monkeypatch.setenv("CORTEX_POLICY_FILE", str(tmp_path / "mine.toml"))
    told = CliRunner().invoke(build(), ["check"])
    assert told.exit_code == 0
    assert "mine.toml is good" in told.stdout
