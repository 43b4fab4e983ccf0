"""Quarantine, release, and where memories came from, on the command line."""

from typing import Any

TAKEN = {"quarantined": 2, "ids": ["m1", "m2"], "reason": "odd", "quarantined_at": 5.0}


def test_remember_says_where_from_and_tells_of_a_quarantine(
    cortex: Any, server: Any, reply: Any
):
    stored = {"id": "m1", "created": True, "quarantined": "rule:system-prompt"}
    server.then(reply(200, {"items": [stored]}))
    done = cortex(
        "remember",
        "tea",
        "--source=https://x.example",
        "--source-kind=web",
        "--run=r",
        "--trust=0.2",
    )
    assert (done.exit_code, done.stdout) == (0, "m1\n")
    assert "quarantined: rule:system-prompt" in done.stderr
    (item,) = server.seen[0].body["items"]
    assert item == {
        "content": "tea",
        "source": "https://x.example",
        "source_kind": "web",
        "run_id": "r",
        "trust": 0.2,
    }


def test_recall_narrows_by_trust(cortex: Any, server: Any, reply: Any):
    server.then(reply(200, {"hits": []}))
    cortex("recall", "tea", "--min-trust=0.5", "--source-kind=user")
    asked = server.seen[0].body
    assert (asked["min_trust"], asked["source_kinds"]) == (0.5, ["user"])


def test_quarantine_takes_an_id_or_conditions(cortex: Any, server: Any, reply: Any):
    server.usual = lambda _: reply(200, TAKEN)
    done = cortex("quarantine", "m1", "--reason=odd", "--namespace=x")
    assert (done.exit_code, done.stdout) == (0, "quarantined 2 memories\n")
    assert server.seen[0].path == "/memory/m1/quarantine"
    assert server.seen[0].body == {"reason": "odd"}
    cortex("quarantine", "--source=s", "--reason=odd", "-n", "x", "--json")
    assert server.seen[1].path == "/memory/quarantine"
    assert server.seen[1].body == {"reason": "odd", "source": "s", "namespace": "x"}


def test_quarantine_refuses_both_and_neither(cortex: Any, server: Any):
    for flags in ((), ("m1", "--source=s"), ("--namespace=x",)):
        done = cortex("quarantine", "--reason=odd", *flags)
        assert done.exit_code == 2
    assert cortex("quarantine", "m1").exit_code == 2
    assert server.seen == []


def test_release_names_what_is_free(cortex: Any, server: Any, reply: Any):
    server.then(reply(200, {"id": "m1", "content": "tea"}))
    done = cortex("release", "m1")
    assert (done.exit_code, done.stdout) == (0, "released m1\n")
    assert server.seen[0].path == "/memory/m1/release"
