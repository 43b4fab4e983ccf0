"""/slo and /alerts at the edge: who may ask, and what is answered."""

import pytest

from cortex.foundation.errors import CortexError
from cortex.security.policy_file import parse_policy


async def minutes(served, count, ratio):
    """Let minutes of traffic pass, of which a share fails."""
    for tick in range(int(count * 6)):
        for number in range(100):
            failed = (tick * 100 + number) % 100 < ratio * 100
            status = 500 if failed else 200
            served.world.watched.tally.observe("/memory/search", status, 0.01)
        served.clock.advance(10)
        await served.world.watched.watch.tick()


def objective(body, name):
    return next(one for one in body["objectives"] if one["name"] == name)


async def test_a_quiet_server_keeps_its_promises(http):
    body = (await http.get("/slo")).json()
    assert body["state"] == "ok"
    memory = objective(body, "memory:availability")
    assert memory["state"] == "no_data"
    assert memory["good_ratio"] is None
    assert memory["budget"]["remaining"] == 1.0


async def test_an_outage_shows_as_burning_with_its_alert(served, http):
    await minutes(served, 65, 0)
    await minutes(served, 2, 1.0)
    body = (await http.get("/slo")).json()
    memory = objective(body, "memory:availability")
    assert body["state"] == "exhausted"
    assert memory["budget"]["remaining"] == 0.0
    assert memory["alerts"][0]["name"] == "slo:memory:availability:fast"
    assert memory["alerts"][0]["severity"] == "critical"
    rates = {b["window_seconds"]: b["rate"] for b in memory["burn"]}
    assert rates[300.0] > rates[3_600.0] > 13.44
    assert objective(body, "context:availability")["state"] == "no_data"


async def test_the_baseline_tells_success_beside_latency(http):
    [line] = (await http.get("/slo")).json()["baseline"]
    assert line["route"] == "/memory/search"
    assert (line["requests"], line["success_ratio"]) == (100, 1.0)
    assert line["p50_ms"] == pytest.approx(5.5556, abs=1e-3)
    assert line["p95_ms"] == pytest.approx(55.0)
    assert line["p99_ms"] == pytest.approx(91.0)


async def test_an_alert_is_acknowledged_once_and_stays(served, http):
    await minutes(served, 65, 0)
    await minutes(served, 2, 1.0)
    name = "slo:memory:availability:fast"
    known = await http.post("/alerts/acknowledge", json={"name": name})
    assert known.status_code == 200
    assert known.json()["acknowledged_by"] == "admin"
    listed = (await http.get("/alerts")).json()["alerts"]
    mine = next(one for one in listed if one["name"] == name)
    assert mine["phase"] == "firing"
    assert mine["acknowledged_by"] == "admin"
    events = [e.type for e in served.world.watched.store.events]
    assert events.count("alert.acknowledged") == 1


async def test_what_does_not_fire_cannot_be_acknowledged(http):
    answer = await http.post("/alerts/acknowledge", json={"name": "nothing"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "ALERT_NOT_FOUND"


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 257}, {"n": "x"}])
async def test_a_malformed_acknowledgement_is_refused(http, body):
    assert (await http.post("/alerts/acknowledge", json=body)).status_code == 422


@pytest.mark.parametrize("path", ["/slo", "/alerts"])
async def test_only_the_scope_performance_may_ask(served, path):
    async with served.client("reader-token-012345678") as reader:
        assert (await reader.get(path)).status_code == 403
    async with served.client(None) as nobody:
        assert (await nobody.get(path)).status_code == 401


def test_every_code_of_this_room_is_an_expected_error():
    from cortex.operations import errors

    for name in ("SloInvalid", "AlertNotFound", "PowerUnavailable"):
        assert issubclass(getattr(errors, name), CortexError)


async def test_energy_tells_its_source_and_sums_up(served, http):
    energy = served.world.watched.energy
    meter, end = energy._meters.begin(lambda: "/memory/search")
    meter.add(0.5)
    end()
    energy._host._own = 2.0
    served.clock.advance(10)
    energy.tick()
    body = (await http.get("/metrics/energy")).json()
    assert body["power_watts"] > 0
    assert (body["measured"], body["source"]) == (False, "model")
    assert body["power"]["low"] < body["power"]["watts"] < body["power"]["high"]
    shared = sum(route["joules"] for route in body["routes"])
    assert shared + body["background_joules"] == pytest.approx(body["joules"])
    [route] = body["routes"]
    assert route["joules_per_request"] == pytest.approx(route["joules"])
    assert body["sci"]["co2e_grams"] > 0
    assert not body["sci"]["measured"]
    async with served.client("reader-token-012345678") as reader:
        assert (await reader.get("/metrics/energy")).status_code == 403


POLICY = """
version = 1

[[rules]]
id = "figures-are-private"
effect = "deny"
actions = ["performance.*"]

[[rules]]
id = "rest"
effect = "allow"
actions = ["*"]
"""


async def test_the_policy_is_asked_here_too(served, http):
    served.edge.authorization.replace(parse_policy(POLICY))
    asked = [("GET", "/slo"), ("GET", "/alerts"), ("GET", "/metrics/energy")]
    for method, path in (*asked, ("POST", "/alerts/acknowledge")):
        answer = await http.request(method, path, json={"name": "x"})
        assert answer.status_code == 403, path
        assert answer.json()["error"]["rule"] == "figures-are-private"
