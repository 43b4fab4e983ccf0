"""Issued tokens over HTTP: one's own tenant, no further than one reaches oneself."""

import asyncio
import dataclasses
import json

import pytest

from cortex.bus.events import Event
from cortex.foundation.ids import Uuid7Source
from cortex.security.doors import Doors
from cortex.security.intrusion import Watch
from cortex.security.token_store import TokenStore
from cortex.security.tokens import Tokens, parse_tokens
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database

CHIEF, OTHER = "chief-token-0123456789", "other-token-0123456789"
TOKENS = json.dumps(
    {
        "chief": {"token": CHIEF, "scopes": ["*"], "tenant": "acme"},
        "other": {"token": OTHER, "scopes": ["*"], "tenant": "rival"},
        "clerk": {
            "token": "clerk-token-0123456789", "scopes": ["admin", "memory"],
            "tenant": "acme", "namespaces": ["team/*"],
        },
        "agent": {
            "token": "agent-token-0123456789", "scopes": ["memory"], "tenant": "acme",
        },
    }
)  # fmt: skip


@pytest.fixture
async def house(served, tmp_path):
    """The edge with a real store of tokens, and its database."""
    clock = served.clock
    steps = load_migrations("cortex.storage") + load_migrations("cortex.security")
    database = Database(tmp_path / "cortex.db", clock=clock, migrations=steps)
    await database.open()
    store = TokenStore(database, clock=clock, ids=Uuid7Source(clock))
    doors = Doors(Tokens(parse_tokens(TOKENS), clock), Watch(clock), issued=store)
    served.edge = dataclasses.replace(served.edge, doors=doors, tokens=store)
    served.database = database
    yield served
    await database.close()


async def issue(http, **fields):
    body = {"name": "ci", "scopes": ["memory"], **fields}
    return await http.post("/admin/tokens", json=body)


def events(house):
    rows = house.database.read_inline(
        lambda c: c.execute(
            "SELECT body FROM outbox_events ORDER BY position"
        ).fetchall()
    )
    return [json.loads(row[0]) for row in rows]


async def test_the_life_of_a_token(house):
    async with house.client(CHIEF) as http:
        made = await issue(http, namespaces=["team/*"], ttl_seconds=600)
        assert made.status_code == 201, made.text
        value, info = made.json()["value"], made.json()["token"]
        assert (info["tenant"], info["created_by"]) == ("acme", "chief")
        assert (info["state"], info["namespaces"]) == ("active", ["team/*"])
        async with house.client(value) as agent:
            inside = {"namespace": "team/a"}
            assert (await agent.get("/memory", params=inside)).status_code == 200
            assert (await agent.get("/memory")).status_code == 403
        listed = await http.get("/admin/tokens")
        assert [one["id"] for one in listed.json()["tokens"]] == [info["id"]]
        assert value not in listed.text
        path = f"/admin/tokens/{info['id']}"
        heir = await http.post(f"{path}/rotate", json={"overlap_seconds": 0})
        assert heir.status_code == 201
        again = await http.post(f"{path}/rotate", json={})
        assert again.status_code == 409
        async with house.client(value) as agent:
            assert (await agent.get("/memory", params=inside)).status_code == 401
        heir_id = heir.json()["token"]["id"]
        ended = await http.delete(f"/admin/tokens/{heir_id}")
        assert ended.json() == {"revoked": [heir_id]}
        async with house.client(heir.json()["value"]) as agent:
            assert (await agent.get("/memory", params=inside)).status_code == 401
        assert (await http.get("/admin/tokens")).json() == {"tokens": [], "next": None}
        dead = (await http.get("/admin/tokens", params={"dead": True})).json()["tokens"]
        assert {one["state"] for one in dead} == {"expired", "revoked"}
    told = events(house)
    assert [event["type"].removeprefix("security.token_") for event in told] == [
        "issued", "rotated", "revoked",
    ]  # fmt: skip
    assert {event["data"]["actor"] for event in told} == {"chief"}
    assert all(event["correlation_id"] for event in told)
    assert value not in json.dumps(told)
    assert value not in house.log.getvalue()


async def test_pages_follow_one_another(house):
    async with house.client(CHIEF) as http:
        for number in range(5):
            assert (await issue(http, name=f"t{number}")).status_code == 201
        names, after = [], None
        while True:
            params = {"limit": 2} | ({} if after is None else {"after": after})
            page = (await http.get("/admin/tokens", params=params)).json()
            names += [one["name"] for one in page["tokens"]]
            after = page["next"]
            if after is None:
                break
    assert names == [f"t{number}" for number in range(5)]


async def test_an_admin_reaches_its_own_tenant_only(house):
    async with house.client(CHIEF) as chief, house.client(OTHER) as other:
        mine = (await issue(chief)).json()["token"]["id"]
        assert (await other.get("/admin/tokens")).json()["tokens"] == []
        assert (await other.delete(f"/admin/tokens/{mine}")).status_code == 404
        refused = await other.post(f"/admin/tokens/{mine}/rotate", json={})
        assert refused.status_code == 404
        assert (await issue(other, tenant="acme")).status_code == 422
        made = (await issue(other)).json()["token"]
        assert made["tenant"] == "rival", "the same name, in a tenant of its own"
        assert len((await chief.get("/admin/tokens")).json()["tokens"]) == 1


async def test_nobody_gives_more_than_they_have(house):
    async with house.client("clerk-token-0123456789") as clerk:
        for more in (
            {"scopes": ["audit"]},
            {"scopes": ["*"]},
            {"namespaces": ["*"]},
            {"namespaces": ["other"]},
        ):
            assert (await issue(clerk, **more)).status_code == 403
        made = await issue(clerk)
        assert made.json()["token"]["namespaces"] == ["team/*"], "its maker's own"


async def test_without_the_scope_admin_there_is_nothing(house):
    async with house.client("agent-token-0123456789") as agent:
        assert (await agent.get("/admin/tokens")).status_code == 403
        assert (await issue(agent)).status_code == 403
        assert (await agent.delete("/admin/tokens/x")).status_code == 403
        assert (await agent.post("/admin/tokens/x/rotate", json={})).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a b"},
        {"scopes": []},
        {"scopes": ["pope"]},
        {"namespaces": []},
        {"namespaces": ["{tenant}/*"]},
        {"ttl_seconds": 0},
        {"ttl_seconds": -1},
        {"ephemeral": True},
        {"ephemeral": True, "ttl_seconds": 7200},
        {"value": "mine"},
    ],
)
async def test_what_cannot_be_a_token_is_refused(house, wrong):
    async with house.client(CHIEF) as http:
        answer = await issue(http, **wrong)
        assert answer.status_code == 422, answer.text
        assert (await http.get("/admin/tokens")).json()["tokens"] == []


class Happenings:
    """A stream in which something happens when a test says so."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.happen = asyncio.Event()

    async def __call__(self, principal, last_event_id, types, /):
        yield None
        self.opened.set()
        await self.happen.wait()
        yield Event(
            id="e1", type="state.updated", source="/cortex/test", time=1.0,
            tenant=principal.tenant, data={"namespace": "default", "key": "secret"},
        )  # fmt: skip


@pytest.mark.parametrize("revoked", [False, True])
async def test_a_stream_ends_with_its_token(house, revoked):
    happenings = Happenings()
    cases = dataclasses.replace(house.edge.use_cases, follow=happenings)
    house.edge = dataclasses.replace(house.edge, use_cases=cases)
    async with house.client(CHIEF) as http:
        made = (await issue(http, scopes=["state"])).json()
        async with house.client(made["value"]) as agent:
            following = asyncio.create_task(agent.get("/events/stream"))
            async with asyncio.timeout(60):
                await happenings.opened.wait()
            if revoked:
                await http.delete(f"/admin/tokens/{made['token']['id']}")
            happenings.happen.set()
            async with asyncio.timeout(60):
                answer = await following
    assert answer.status_code == 200
    assert ("secret" in answer.text) is not revoked
