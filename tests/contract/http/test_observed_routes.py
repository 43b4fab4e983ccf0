import json

import pytest

from cortex.telemetry.history.model import Kind, Run, Sample
from cortex.telemetry.log_search import LogGroup, LogQuestion

RUN = Run("one", 0.0)
HISTORY = "/performance/history"


@pytest.fixture
async def known(served):
    """Ten minutes of a counter with two routes."""
    history = served.world.use_cases.observed.kept
    now = served.clock.now() // 10 * 10
    for n in range(61):
        samples = [
            Sample("m_total", (("route", route),), Kind.COUNTER, n * each)
            for route, each in (("/a", 1.0), ("/b", 3.0))
        ]
        await history.append(now - 600 + 10 * n, samples, RUN)
    return now


async def test_a_rate_is_told_for_each_series(http, known):
    asked = {"metric": "m_total", "fn": "rate", "from": known - 60, "to": known}
    answer = (await http.get(HISTORY, params=asked | {"step": 30})).json()
    assert answer["fn"] == "rate"
    rates = {
        line["labels"]["route"]: [value for _, value in line["points"]]
        for line in answer["series"]
    }
    assert rates["/a"] == pytest.approx([0.1, 0.1, 0.1])
    assert rates["/b"] == pytest.approx([0.3, 0.3, 0.3])


async def test_labels_choose_and_by_sums(http, known):
    asked = {"metric": "m_total", "to": known, "from": known, "step": 10}
    one = await http.get(HISTORY, params=asked | {"labels": 'route=~"/b|/c"'})
    assert [s["labels"] for s in one.json()["series"]] == [{"route": "/b"}]
    total = await http.get(HISTORY, params=asked | {"by": ""})
    assert total.json()["series"] == [{"labels": {}, "points": [[known, 240.0]]}]


async def test_the_catalog_names_every_metric(http, known):
    answer = await http.get("/performance/metrics")
    assert answer.json() == {
        "metrics": [{"name": "m_total", "kind": "counter", "series": 2}]
    }


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"metric": "no name"},
        {"metric": "m", "labels": "route=/a"},
        {"metric": "m", "labels": 'a="(",b=~"("'},
        {"metric": "m", "from": 10, "to": 5},
        {"metric": "m", "from": 0, "to": 1e6, "step": 1},
        {"metric": "m", "fn": "delta"},
        {"metric": "m", "by": "a b"},
        {"metric": "m", "window": 0},
        {"metric": "m", "q": 2},
    ],
)
async def test_what_cannot_be_read_is_told(http, known, asked):
    if "b=~" in asked.get("labels", ""):
        asked = {"metric": "m_total", "labels": 'route=~"("'}
    answer = await http.get(HISTORY, params=asked)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize("path", [f"{HISTORY}?metric=m", "/performance/metrics"])
async def test_the_scope_performance_is_needed(served, path):
    async with served.client("reader-token-012345678") as client:
        assert (await client.get(path)).status_code == 403


async def test_lines_of_one_request_carry_one_trace(http, served):
    async def broken(*_):
        raise RuntimeError("x")

    object.__setattr__(served.world.use_cases, "list_memories", broken)
    await http.get("/memory")
    lines = [json.loads(line) for line in served.log.getvalue().splitlines()]
    assert len({line["trace_id"] for line in lines}) == 1
    (trace,) = served.edge.tracer.take()
    assert trace.top.name == "GET /memory"
    assert trace.top.error == "INTERNAL_ERROR"
    assert trace.top.attributes["http.response.status_code"] == 500


async def test_the_bottleneck_of_a_period_is_told(http, served):
    observed = served.world.use_cases.observed
    for _ in range(30):
        await http.get("/memory")
    kept = served.edge.tracer.take()
    assert kept
    await observed.traces.keep(kept)
    answer = (await http.get("/performance/spans")).json()
    assert answer["traces"] == len(kept)
    assert answer["bottleneck"] == "GET /memory"
    assert answer["slowest"]["name"] == "GET /memory"
    one = await http.get(f"/performance/traces/{answer['slowest']['trace_id']}")
    assert one.json()["spans"][0]["attributes"]["http.route"] == "/memory"
    assert (await http.get(f"/performance/traces/{'0' * 32}")).status_code == 404


@pytest.mark.parametrize(
    "asked",
    [{"from": 5, "to": 5}, {"against_to": 5}, {"against_from": 9e9}, {"to": -1}],
)
async def test_a_period_without_length_is_refused(http, asked):
    answer = await http.get("/performance/spans", params=asked)
    assert answer.status_code == 422


async def test_errors_nobody_foresaw_are_grouped(http, served):
    async def broken(*_):
        raise RuntimeError("x")

    observed = served.world.use_cases.observed
    object.__setattr__(served.world.use_cases, "list_memories", broken)
    for _ in range(3):
        await http.get("/memory")
    await observed.groups.add(served.errors.take())
    (group,) = (await http.get("/performance/errors")).json()["errors"]
    assert (group["type"], group["count"]) == ("RuntimeError", 3)
    assert group["route"] == "/memory"
    assert group["last_trace_id"]
    later = served.clock.now() + 1
    found = await http.get("/performance/errors", params={"since": later})
    assert found.json() == {"errors": []}


async def test_the_state_of_routes_is_told(http, served):
    now = served.clock.now()
    history = served.world.use_cases.observed.kept
    for n in range(31):
        samples = [
            Sample(
                "cortex_http_requests_total",
                (("route", "/memory"), ("status", status)),
                Kind.COUNTER,
                each * n,
            )
            for status, each in (("2xx", 9.0), ("5xx", 1.0))
        ]
        samples += [
            Sample(
                "cortex_http_request_seconds_bucket",
                (("le", bound), ("route", "/memory")),
                Kind.COUNTER,
                each * n,
            )
            for bound, each in (("0.1", 5.0), ("0.2", 10.0), ("+Inf", 10.0))
        ]
        await history.append(now - 300 + 10 * n, samples, RUN)
    answer = (await http.get("/performance/status")).json()
    (route,) = answer["routes"]
    assert route["rate"] == pytest.approx(1.0)
    assert route["error_ratio"] == pytest.approx(0.1)
    assert route["p50_ms"] == pytest.approx(100)
    assert route["p95_ms"] == pytest.approx(190)


async def test_log_lines_are_told_and_counted(http, served):
    logs = served.world.use_cases.observed.logs
    logs.lines.append({"event": "odd", "level": "warning"})
    logs.groups.append(LogGroup("warning", "odd", 3, 1.0, 2.0))
    asked = {"level": "warning", "since": 5, "text": "o", "limit": 7}
    told = (await http.get("/performance/logs", params=asked)).json()
    assert told == {"lines": logs.lines, "next_cursor": None, "newest": ""}
    assert logs.asked[0] == LogQuestion("warning", 5.0, text="o", limit=7)
    counted = (await http.get("/performance/logs/summary")).json()
    assert counted["lines"] == 3
    assert counted["groups"][0]["event"] == "odd"


@pytest.mark.parametrize("path", ["/performance/logs", "/performance/logs/summary"])
async def test_log_lines_need_the_scope_and_a_level(http, path):
    reader = {"Authorization": "Bearer reader-token-012345678"}
    assert (await http.get(path, headers=reader)).status_code == 403
    assert (await http.get(path, params={"level": "loud"})).status_code == 422
    assert (await http.get(path, params={"cursor": "../x"})).status_code == 422


@pytest.mark.parametrize(
    "path",
    ["/performance/logs", "/performance/logs/summary", "/performance/errors"],
)
async def test_what_tells_of_all_tenants_is_the_operators(serve_with, path):
    tokens = (
        '{"chief": {"token": "chief-token-0123456789", "scopes": ["performance"]},'
        ' "other": {"token": "other-token-0123456789", "scopes": ["*"],'
        '           "tenant": "acme"}}'
    )
    served = serve_with(tokens)
    served.world.use_cases.observed.logs.lines.append({"path": "/memory/secret-id"})
    async with served.client("chief-token-0123456789") as http:
        for name, status in (("other", 403), ("chief", 200)):
            bearer = {"Authorization": f"Bearer {name}-token-0123456789"}
            answer = await http.get(path, headers=bearer)
            assert answer.status_code == status
            assert status == 200 or "secret-id" not in answer.text
