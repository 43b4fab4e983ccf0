"""``cortex events`` against a scripted server."""

import json
from typing import Any

LETTER = {
    "subscriber": "ledger", "event_id": "e1", "type": "memory.stored",
    "error": "ValueError: no", "tries": 5, "failed_at": 1_700_000_000.0, "event": {},
}  # fmt: skip


def test_dead_letters_are_shown(cortex: Any, server: Any, reply: Any):
    server.then(reply(200, {"dead_letters": [LETTER]}))
    done = cortex("events", "dead-letters", "--subscriber", "ledger")
    assert done.exit_code == 0
    for text in ("e1", "memory.stored", "ledger", "ValueError: no", "2023-11-14"):
        assert text in done.stdout


def test_a_letter_that_stays_fails_the_command(cortex: Any, server: Any, reply: Any):
    server.then(
        reply(200, {"delivered": 1, "failed": 0, "results": []}),
        reply(200, {"delivered": 0, "failed": 1, "results": []}),
    )
    assert cortex("events", "retry", "e1").exit_code == 0
    failed = cortex("events", "retry", "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["failed"] == 1


def test_a_letter_that_is_not_there_fails_the_command(
    cortex: Any, server: Any, reply: Any
):
    none = {"delivered": 0, "failed": 0, "results": []}
    server.then(reply(200, none), reply(200, none), reply(200, none))
    assert cortex("events", "retry", "e9").exit_code == 4
    failed = cortex("events", "retry", "--subscriber", "leger")
    assert failed.exit_code == 4
    assert "no such dead letter" in failed.stderr
    assert cortex("events", "retry").exit_code == 0


def test_past_events_are_shown_with_where_to_go_on(
    cortex: Any, server: Any, reply: Any
):
    event = {
        "id": "e9", "type": "memory.stored", "subject": "m1",
        "time": "2023-11-14T22:13:20.000000Z",
    }  # fmt: skip
    server.then(reply(200, {"events": [event], "next_cursor": "e9"}))
    done = cortex("events", "list", "--type", "memory.stored", "--last", "1h")
    assert done.exit_code == 0
    for text in ("e9", "memory.stored", "m1", "2023-11-14"):
        assert text in done.stdout
    assert "--cursor e9" in done.output
