"""``cortex config`` against a scripted server."""

import json
from typing import Any

CHANGED = {
    "revision": 4,
    "changed": [{"name": "trace.ratio", "before": 0.1, "after": 1}],
}
SETTING = {
    "secret": False, "given": True, "source": "runtime", "changeable": True,
    "limits": {"minimum": 1, "maximum": 9}, "variable": "V", "description": "",
}  # fmt: skip
SHOWN = {
    "revision": 4,
    "ignored": {"port": "cannot be changed"},
    "settings": [
        {**SETTING, "name": "default_ttl", "value": 7},
        {**SETTING, "name": "log_level", "value": "info", "limits": {"choices": ["a"]}},
        {**SETTING, "name": "signing_key", "value": None, "secret": True,
         "changeable": False, "source": "environment"},
    ],
}  # fmt: skip


def test_values_are_json_or_else_texts(cortex: Any, server: Any, reply: Any):
    server.then(reply(200, CHANGED))
    done = cortex(
        "config", "set", "trace.ratio=1", "log_level=debug", "quotas.tokens=null",
        "--reset", "default_ttl", "--reason", "why", "--if-revision", "3",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "trace.ratio: 0.1 -> 1" in done.stdout
    assert "revision 4: in force" in done.stdout
    [asked] = server.seen
    assert (asked.method, asked.path) == ("PATCH", "/config")
    assert asked.headers["if-match"] == '"3"'
    assert asked.body == {
        "set": {"trace.ratio": 1, "log_level": "debug", "quotas.tokens": None},
        "reset": ["default_ttl"],
        "reason": "why",
    }


def test_what_is_no_pair_is_a_usage_error(cortex: Any, server: Any):
    assert cortex("config", "set", "log_level").exit_code == 2
    assert cortex("config", "set").exit_code == 2
    assert server.seen == []


def test_a_refusal_names_the_field(cortex: Any, server: Any, reply: Any):
    message = "trace.ratio must be less than or equal to 1"
    error = {"code": "VALIDATION_ERROR", "message": message}
    server.then(reply(422, {"detail": message, "error": error}))
    done = cortex("config", "set", "trace.ratio=7")
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_rollback_names_its_revision(cortex: Any, server: Any, reply: Any):
    server.then(reply(200, CHANGED), reply(200, {"revision": 4, "changed": []}))
    assert cortex("config", "rollback", "0", "--json").exit_code == 0
    again = cortex("config", "rollback")
    assert "nothing changed" in again.stdout
    first, second = (asked.body for asked in server.seen)
    assert (first["revision"], second["revision"]) == (0, None)


def test_the_live_settings_show_layer_and_limits(cortex: Any, server: Any, reply: Any):
    server.then(reply(200, SHOWN), reply(200, SHOWN))
    told = cortex("config", "show", "--live").stdout
    for text in ("runtime", "from 1 to 9", "after a restart", "****", "revision 4"):
        assert text in told
    assert "ignored: port" in told
    assert json.loads(cortex("config", "show", "--live", "--json").stdout) == SHOWN


def test_history_tells_who_and_why(cortex: Any, server: Any, reply: Any):
    revision = {**CHANGED, "kind": "rolledback", "target": 2, "at": 1.7e9,
                "actor": "chief", "reason": "too quiet", "set": {}}  # fmt: skip
    server.then(reply(200, {"revisions": [revision], "next": None}))
    told = cortex("config", "history").stdout
    for text in ("chief", "back to 2: too quiet", "trace.ratio: 0.1 -> 1", "2023-11"):
        assert text in told
