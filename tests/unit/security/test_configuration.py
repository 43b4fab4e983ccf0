"""What a start tells of settings that changed: names, once, never a value."""

import json

import pytest

from cortex.bootstrap.changes import digests_of
from cortex.foundation.ids import Uuid7Source
from cortex.security.configuration import ConfigurationLog
from cortex.settings import Settings
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database
from cortex.testing.memory import VirtualClock

KEY = b"k" * 32


@pytest.fixture
async def database(tmp_path):
    steps = load_migrations("cortex.storage") + load_migrations("cortex.security")
    opened = Database(tmp_path / "cortex.db", clock=VirtualClock(), migrations=steps)
    await opened.open()
    yield opened
    await opened.close()


def log(database):
    clock = VirtualClock()
    return ConfigurationLog(database, clock=clock, ids=Uuid7Source(clock))


async def test_a_change_is_told_once_by_the_first_of_several(database):
    assert await log(database).note({"a": "1", "b": "1"}) == ()
    assert await log(database).note({"a": "1", "b": "1"}) == ()
    assert await log(database).note({"a": "2", "c": "1"}) == ("a", "b", "c")
    assert await log(database).note({"a": "2", "c": "1"}) == ()
    rows = database.read_inline(
        lambda c: c.execute("SELECT body FROM outbox_events").fetchall()
    )
    [event] = [json.loads(row[0]) for row in rows]
    assert event["type"] == "config.changed"
    assert event["data"] == {"keys": ["a", "b", "c"], "actor": "operator"}


def test_digests_follow_values_and_show_none(tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text("version = 1")
    one = digests_of(Settings(tokens="a:canary-token-0123:memory"), KEY)
    assert "canary" not in json.dumps(one)
    assert one == digests_of(Settings(tokens="a:canary-token-0123:memory"), KEY)
    two = digests_of(Settings(tokens="a:other-token-01234:memory"), KEY)
    assert {name for name in one if one[name] != two[name]} == {"tokens"}
    other_key = digests_of(Settings(tokens="a:canary-token-0123:memory"), b"o" * 32)
    assert other_key["tokens"] != one["tokens"], "nobody can try guesses without it"
    before = digests_of(Settings(policy_file=policy), KEY)["policy_file"]
    policy.write_text("version = 1 # changed")
    assert digests_of(Settings(policy_file=policy), KEY)["policy_file"] != before


def test_the_order_of_sets_is_no_change():
    names = [f"scope-{n}" for n in range(40)]
    issuer = {"issuer": "https://x", "audiences": names}
    turned = {"issuer": "https://x", "audiences": names[::-1]}
    one, two = (
        digests_of(Settings(issuers={"corp": shown}), KEY) for shown in (issuer, turned)
    )
    assert one == two
