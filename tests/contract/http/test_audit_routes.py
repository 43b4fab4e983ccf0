"""/audit over a real ledger in this process."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from cortex.foundation.ids import Uuid7Source
from cortex.ledger import merkle
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import SystemEvent
from cortex.ledger.options import LedgerOptions
from cortex.ledger.proof import verify_proof
from cortex.security.doors import Doors
from cortex.security.intrusion import Watch
from cortex.security.tokens import Tokens, parse_tokens
from cortex.usecases.audit import Audit, LedgerRoom

CALL = {
    "run_id": "run-1",
    "agent_name": "planner",
    "method_name": "plan",
    "prompt": "what is next, Ana?",
    "raw_output": '{"steps": []}',
}
MORE = {
    "correlation_id": "correlation-1",
    "parsed_data": {"steps": [1, 2.5, "three", None]},
    "parse_ok": True,
    "parse_strategy": "json",
    "parse_confidence": 0.9,
    "parse_error": "",
    "provider_name": "local",
    "model_name": "small",
    "latency_ms": 12.5,
    "usage": {"input_tokens": 10},
    "context_refs": ["m1", {"id": "m2"}],
    "policy_decisions": [{"rule": "allow-all"}],
    "subject": "ana",
}
OTHER = {"Authorization": "Bearer other-token-0123456789"}


@pytest.fixture
async def ledger(served, tmp_path) -> AsyncIterator[Ledger]:
    """Put a real ledger behind the edge."""
    context = LedgerContext(served.clock, Uuid7Source(served.clock))
    options = LedgerOptions(pins=tmp_path / "pins")
    opened = await Ledger.open(tmp_path / "home", context, options)
    room = LedgerRoom()
    room.opened(opened)
    cases = replace(served.edge.use_cases, audit=Audit(room))
    served.edge = replace(served.edge, use_cases=cases)
    yield opened
    await opened.close()


@pytest.fixture
async def api(served, ledger):
    del ledger
    async with served.client() as client:
        yield client


async def record(api, **fields):
    answer = await api.post("/audit/record", json={**CALL, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_receipt_names_the_entry_and_no_place_on_the_machine(api, tmp_path):
    answer = await api.post("/audit/record", json=CALL)
    body = answer.json()
    assert (body["run_id"], body["index"]) == ("run-1", 0)
    assert len(bytes.fromhex(body["entry_hash"])) == 32
    assert body["ledger_path"] == "ledger"
    assert str(tmp_path) not in answer.text
    assert "proof" not in body


async def test_every_field_of_the_contract_survives(api):
    index = (await record(api, **MORE))["index"]
    entry = (await api.get(f"/audit/entries/{index}")).json()
    assert entry["correlation_id"] == "correlation-1"
    assert (entry["actor"], entry["outcome"]) == ("admin", "ok")
    data = entry["data"]
    assert data["usage"] == {"input_tokens": 10}
    assert data["context_refs"] == MORE["context_refs"]
    assert data["policy_decisions"] == MORE["policy_decisions"]
    assert (data["model"], data["provider"]) == ("small", "local")
    assert data["latency_ms"] == 12.5
    assert data["parse"] == {"confidence": 0.9, "ok": True, "strategy": "json"}
    assert "Ana" not in json.dumps(entry)

    content = (await api.get(f"/audit/entries/{index}/content")).json()["content"]
    assert content["prompt"] == CALL["prompt"]
    assert content["raw_output"] == CALL["raw_output"]
    assert content["parsed_data"] == MORE["parsed_data"]


async def test_long_and_foreign_text_survives(api):
    text = "Ünïcode \u0000 \u2028 \U0001f600 " * 10_000
    fields = {
        "prompt": text,
        "parsed_data": {"ключ": [1e-7, 1e21, 0.1, -0.0, True]},
        "usage": {"größe": 1, "\u20ac": 2, "\ufb33": 3, "\U0001f600": 4},
        "context_refs": [f"memory-{number:050}" for number in range(1000)],
        "policy_decisions": [{"rule": "a" * 100}] * 100,
    }
    index = (await record(api, **fields))["index"]
    entry = (await api.get(f"/audit/entries/{index}")).json()
    assert entry["run_id"] == CALL["run_id"]
    assert entry["data"]["usage"] == fields["usage"]
    assert entry["data"]["context_refs"] == fields["context_refs"]
    assert entry["data"]["policy_decisions"] == fields["policy_decisions"]
    content = (await api.get(f"/audit/entries/{index}/content")).json()["content"]
    assert content["prompt"] == text
    assert content["parsed_data"] == fields["parsed_data"]
    told = (await api.post("/audit/verify?deep=true")).json()
    assert told["verdict"] == "intact"


async def test_reading_content_is_recorded(api):
    index = (await record(api))["index"]
    await api.get(f"/audit/entries/{index}/content")
    params = {"kind": "audit.content_read"}
    [read] = (await api.get("/audit/entries", params=params)).json()["entries"]
    assert read["actor"] == "admin"
    assert read["data"] == {"index": index}


async def test_forgotten_content_is_gone_and_says_so(api, ledger):
    index = (await record(api, subject="ana"))["index"]
    await ledger.forget("local", "ana", actor="admin")
    answer = await api.get(f"/audit/entries/{index}/content")
    assert answer.status_code == 410
    assert answer.json()["error"]["code"] == "CONTENT_FORGOTTEN"
    assert (await api.post("/audit/verify")).json()["verdict"] == "intact"


async def test_the_headers_correlation_id_is_the_entrys(api):
    headers = {"X-Correlation-ID": "from-the-header"}
    await api.post("/audit/record", json=CALL, headers=headers)
    params = {"correlation_id": "from-the-header"}
    found = (await api.get("/audit/entries", params=params)).json()["entries"]
    assert [entry["run_id"] for entry in found] == ["run-1"]


async def test_published_answers_with_a_proof_that_verifies_offline(api, ledger):
    await record(api)
    answer = await api.post("/audit/record?wait=published", json=CALL)
    body = answer.json()
    proven = (await api.get(f"/audit/proof/inclusion/{body['index']}")).json()
    assert proven["receipt"] == body["proof"]
    keys = ledger.keys.verifier_keys
    checked = verify_proof(
        body["proof"].encode(), proven["entry"].encode(), ledger.keys.origin, keys
    )
    assert (checked.index, checked.checkpoint.size) == (1, 2)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"run_id": ""}, "run_id"),
        ({"run_id": None}, "run_id"),
        ({"run_id": "x" * 201}, "run_id"),
        ({"agent_name": "a\nb"}, "agent_name"),
        ({"prompt": 7}, "prompt"),
        ({"parse_confidence": 1.1}, "parse_confidence"),
        ({"parse_ok": "yes"}, "parse_ok"),
        ({"latency_ms": -1}, "latency_ms"),
        ({"latency_ms": "12"}, "latency_ms"),
        ({"usage": []}, "usage"),
        ({"usage": {"n": 2**60}}, "usage"),
        ({"context_refs": ["x"] * 1001}, "context_refs"),
        ({"context_refs": "x"}, "context_refs"),
        ({"correlation_id": "ä"}, "correlation_id"),
        ({"unknown": 1}, "unknown"),
        ({"prompt": "x" * 2_500_000, "raw_output": "y" * 1_500_000}, "request"),
    ],
)
async def test_a_wrong_field_is_named(api, fields, named):
    answer = await api.post("/audit/record", json={**CALL, **fields})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == named
    assert (await api.get("/audit/stats")).json()["total_entries"] == 0


@pytest.mark.parametrize("missing", sorted(CALL))
async def test_each_required_field_is_required(api, missing):
    body = {name: value for name, value in CALL.items() if name != missing}
    answer = await api.post("/audit/record", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == missing


async def test_numbers_without_a_canonical_form_are_refused(api):
    fields = {"parsed_data": {"n": 2**60}}
    answer = await api.post("/audit/record", json={**CALL, **fields})
    assert answer.status_code == 422
    assert (await api.get("/audit/stats")).json()["total_entries"] == 0


async def test_entries_are_found_by_each_condition(api, served, ledger):
    await record(api, run_id="a", agent_name="one", parse_ok=True)
    served.clock.advance(100)
    middle = served.clock.now()
    await record(api, run_id="b", agent_name="two", parse_ok=False)
    served.clock.advance(100)
    await record(api, run_id="c", agent_name="one", correlation_id="tied")
    await ledger.append(SystemEvent("e1", "memory.stored", "m1"))

    async def indexes(**params):
        body = (await api.get("/audit/entries", params=params)).json()
        return [entry["index"] for entry in body["entries"]]

    assert await indexes() == [3, 2, 1, 0]
    assert await indexes(run_id="b") == [1]
    assert await indexes(agent_name="one") == [2, 0]
    assert await indexes(agent_name="one", outcome="ok") == [0]
    assert await indexes(outcome="failed") == [1]
    assert await indexes(correlation_id="tied") == [2]
    assert await indexes(kind="memory.stored") == [3]
    assert await indexes(since=middle) == [3, 2, 1]
    assert await indexes(until=middle) == [0]
    assert await indexes(since=middle, until=middle + 1) == [1]
    log = (await api.get("/audit/log", params={"limit": 2})).json()
    assert [entry["index"] for entry in log["entries"]] == [2, 1]


async def test_pages_cover_everything_once(api):
    for number in range(7):
        await record(api, run_id=f"run-{number}")
    seen, params = [], {"limit": 3}
    while True:
        page = (await api.get("/audit/entries", params=params)).json()
        seen += [entry["index"] for entry in page["entries"]]
        if page["next_before"] is None:
            break
        params["before"] = page["next_before"]
    assert seen == [6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/audit/entries", {"limit": 0}),
        ("/audit/entries", {"limit": 1001}),
        ("/audit/entries", {"outcome": "great"}),
        ("/audit/entries", {"since": 10, "until": 5}),
        ("/audit/entries", {"before": -1}),
        ("/audit/entries", {"tenant": "acme"}),
        ("/audit/entries/-1", {}),
        ("/audit/entries/x", {}),
        ("/audit/log", {"limit": 0}),
        ("/audit/proof/inclusion/-1", {}),
        ("/audit/proof/consistency", {}),
        ("/audit/proof/consistency", {"from": "x"}),
        ("/audit/proof/consistency", {"from": 2, "to": 1}),
    ],
)
async def test_wrong_queries_are_refused(api, ledger, path, params):
    for _ in range(3):
        await record(api)
    await ledger.publish()
    assert (await api.get(path, params=params)).status_code == 422


async def test_stats_count_calls_and_how_they_went(api):
    empty = (await api.get("/audit/stats")).json()
    assert empty == {
        "total_entries": 0,
        "calls": 0,
        "agents": {},
        "success_rate": None,
        "avg_latency_ms": None,
    }
    await record(api, agent_name="one", parse_ok=True, latency_ms=10)
    await record(api, agent_name="one", parse_ok=False, latency_ms=20)
    await record(api, agent_name="two")
    told = (await api.get("/audit/stats")).json()
    assert told["total_entries"] == told["calls"] == 3
    assert told["agents"]["one"] == {"calls": 2, "failed": 1, "avg_latency_ms": 15}
    assert told["agents"]["two"]["avg_latency_ms"] is None
    assert told["success_rate"] == pytest.approx(2 / 3)
    assert told["avg_latency_ms"] == 15


async def test_the_checkpoint_is_the_signed_note_itself(api, ledger):
    await record(api)
    signed = await ledger.publish()
    answer = await api.get("/audit/checkpoint")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.content == signed.encode()
    tile = await api.get("/audit/log-tiles/checkpoint")
    assert tile.content == answer.content


async def test_a_proof_of_what_no_head_covers_is_not_there_yet(api):
    await record(api)
    answer = await api.get("/audit/proof/inclusion/0")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "ENTRY_NOT_FOUND"


async def test_consistency_is_proved_between_any_two_sizes(api, ledger):
    for _ in range(5):
        await record(api)
    await ledger.publish()
    answer = await api.get("/audit/proof/consistency", params={"from": 2, "to": 4})
    body = answer.json()
    path = [base64.b64decode(item) for item in body["path"]]
    roots = [base64.b64decode(body[name]) for name in ("from_root", "to_root")]
    merkle.verify_consistency(2, 4, *roots, path)
    newest = (await api.get("/audit/proof/consistency", params={"from": 2})).json()
    assert newest["to"] == 5
    beyond = await api.get("/audit/proof/consistency", params={"from": 2, "to": 6})
    assert beyond.status_code == 404


async def test_tampering_is_a_verdict_with_the_index(api, ledger):
    for _ in range(4):
        await record(api)
    await ledger.publish()
    told = (await api.post("/audit/verify")).json()
    assert (told["verdict"], told["exit_code"], told["pinned"]) == ("intact", 0, True)
    await ledger._database.write(
        lambda connection: connection.execute(
            "UPDATE leaves SET body = CAST(replace(CAST(body AS TEXT), 'planner', "
            "'plunder') AS BLOB) WHERE idx = 2"
        )
    )
    told = (await api.post("/audit/verify?deep=true")).json()
    assert (told["verdict"], told["exit_code"]) == ("tampered", 1)
    assert told["index"] == 2
    assert told["findings"]


async def test_one_verification_at_a_time(api, served):
    room = served.edge.use_cases.audit.room
    async with room.verifying:
        answer = await api.post("/audit/verify")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert (await api.post("/audit/verify")).status_code == 200


async def test_an_unusable_pin_is_told_as_such(api, ledger, tmp_path):
    await record(api)
    await ledger.publish()
    (tmp_path / "pins" / "head").write_text("not a note")
    told = (await api.post("/audit/verify")).json()
    assert (told["verdict"], told["exit_code"]) == ("cannot_check", 3)
    assert told["reason"] == "pin_unusable"


async def test_a_tenant_sees_its_own_and_nothing_of_another(api, ledger):
    mine = await record(api, run_id="mine")
    theirs = (await api.post("/audit/record", json=CALL, headers=OTHER)).json()
    await ledger.publish()
    index = mine["index"]

    page = (await api.get("/audit/entries", headers=OTHER)).json()
    assert [entry["index"] for entry in page["entries"]] == [theirs["index"]]
    assert (await api.get("/audit/stats", headers=OTHER)).json()["total_entries"] == 1
    for path in (f"/audit/entries/{index}", f"/audit/entries/{index}/content"):
        answer = await api.get(path, headers=OTHER)
        assert answer.status_code == 404
        assert "mine" not in answer.text

    foreign = await api.get(f"/audit/proof/inclusion/{index}", headers=OTHER)
    assert foreign.json()["entry"] is None
    assert "mine" not in foreign.text
    own = (await api.get(f"/audit/proof/inclusion/{index}")).json()
    assert json.loads(own["entry"])["event"]["data"]["run_id"] == "mine"
    assert own["receipt"] == foreign.json()["receipt"]
    hashed = hashlib.sha256(b"\x00" + own["entry"].encode()).hexdigest()
    assert hashed == mine["entry_hash"]


PATHS = (
    ("POST", "/audit/record"),
    ("POST", "/audit/verify"),
    ("GET", "/audit/log"),
    ("GET", "/audit/entries"),
    ("GET", "/audit/entries/0"),
    ("GET", "/audit/entries/0/content"),
    ("GET", "/audit/stats"),
    ("GET", "/audit/checkpoint"),
    ("GET", "/audit/proof/inclusion/0"),
    ("GET", "/audit/proof/consistency?from=1"),
    ("GET", "/audit/log-tiles/checkpoint"),
)


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_every_route_needs_the_scope(served, ledger, method, path):
    del ledger
    async with served.client("reader-token-012345678") as reader:
        answer = await reader.request(method, path, json=CALL)
    assert answer.status_code == 403
    assert answer.json()["error"]["scope"] == "audit"
    async with served.client(None) as nobody:
        answer = await nobody.request(method, path, json=CALL)
    assert answer.status_code == 401


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_a_missing_ledger_is_503_everywhere(http, method, path):
    answer = await http.request(method, path, json=CALL)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"


async def test_a_stopped_ledger_takes_no_calls_and_still_answers(api, ledger):
    await record(api)
    await ledger.publish()
    ledger._appender.stop("the disk said no")
    answer = await api.post("/audit/record", json=CALL)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "LEDGER_STOPPED"
    assert (await api.get("/audit/entries")).json()["entries"]
    assert (await api.get("/audit/proof/inclusion/0")).status_code == 200


async def test_published_tiles_are_served_and_nothing_else(api, served, ledger):
    await record(api)
    await ledger.publish()
    tile = await api.get("/audit/log-tiles/tile/0/000.p/1")
    assert tile.status_code == 200
    assert len(tile.content) == 32
    bundle = await api.get("/audit/log-tiles/tile/entries/000.p/1")
    assert hashlib.sha256(b"\x00" + bundle.content[2:]).digest() == tile.content
    for name in (
        "..%2Fkeys%2Fsigning.key",
        "../keys/signing.key",
        "tile/0/../../../keys/signing.key",
        "tile/0/000.p/1/",
        "tile/00/000.p/1",
        "tile/0/x000/000.p/1",
        "tile/0/000.p/256",
        "tile/-1/000.p/1",
        "tile/0/001",
        "%2Fetc%2Fpasswd",
        "tile/0/000.p/1%00",
    ):
        answer = await api.get(f"/audit/log-tiles/{name}")
        assert answer.status_code == 404, name
    tokens = '{"a": {"token": "auditor-token-012345", "scopes": ["audit"]}}'
    served.edge = replace(
        served.edge,
        doors=Doors(Tokens(parse_tokens(tokens), served.clock), Watch(served.clock)),
    )
    async with served.client("auditor-token-012345") as auditor:
        hashes = await auditor.get("/audit/log-tiles/tile/0/000.p/1")
        assert hashes.status_code == 200
        # Bundles hold what all tenants recorded.
        entries = await auditor.get("/audit/log-tiles/tile/entries/000.p/1")
        assert entries.status_code == 403
        assert entries.json()["error"]["scope"] == "admin"


async def test_many_records_at_once_get_an_index_each(api):
    answers = await asyncio.gather(*(record(api) for _ in range(50)))
    assert sorted(answer["index"] for answer in answers) == list(range(50))
