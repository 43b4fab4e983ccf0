"""``cortex perf`` against a scripted server."""

import json
from typing import Any

PART = {
    "name": "embed", "count": 100.0, "errors": 1.0, "p50_ms": 2.0, "p95_ms": 9.0,
    "self_ms": 2.5, "self_share": 0.6, "critical_share": 0.5,
}  # fmt: skip
SPANS = {
    "traces": 12,
    "requests": 120.0,
    "bottleneck": "embed",
    "parts": [PART],
    "slowest": {
        "trace_id": "a" * 32,
        "name": "POST /memory/search",
        "ms": 321.0,
        "critical_path": [{"name": "embed", "start_ms": 0.0, "ms": 300.0}],
    },
    "differences": [
        {"name": "embed", "before_ms": 1.0, "after_ms": 2.0, "ratio": 2.0, "sure": True}
    ],
}
GROUP = {
    "fingerprint": "f" * 16, "type": "KeyError", "code": "INTERNAL_ERROR",
    "place": "cortex.memory.store:get", "route": "/memory", "message": "x",
    "frames": [], "count": 3, "first_seen": 1_700_000_000.0,
    "last_seen": 1_700_000_100.0, "last_trace_id": "", "last_correlation_id": "",
}  # fmt: skip
SPAN = {
    "span_id": "1", "parent_id": "", "name": "GET /memory", "start": 10.0,
    "ms": 5.0, "error": "", "attributes": {},
}  # fmt: skip


def test_status_shows_each_route(cortex: Any, server: Any, reply: Any):
    route = {
        "route": "/memory", "rate": 2.0, "p50_ms": 1.0, "p95_ms": 20.5,
        "p99_ms": None, "error_ratio": 0.001,
    }  # fmt: skip
    server.then(reply(200, {"window": 300, "rate": 2.0, "routes": [route]}))
    done = cortex("perf", "status")
    assert done.exit_code == 0
    for text in ("/memory", "2.00", "20.5", "0.10%", "-"):
        assert text in done.stdout


def test_spans_shows_bottleneck_path_and_comparison(
    cortex: Any, server: Any, reply: Any
):
    server.then(reply(200, SPANS), reply(200, SPANS))
    done = cortex("perf", "spans", "--last", "15m", "--against", "1d")
    assert done.exit_code == 0
    for text in ("bottleneck: embed", "60.00%", "321 ms", "2.00", "yes"):
        assert text in done.stdout
    printed = cortex("perf", "spans", "--json")
    assert json.loads(printed.stdout) == SPANS


def test_a_time_without_traces_is_told(cortex: Any, server: Any, reply: Any):
    nothing = SPANS | {"traces": 0, "parts": [], "slowest": None, "bottleneck": None}
    server.then(reply(200, nothing))
    assert "no traces" in cortex("perf", "spans").stderr


def test_a_trace_is_shown_as_a_tree(cortex: Any, server: Any, reply: Any):
    inner = SPAN | {"span_id": "2", "parent_id": "1", "name": "store.read"}
    found = {"trace_id": "a" * 32, "reasons": ["slow"], "dropped": 0}
    server.then(reply(200, found | {"spans": [SPAN, inner]}))
    done = cortex("perf", "trace", "a" * 32)
    assert "  store.read" in done.stdout
    assert "kept for: slow" in done.stdout


def test_errors_fail_a_script(cortex: Any, server: Any, reply: Any):
    server.then(reply(200, {"errors": [GROUP]}), reply(200, {"errors": []}))
    done = cortex("perf", "errors")
    assert done.exit_code == 1
    assert "KeyError" in done.stdout
    assert cortex("perf", "errors", "--json").exit_code == 0


def test_the_command_for_the_slowest_is_not_broken(
    cortex: Any, server: Any, reply: Any
):
    server.then(reply(200, SPANS))
    done = cortex("perf", "spans", COLUMNS="40")
    assert f"(cortex perf trace {'a' * 32})" in done.stdout


def test_an_empty_answer_is_a_word(cortex: Any, server: Any, reply: Any):
    server.then(reply(200, {"errors": []}))
    assert cortex("perf", "errors").stdout == "none\n"
