"""What callers see when more come than can be served."""

import asyncio

import httpx
import pytest

from cortex.service.http.lines import Lines

BODY = {"items": [{"content": "a note"}]}


@pytest.fixture
def crowded(served):
    """Return an edge whose places are all taken, and whose line stands."""
    lines = Lines()
    object.__setattr__(served.edge, "lines", lines)
    fill(lines.requests, served.clock)
    return served


def fill(line, clock):
    for _ in range(400):
        line.arrive("flood", clock.monotonic())
    clock.advance(1.0)


async def test_the_refusal_is_a_problem_that_says_when_to_come_back(crowded):
    waits = set()
    async with crowded.client() as http:
        # A tenant nobody knows yet shares its part with all such.
        for _ in range(200):
            crowded.edge.lines.requests.arrive("", crowded.clock.monotonic())
        crowded.clock.advance(1.0)
        for _ in range(3):
            answer = await http.post(
                "/memory", json=BODY, headers={"X-Correlation-ID": 'run "7"'}
            )
            assert answer.status_code == 503
            waits.add(int(answer.headers["Retry-After"]))
            told = answer.json()
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["X-Correlation-ID"] == 'run "7"'
            assert told["correlation_id"] == 'run "7"'
            assert told["type"] == "urn:cortex:error:overloaded"
            assert told["error"]["code"] == "OVERLOADED"
            assert told["retry_after"] == int(answer.headers["Retry-After"])
    assert waits == {1, 2, 3}, "not all come back at the same time"
    assert "overloaded" in crowded.log.getvalue()


async def test_refusals_are_counted_under_their_route(crowded):
    for _ in range(200):
        crowded.edge.lines.requests.arrive("", crowded.clock.monotonic())
    crowded.clock.advance(1.0)
    async with crowded.client() as http:
        await http.get("/memory/some-id-that-is-made-up")
    shown = crowded.metrics.render().decode()
    away = 'cortex_requests_turned_away_total{line="requests",reason="standing"} 1.0'
    assert away in shown
    assert 'route="/memory/{memory_id}",status="5xx"} 1.0' in shown
    assert 'cortex_errors_total{code="OVERLOADED"} 1.0' in shown


@pytest.mark.parametrize("path", ["/healthz", "/health/live", "/metrics", "/slo"])
async def test_probes_and_operators_are_not_in_that_line(crowded, path):
    async with crowded.client() as http:
        assert (await http.get(path)).status_code == 200


async def test_who_waits_is_served_when_a_place_comes_free(served):
    lines = Lines()
    object.__setattr__(served.edge, "lines", lines)
    held = [lines.requests.arrive("flood", 0.0) for _ in range(64)]
    async with served.client() as http, asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(http.post("/memory", json=BODY))
        while not lines.requests.waiting:
            await asyncio.sleep(0)
        served.clock.advance(0.1)
        lines.requests.leave(held[0], served.clock.monotonic())
        assert (await asked).status_code == 200
    shown = served.metrics.render().decode()
    assert 'cortex_request_wait_seconds_bucket{le="0.1",line="requests"} 1.0' in shown
    assert lines.requests.working == 63


async def test_a_request_that_is_given_up_leaves_the_line(served):
    lines = Lines()
    object.__setattr__(served.edge, "lines", lines)
    for _ in range(64):
        lines.requests.arrive("flood", 0.0)
    async with served.client() as http:
        asked = asyncio.create_task(http.post("/memory", json=BODY))
        while not lines.requests.waiting:
            await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises((asyncio.CancelledError, httpx.HTTPError)):
            await asked
    assert lines.requests.waiting == 0


async def test_a_tenant_that_asks_for_little_is_served_in_spite_of_the_flood(crowded):
    line = crowded.edge.lines.requests
    async with crowded.client("other-token-0123456789") as http:
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(http.get("/memory"))
            while "" not in line._queues:
                await asyncio.sleep(0)
            while not asked.done():
                for ticket in list(line._working.values()):
                    if ticket.who == "flood":
                        line.leave(ticket, crowded.clock.monotonic())
                        break
                await asyncio.sleep(0)
        assert asked.result().status_code == 200
    assert line.waiting > 200, "the flood waits on"


async def test_a_body_that_is_awaited_holds_no_place(served):
    lines = Lines()
    object.__setattr__(served.edge, "lines", lines)
    seen = []

    async def slowly():
        yield b'{"items": [{"content": '
        seen.append(lines.requests.working)
        yield b'"a note"}]}'

    async with served.client() as http:
        answer = await http.post(
            "/memory", content=slowly(), headers={"Content-Type": "application/json"}
        )
    assert answer.status_code == 200
    assert seen == [0]
    assert lines.requests.working == 0
