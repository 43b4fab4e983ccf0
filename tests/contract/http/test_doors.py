import pytest

from cortex.foundation.bucket import Rate
from cortex.foundation.tenancy import DEFAULT_TENANT
from cortex.service.http.record import OPEN_PATHS


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
async def test_probes_are_open_to_all(served, path):
    async with served.client(None) as http:
        assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer unknown",
        "Bearer " + "x" * 5000,
        "Basic YWRtaW46YWRtaW4=",
        "admin-token-0123456789",
        "Bearer old-token-012345678901",
        "Bearer admin-token-0123456789 more",
    ],
)
async def test_without_a_good_token_nobody_enters(served, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    async with served.client(None) as http:
        answer = await http.get("/memory", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["error"]["code"] == "UNAUTHENTICATED"
    assert "old-token" not in answer.text


async def test_every_described_route_is_closed_but_the_probes(served):
    async with served.client(None) as http:
        api = (await http.get("/openapi.json")).json()
        for path, methods in api["paths"].items():
            for method in methods:
                plain = path.replace("{", "").replace("}", "")
                answer = await http.request(method, plain)
                # Who keeps knocking without a token is told to wait instead.
                expected = {200} if path in OPEN_PATHS else {401, 429}
                assert answer.status_code in expected, (method, path)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/context", {"query": "tea"}),
        ("/context/optimize", {"items": [{"content": "tea"}], "max_tokens": 100}),
    ],
)
async def test_who_has_a_model_retell_needs_the_scope_of_agents(served, path, asked):
    retold = {**asked, "compression": "abstractive"}
    async with served.client("builder-token-01234567") as client:
        assert (await client.post(path, json=asked)).status_code == 200
        refused = await client.post(path, json=retold)
        assert refused.status_code == 403
        assert refused.json()["error"]["scope"] == "agents"
    async with served.client("writer-token-012345678") as client:
        assert (await client.post(path, json=retold)).status_code == 200


async def test_a_scope_that_is_not_held_is_403(served):
    async with served.client("reader-token-012345678") as http:
        answer = await http.get("/memory")
        assert answer.status_code == 403
        assert answer.json()["error"]["scope"] == "memory"
        allowed = await http.post("/vector/search", json={"query": "x"})
        assert allowed.status_code == 200


async def test_a_token_stays_in_its_namespaces(served):
    async with served.client("bound-token-0123456789") as http:
        inside = {"items": [{"content": "x", "namespace": "team/red"}]}
        assert (await http.post("/memory", json=inside)).status_code == 200
        for outside in (
            {"items": [{"content": "x"}]},
            {"items": [{"content": "x", "namespace": "teams"}]},
            {"items": [inside["items"][0], {"content": "y", "namespace": "other"}]},
        ):
            answer = await http.post("/memory", json=outside)
            assert answer.status_code == 403
    assert len(served.world.memory.rows) == 1


async def test_an_open_server_needs_no_token(open_served):
    async with open_served.client(None) as http:
        assert (await http.get("/memory")).status_code == 200
        wrong = await http.get("/memory", headers={"Authorization": "Bearer x"})
        assert wrong.status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:4949", ""])
async def test_an_open_server_answers_to_local_names_only(open_served, host):
    async with open_served.client(None) as http:
        answer = await http.get("/memory", headers={"Host": host})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:4949", "LOCALHOST:1", "127.0.0.1", "[::1]:4949", "[::1]"],
)
async def test_local_names_are_known_in_every_spelling(open_served, host):
    async with open_served.client(None) as http:
        assert (await http.get("/memory", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "media", [None, "text/plain", "application/x-www-form-urlencoded"]
)
async def test_a_web_form_cannot_write(http, media):
    headers = {} if media is None else {"Content-Type": media}
    body = b'{"items": [{"content": "x"}]}'
    for path in ("/memory", "/memory/import"):
        answer = await http.post(path, content=body, headers=headers)
        assert answer.status_code == 415
        assert answer.json()["error"]["code"] == "UNSUPPORTED_MEDIA"


async def test_answers_tell_what_is_left(served):
    async with served.client(rate=Rate(10)) as http:
        headers = (await http.get("/memory")).headers
    assert headers["ratelimit-policy"] == '"default";q=10;w=60'
    assert headers["ratelimit"] == '"default";r=9;t=6'
    assert headers["x-ratelimit-limit"] == "10"
    assert headers["x-ratelimit-remaining"] == "9"
    assert int(headers["x-ratelimit-reset"]) == 1_700_000_006


async def test_the_request_too_many_is_429_with_the_time_to_wait(served):
    async with served.client(rate=Rate(3)) as http:
        answers = [await http.get("/memory/stats") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        refused = answers[-1]
        body = refused.json()
        assert refused.headers["retry-after"] == "20"
        assert body["retry_after"] == 20
        assert body["error"]["code"] == "RATE_LIMITED"
        assert body["error"]["endpoint"] == "/memory/stats"
        assert body["error"]["limit"] == 3
        served.clock.advance(19)
        assert (await http.get("/memory/stats")).status_code == 429
        served.clock.advance(1)
        assert (await http.get("/memory/stats")).status_code == 200


async def test_clients_do_not_share_a_limit(served):
    async with served.client(rate=Rate(1)) as http:
        assert (await http.get("/memory")).status_code == 200
        assert (await http.get("/memory")).status_code == 429
        other = {"Authorization": "Bearer other-token-0123456789"}
        assert (await http.get("/memory", headers=other)).status_code == 200


async def test_a_route_may_have_a_limit_of_its_own(served):
    rates = {"/memory/search": Rate(1)}
    async with served.client(route_rates=rates) as http:
        codes = [
            (await http.post("/memory/search", json={"query": "x"})).status_code
            for _ in range(2)
        ]
        assert codes == [200, 429]
        assert (await http.get("/memory")).status_code == 200


async def test_probes_are_never_limited(served):
    async with served.client(rate=Rate(1)) as http:
        answers = [await http.get("/healthz") for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit" not in answers[0].headers


async def test_made_up_tokens_buy_no_bucket(served):
    async with served.client(None, rate=Rate(1)) as http:
        door = http._transport.app.state.door
        for number in range(50):
            token = {"Authorization": f"Bearer junk-{number}"}
            answer = await http.get("/memory", headers=token)
            assert answer.status_code in {401, 429}
        assert answer.status_code == 429, "a flood is turned away"
        assert len(door._rates) == 0


async def test_a_tenant_cannot_take_every_place(served):
    async with served.client(served_at_once=4) as http:
        door = http._transport.app.state.door
        busy = [door._enter(DEFAULT_TENANT) for _ in range(3)]
        refused = await http.get("/memory")
        other = {"Authorization": "Bearer other-token-0123456789"}
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "OVERLOADED"
        assert refused.headers["retry-after"] == "1"
        assert (await http.get("/memory", headers=other)).status_code == 200
        for leave in busy:
            leave()
        assert (await http.get("/memory")).status_code == 200
        assert door._share.total == 0
