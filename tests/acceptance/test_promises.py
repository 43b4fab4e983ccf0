"""Promises of a real server: two workers count as one, and a restart forgets nothing."""

import time
from collections.abc import Callable
from typing import Any

import httpx

SEARCHES = 40


def memory(server: Any) -> dict[str, Any]:
    body = httpx.get(f"{server.url}/slo", timeout=30).json()
    return next(o for o in body["objectives"] if o["name"] == "memory:availability")


def kept(server: Any) -> float:
    asked = {
        "metric": "cortex_slo_requests_total",
        "labels": 'objective="memory:availability"',
        "from": time.time() - 60,
        "to": time.time(),
        "step": 10,
    }
    url = f"{server.url}/performance/history"
    answer = httpx.get(url, params=asked, timeout=30).json()
    [line] = answer["series"]
    return float(line["points"][-1][1])


def eventually(found: Callable[[], bool], seconds: float = 45) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_two_workers_count_as_one_and_a_restart_forgets_nothing(serve: Any) -> None:
    server = serve("--workers", "2")
    for number in range(SEARCHES):  # each on a connection of its own
        asked = {"query": f"tea {number}"}
        answer = httpx.post(f"{server.url}/memory/search", json=asked, timeout=30)
        assert answer.status_code == 200
    told = [0.0, 0.0]

    def whole() -> bool:
        told.append(memory(server)["budget"]["requests"])
        return told[-4:] == [SEARCHES] * 4

    eventually(whole)
    # History takes its samples on the clock's tens.
    eventually(lambda: kept(server) == SEARCHES)
    assert server.stop() == 0
    again = serve(home=server.home)
    assert memory(again)["budget"]["requests"] == SEARCHES
    energy = httpx.get(f"{again.url}/metrics/energy", timeout=30).json()
    assert energy["source"] in {"model", "rapl", ""}
