"""/events/dead-letters: only for operators, only their own tenant's."""

import pytest

from cortex.bus.events import Event
from cortex.storage.outbox import DeadLetter

OTHER = {"Authorization": "Bearer other-token-0123456789"}
READER = {"Authorization": "Bearer reader-token-012345678"}


def letter(event_id: str, tenant: str = "local", subscriber: str = "ledger"):
    event = Event(
        id=event_id,
        type="state.updated",
        source="/cortex/test",
        time=1_700_000_000.0,
        tenant=tenant,
        data={"namespace": "default", "key": "k"},
    )
    return DeadLetter(subscriber, event_id, event, "ValueError: no", 5, 1_700_000_001.0)


@pytest.fixture(autouse=True)
def letters(served):
    served.world.surroundings.letters.kept += [
        letter("1"),
        letter("2", subscriber="nats"),
        letter("3", tenant="acme"),
    ]
    return served.world.surroundings.letters


async def test_letters_are_listed_with_their_reason(http):
    told = (await http.get("/events/dead-letters")).json()["dead_letters"]
    assert [(one["event_id"], one["subscriber"]) for one in told] == [
        ("1", "ledger"),
        ("2", "nats"),
    ]
    assert told[0]["error"] == "ValueError: no"
    assert told[0]["tries"] == 5
    assert told[0]["event"]["specversion"] == "1.0"
    only = await http.get("/events/dead-letters", params={"subscriber": "nats"})
    assert [one["event_id"] for one in only.json()["dead_letters"]] == ["2"]


async def test_another_tenant_sees_and_retries_only_its_own(http, letters):
    told = (await http.get("/events/dead-letters", headers=OTHER)).json()
    assert [one["event_id"] for one in told["dead_letters"]] == ["3"]
    named = {"event_id": "1"}
    answer = await http.post("/events/dead-letters/retry", json=named, headers=OTHER)
    assert answer.status_code == 404
    assert len(letters.kept) == 3


async def test_delivered_letters_go_and_refused_ones_stay(http, letters):
    letters.broken = "ValueError: still"
    told = (await http.post("/events/dead-letters/retry", json={})).json()
    assert (told["delivered"], told["failed"]) == (0, 2)
    assert {one["error"] for one in told["results"]} == {"ValueError: still"}
    letters.broken = ""
    one = {"event_id": "1", "subscriber": "ledger"}
    told = (await http.post("/events/dead-letters/retry", json=one)).json()
    assert told["results"] == [
        {"subscriber": "ledger", "event_id": "1", "delivered": True, "error": ""}
    ]
    assert [left.event_id for left in letters.kept] == ["2", "3"]


@pytest.mark.parametrize("path", ["", "/retry"])
async def test_it_needs_the_scope_admin(http, path):
    method = "POST" if path else "GET"
    url = f"/events/dead-letters{path}"
    answer = await http.request(method, url, json={}, headers=READER)
    assert answer.status_code == 403


@pytest.mark.parametrize("body", [{"limit": 0}, {"limit": 101}, {"x": 1}, []])
async def test_malformed_retries_are_refused(http, body):
    answer = await http.post("/events/dead-letters/retry", json=body)
    assert answer.status_code == 422
