"""``cortex perf logs`` against a scripted server."""

import json
from typing import Any

FIRST = {
    "event": "first",
    "level": "info",
    "timestamp": "2023-11-14T22:13:20.000+00:00",
}
SECOND = {**FIRST, "event": "second", "level": "error", "route": "/memory"}


def told(*lines: Any, newest: str = "0000000000001-1:5") -> dict[str, Any]:
    return {"lines": list(lines), "next_cursor": None, "newest": newest}


def test_lines_are_shown_the_newest_last(cortex: Any, server: Any, reply: Any):
    server.then(reply(200, told(SECOND, FIRST)))
    done = cortex("perf", "logs", "--level", "info", "--last", "1h")
    assert done.exit_code == 0
    first, second = done.stdout.splitlines()
    assert "first" in first
    assert second.startswith("2023-11-14T22:13:20.000 error    second")
    assert second.endswith("route=/memory")


def test_following_goes_on_with_what_came_since(cortex: Any, server: Any, reply: Any):
    server.then(
        reply(200, told(FIRST)),
        reply(200, told(SECOND)),
        reply(403, {"error": {"code": "PERMISSION_DENIED", "message": "no more"}}),
    )
    done = cortex("perf", "logs", "--follow", "--json")
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert events == ["first", "second"]
    assert done.exit_code != 0


def test_a_summary_counts(cortex: Any, server: Any, reply: Any):
    group = {"level": "error", "event": "failed", "count": 3, "first": 1.0, "last": 2.0}
    server.then(reply(200, {"lines": 3, "groups": [group]}))
    done = cortex("perf", "logs", "--summary")
    assert done.exit_code == 0
    for text in ("3 lines", "failed", "error"):
        assert text in done.stdout
