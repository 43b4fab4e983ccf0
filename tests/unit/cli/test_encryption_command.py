"""``cortex encryption`` as an operator runs it, on a real database file."""

import asyncio
import json
import shlex

import pytest
from typer.testing import CliRunner

from cortex.cli.encryption import build
from cortex.foundation.errors import ValidationError
from cortex.security.envelope import MasterKey
from cortex.testing.memory import memory_world

KEY, OTHER = "a1" * 32, "b2" * 32


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORTEX_HOME", str(tmp_path))
    monkeypatch.setenv("CORTEX_ENCRYPTION__KEY", KEY)

    async def fill():
        async with memory_world(tmp_path, master=MasterKey.parse(KEY)) as world:
            await world.say("one")

    asyncio.run(fill())

    def call(words: str):
        return CliRunner().invoke(build(), shlex.split(words))

    return call


def keys(run):
    told = json.loads(run("status --json").stdout)["keys"]
    assert {one["master_id"] for one in told} == {MasterKey.parse(KEY).id}
    return {(one["tenant"], one["purpose"]): one["keys"] for one in told}


def test_a_fresh_data_key_beside_the_older_one(run):
    assert keys(run) == {("local", "store"): 1, ("local", "store-blind"): 1}
    made = json.loads(run("rotate --json").stdout)
    assert len(made["key"]) == 32
    assert keys(run)["local", "store"] == 2
    assert "local" in run("status").stdout


def test_a_key_of_other_data_touches_nothing(run, monkeypatch):
    monkeypatch.setenv("CORTEX_ENCRYPTION__KEY", OTHER)
    refused = run("rotate")
    assert isinstance(refused.exception, ValidationError) or refused.exit_code
    assert OTHER not in refused.output
    monkeypatch.setenv("CORTEX_ENCRYPTION__KEY", KEY)
    assert keys(run)["local", "store"] == 1


def test_without_a_key_there_is_nothing_to_tell(run, monkeypatch):
    monkeypatch.delenv("CORTEX_ENCRYPTION__KEY")
    assert run("status").exit_code != 0
