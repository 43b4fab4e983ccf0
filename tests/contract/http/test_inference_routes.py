"""What models take, over HTTP: seen with one scope, changed with another."""

import pytest


async def test_the_operator_sees_power_workers_and_memory(http):
    found = (await http.get("/inference")).json()
    assert found["power"]["mode"] == "normal"
    assert found["pool"]["target"] == "hashing-384"
    assert len(found["process"]["gc_thresholds"]) == 3


async def test_power_is_switched_and_the_schedule_needs_hours(http):
    body = {"mode": "low", "reason": "on battery"}
    told = (await http.put("/inference/power", json=body)).json()
    assert (told["low"], told["reason"]) == (True, "on battery")
    refused = await http.put("/inference/power", json={"mode": "schedule"})
    assert refused.status_code == 422
    assert "22:00-06:00" in refused.text


async def test_saving_tells_what_it_gives_and_takes(served, http):
    told = (await http.put("/inference/power", json={"mode": "low"})).json()
    assert 0 < told["cost"]["recall_lost"] < told["cost"]["cpu_saved"] < 1
    assert "LoCoMo" in told["cost"]["source"]
    assert (await http.get("/inference")).json()["power"]["cost"] == told["cost"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/inference/power", {"mode": "low"}),
        ("/inference/workers", {"replicas": 1, "reason": "x"}),
    ],
)
async def test_another_tenant_changes_nothing_for_all(served, path, body):
    async with served.client("other-token-0123456789") as other:
        answer = await other.put(path, json=body)
    assert answer.status_code == 403
    assert "all tenants" in answer.json()["detail"]
    assert answer.json()["error"]["code"] == "PERMISSION_DENIED"


async def test_workers_are_scaled_with_a_reason(http):
    body = {"replicas": 2, "reason": "import"}
    told = (await http.put("/inference/workers", json=body)).json()
    assert (told["before"], told["after"]) == (0, 2)
    for wrong in ({"replicas": 65, "reason": "x"}, {"replicas": 1, "reason": ""}):
        answer = await http.put("/inference/workers", json=wrong)
        assert answer.status_code == 422


async def test_a_model_is_warmed_by_name(http):
    warmed = await http.post("/models/warm", json={"model": "hashing-384"})
    assert warmed.json()["seconds"] >= 0
    unknown = await http.post("/models/warm", json={"model": "gpt-2"})
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "MODEL_NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/inference", None),
        ("POST", "/models/warm", {}),
        ("PUT", "/inference/power", {"mode": "low"}),
        ("PUT", "/inference/workers", {"replicas": 1, "reason": "x"}),
    ],
)
async def test_another_scope_reaches_none_of_it(served, method, path, body):
    async with served.client("reader-token-012345678") as reader:
        assert (await reader.request(method, path, json=body)).status_code == 403
