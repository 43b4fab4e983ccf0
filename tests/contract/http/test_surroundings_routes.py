import re

import pytest

from cortex.usecases.model import Readiness, Status


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("/db/list", "databases"),
        ("/db/schema/notes", "schema_hash"),
        ("/db/sample?database=notes&table=note", "rows"),
        ("/svc/list", "services"),
        ("/svc/health", "services"),
        ("/fs/list?root=docs", "entries"),
        ("/fs/read_text?root=docs&path=readme.txt", "text"),
        ("/models", "models"),
        ("/v1/models", "data"),
    ],
)
async def test_what_is_around_is_shown(http, path, member):
    answer = await http.get(path)
    assert answer.status_code == 200
    assert answer.json()[member]


async def test_openais_clients_see_what_embeds(http):
    everything = (await http.get("/models")).json()["models"]
    listed = (await http.get("/v1/models")).json()["data"]
    assert [one["id"] for one in listed] == [
        m["name"] for m in everything if m["active"]
    ]
    for name in (listed[0]["id"], "default"):
        assert (await http.get(f"/v1/models/{name}")).json() == listed[0]
    unknown = await http.get("/v1/models/team%2Fgpt")
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "MODEL_NOT_FOUND"
    assert unknown.json()["error"]["known"] == [listed[0]["id"]]


@pytest.mark.parametrize(
    "path",
    [
        "/db/schema/none",
        "/db/sample?database=notes&table=none",
        "/fs/list?root=none",
        "/fs/read_text?root=docs&path=none",
    ],
)
async def test_what_is_not_there_is_not_found(http, path):
    assert (await http.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/healthz", "/health", "/health/live"])
async def test_health_names_the_service(served, path):
    async with served.client(None) as http:
        body = (await http.get(path)).json()
    assert body["status"] == "ok"
    assert (body["service"], body["version"], body["brand"]) == (
        "cortex",
        "0.1.0",
        "brAInwav",
    )


async def test_every_check_tells_status_and_time(http):
    body = (await http.get("/healthz")).json()
    assert body["checks"] == {"database": {"status": "ok", "latency_ms": 0.5}}
    assert (await http.get("/health")).json()["components"] == body["checks"]


async def test_degraded_still_answers_200(http, served):
    served.world.surroundings.health_status = Status.DEGRADED
    answer = await http.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


@pytest.mark.parametrize("path", ["/healthz", "/health"])
async def test_unhealthy_is_503_and_says_what(http, served, path):
    served.world.surroundings.health_status = Status.UNHEALTHY
    answer = await http.get(path)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    body = answer.json()
    assert body["status"] == "unhealthy"
    assert body["error"]["code"] == "UNAVAILABLE"
    assert "database" in body["detail"]


@pytest.mark.parametrize("path", ["/ready", "/health/ready"])
async def test_readiness_says_why_not(http, served, path):
    assert (await http.get(path)).json()["ready"] is True
    served.world.surroundings.readiness = Readiness(ready=False, reason="draining")
    answer = await http.get(path)
    assert answer.status_code == 503
    assert "draining" in answer.json()["detail"]
    assert answer.json()["error"]["reason"] == "draining"


async def test_metrics_carry_templates_and_no_raw_path(http):
    await http.get("/memory/some-raw-id")
    await http.get("/wholly/unknown")
    answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'route="/memory/{memory_id}"' in answer.text
    assert 'route="(unmatched)"' in answer.text
    assert "some-raw-id" not in answer.text
    assert "wholly" not in answer.text
    assert re.search(
        r'cortex_build_info\{brand="brAInwav",version="0.1.0"\} 1.0', answer.text
    )
    assert 'cortex_errors_total{code="MEMORY_NOT_FOUND"} 1.0' in answer.text
