"""The event stream of a real server: live, resumed without a gap, never in the way."""

import itertools
import json
import threading
import time

import httpx
import pytest

TOKEN = "0123456789abcdef0123456789abcdef"


def follow(server, *, last: str | None = None, until: int, **params: str):
    """Return ``until`` events as (id, type, data) of one connection."""
    headers = {} if last is None else {"Last-Event-ID": last}
    found, current = [], {}
    with server.client.stream(
        "GET", "/events/stream", headers=headers, params=params
    ) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                current[name] = value
            elif "id" in current:
                data = json.loads(current["data"])
                found.append((current["id"], current["event"], data))
                current = {}
                if len(found) == until:
                    return found
    return found


def write(server, number: int) -> None:
    body = {"items": [{"content": f"note {number}"}]}
    server.client.post("/memory", json=body).raise_for_status()


def test_events_come_as_cloudevents_and_in_the_older_form(serve):
    server = serve(CORTEX_FAST_TEST="1")
    seen: list = []
    following = threading.Thread(target=lambda: seen.extend(follow(server, until=1)))
    following.start()
    with httpx.Client(base_url=server.url) as writer:
        for number in itertools.count():
            if not following.is_alive():
                break
            body = {"items": [{"content": f"hello {number}"}]}
            writer.post("/memory", json=body, headers={"X-Correlation-ID": "abc"})
            time.sleep(0.05)
    following.join()
    event_id, kind, data = seen[0]
    assert kind == "memory.stored"
    assert data["specversion"] == "1.0"
    assert (data["id"], data["type"], data["correlationid"]) == (event_id, kind, "abc")
    assert "hello" not in json.dumps(data)
    older = follow(server, last="not kept", until=1, format="legacy")
    assert set(older[0][2]) == {"event_type", "payload", "resource_ids", "timestamp"}


def test_a_reconnecting_follower_misses_none_and_sees_none_twice(serve):
    server = serve(CORTEX_FAST_TEST="1")
    total = 600
    write(server, 0)
    first = follow(server, last="0", until=1, types="memory.stored")
    with httpx.Client(base_url=server.url) as writer:
        bodies = ({"items": [{"content": f"note {n}"}]} for n in range(1, total))
        threads = [
            threading.Thread(
                target=lambda: [
                    writer.post("/memory", json=body)
                    for body in iter(lambda: next_or_none(bodies), None)
                ]
            )
            for _ in range(4)
        ]
        lock = threading.Lock()

        def next_or_none(source):
            with lock:
                return next(source, None)

        for thread in threads:
            thread.start()
        ids = [first[0][0]]
        for chunk in itertools.cycle((7, 90, 1, 30)):
            wanted = min(chunk, total - len(ids))
            if not wanted:
                break
            more = follow(server, last=ids[-1], until=wanted, types="memory.stored")
            ids += [event[0] for event in more]
        for thread in threads:
            thread.join()
    assert len(ids) == len(set(ids)) == total


def test_the_token_may_come_in_the_query_here_and_nowhere_else(serve):
    server = serve(CORTEX_FAST_TEST="1", CORTEX_TOKENS=f"ann:{TOKEN}:state+memory")
    assert server.client.get("/events/stream").status_code == 401
    good = server.client.post(
        "/memory",
        json={"items": [{"content": "x"}]},
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    assert good.status_code == 200
    assert follow(server, last="0", until=1, token=TOKEN)
    elsewhere = server.client.get("/memory", params={"token": TOKEN})
    assert elsewhere.status_code == 401
    assert TOKEN not in server.log.read_text()


@pytest.mark.parametrize(
    "params", [{"types": "no.such"}, {"format": "xml"}, {"x": "1"}]
)
def test_bad_parameters_are_named(serve, params):
    server = serve(CORTEX_FAST_TEST="1")
    answer = server.client.get("/events/stream", params=params)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"]


def test_open_streams_do_not_hold_up_a_stop(serve):
    server = serve(CORTEX_FAST_TEST="1")
    opened = threading.Event()

    def listen() -> None:
        with (
            httpx.Client(base_url=server.url, timeout=60) as client,
            client.stream("GET", "/events/stream") as answer,
        ):
            for _ in answer.iter_lines():
                opened.set()

    listening = threading.Thread(target=listen)
    listening.start()
    assert opened.wait(10)
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 10
    listening.join()
