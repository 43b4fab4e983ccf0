"""``cortex tokens`` as an operator runs it, on a real database file."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from cortex.cli.tokens import build, seconds_of
from cortex.foundation.errors import ValidationError


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORTEX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CORTEX_TOKENS", "static:static-token-0123456789:memory")

    def call(words: str):
        return CliRunner().invoke(build(), shlex.split(words))

    return call


def test_a_token_from_issue_to_revocation(run, tmp_path):
    issued = run("issue ci --scope memory -n 'team/*' --for 30d --tenant acme")
    value = issued.stdout.strip()
    assert issued.exit_code == 0
    assert value.startswith("cortex_")
    listed = json.loads(run("list --tenant acme --json").stdout)["tokens"]
    assert [(t["name"], t["state"], t["namespaces"]) for t in listed] == [
        ("ci", "active", ["team/*"])
    ]
    token_id = listed[0]["id"]
    successor = json.loads(
        run(f"rotate {token_id} --tenant acme --overlap 10m --json").stdout
    )
    assert successor["value"] != value
    revoked = run(f"revoke {successor['id']} --tenant acme")
    assert revoked.stdout.strip() == successor["id"]
    again = run(f"revoke {successor['id']} --tenant acme")
    assert "ended already" in again.stdout
    states = {
        t["id"]: t["state"]
        for t in json.loads(run("list --tenant acme --all --json").stdout)["tokens"]
    }
    assert states == {token_id: "active", successor["id"]: "revoked"}
    assert value not in run("list --tenant acme --all").stdout
    for file in (tmp_path / "home").iterdir():
        assert value.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("issue ci", 2),
        ("issue ci --scope everything", 2),
        ("issue ci --scope memory --for soon", 2),
        ("issue ci --scope memory --for 2h --ephemeral", 2),
        ("issue static --scope memory", 1),
        ("revoke nothing", 4),
        ("rotate nothing", 4),
    ],
)
def test_what_goes_wrong_is_told_in_one_line(run, words, code):
    told = run(words)
    assert told.exit_code == code
    assert told.stdout == ""


def test_durations():
    assert [seconds_of(t) for t in ("0s", "90s", "15m", "12h", "30d")] == [
        0,
        90,
        900,
        43_200,
        2_592_000,
    ]
    for text in ("", "s", "1", "-1s", "1w", "1.5h", "²s"):
        with pytest.raises(ValidationError):
            seconds_of(text)


def test_a_token_needs_a_scope(run):
    done = run("issue ci")
    assert done.exit_code == 2
    assert "Missing option '--scope'" in done.stderr
