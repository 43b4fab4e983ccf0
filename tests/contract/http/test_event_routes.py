"""GET /events: past events of the caller's own tenant, the newest first."""

import pytest

from cortex.bus.events import Event

OTHER = {"Authorization": "Bearer other-token-0123456789"}


def event(event_id: str, at: float, **given: object) -> Event:
    facts = {"type": "state.updated", "tenant": "local", "subject": "k", **given}
    data = {"namespace": "default", "key": "k"}
    return Event(id=event_id, source="/cortex/test", time=at, data=data, **facts)


@pytest.fixture(autouse=True)
def journal(served):
    kept = served.world.surroundings.journal.kept
    kept += [event(f"e{n}", 100.0 + n, subject=f"k{n % 2}") for n in range(5)]
    kept.append(event("foreign", 200.0, tenant="acme"))
    kept.append(event("removed", 105.0, type="state.invalidated"))
    return kept


async def listed(http, **asked) -> list[str]:
    answer = await http.get("/events", params=asked)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["events"]]


async def test_events_are_listed_newest_first_in_their_envelope(http):
    told = (await http.get("/events")).json()
    ids = [one["id"] for one in told["events"]]
    assert ids == ["removed", "e4", "e3", "e2", "e1", "e0"]
    assert told["events"][0]["specversion"] == "1.0"
    assert told["next_cursor"] is None


async def test_type_subject_and_time_choose(http):
    assert await listed(http, types="state.invalidated") == ["removed"]
    assert await listed(http, subject="k1") == ["e3", "e1"]
    assert await listed(http, since=103.0, until=104.0) == ["e4", "e3"]


async def test_pages_follow_one_another_without_gap_or_repeat(http):
    seen, asked = [], {"limit": 4}
    while True:
        told = (await http.get("/events", params=asked)).json()
        seen += [one["id"] for one in told["events"]]
        if told["next_cursor"] is None:
            break
        asked["cursor"] = told["next_cursor"]
    assert seen == ["removed", "e4", "e3", "e2", "e1", "e0"]


async def test_behind_an_event_that_is_no_longer_kept_there_is_nothing(http):
    assert await listed(http, cursor="gone") == []


async def test_another_tenant_sees_only_its_own(http):
    told = (await http.get("/events", headers=OTHER)).json()
    assert [one["id"] for one in told["events"]] == ["foreign"]


@pytest.mark.parametrize(
    "asked", [{"types": "no.such"}, {"limit": 201}, {"since": -1}, {"x": 1}]
)
async def test_what_cannot_be_asked_is_refused(http, asked):
    assert (await http.get("/events", params=asked)).status_code == 422
