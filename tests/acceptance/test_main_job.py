"""The main job over HTTP, against a real server process with the real model."""

import hashlib
import hmac
import json

import rfc8785

from cortex_client import CortexClientSync

TALK = [
    ("Ann", "I adopted a beagle called Rufus in March.", "2024-03-04T10:00:00Z"),
    ("Bob", "Lovely! My sister moved to Lisbon last summer.", "2024-03-04T10:01:00Z"),
    ("Ann", "Rufus hates thunder, he hides under the piano.", "2024-05-09T18:00:00Z"),
    ("Bob", "The budget for the garden is 1200 euros.", "2024-06-01T09:00:00Z"),
]
SECRET = "the quetzalcoatlus password is marmalade-7719"


def items(talk=TALK):
    return [
        {"content": text, "author": author, "session_id": "talk", "occurred_at": when}
        for author, text, when in talk
    ]


def remember(client, *entries, **more):
    answer = client.post("/memory", json={"items": list(entries), **more})
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def test_a_default_start_is_whole_and_answers_the_right_context(serve):
    server = serve()
    health = server.client.get("/healthz").json()
    assert health["status"] == "ok", health
    assert {"database", "vector_store", "audit_ledger", "embedder"} <= set(
        health["checks"]
    )
    remember(server.client, *items())

    found = server.client.post(
        "/memory/search", json={"query": "What is the name of Ann's dog?", "top_k": 2}
    ).json()
    assert "Rufus" in found["hits"][0]["content"]
    assert found["low_confidence"] is False

    built = server.client.post(
        "/context",
        json={"query": "What scares the dog?", "model": "gpt-4o", "max_tokens": 120},
    ).json()
    assert "thunder" in json.dumps(built)
    assert 0 < built["total_tokens"] <= 120

    unknown = server.client.post(
        "/memory/search", json={"query": "Which kernel does the router run?"}
    ).json()
    assert unknown["low_confidence"] is True


def test_what_was_acknowledged_survives_a_kill(serve):
    first = serve()
    stored = remember(first.client, *items())
    first.client.put("/state/default/cursor", json={"value": {"page": 3}})
    first.process.kill()
    first.process.wait()
    second = serve(home=first.home)
    ids = [entry["id"] for entry in stored["items"]]
    for memory_id, (_, text, _) in zip(ids, TALK, strict=True):
        assert second.client.get(f"/memory/{memory_id}").json()["content"] == text
    hits = second.client.post("/memory/search", json={"query": "garden budget"}).json()
    assert "1200" in hits["hits"][0]["content"]
    assert second.client.get("/state/default/cursor").json()["value"] == {"page": 3}


def test_a_forgotten_text_is_in_no_file(serve):
    server = serve()
    remember(server.client, *items())
    stored = remember(server.client, {"content": SECRET, "user_id": "eve"})
    server.client.get("/state/snapshot")
    server.client.post("/memory/search", json={"query": "quetzalcoatlus"})
    assert server.files_holding("marmalade-7719")
    answer = server.client.request("DELETE", "/memory", params={"user_id": "eve"})
    assert answer.status_code == 200, answer.text
    memory_id = stored["items"][0]["id"]
    assert server.client.get(f"/memory/{memory_id}").status_code == 404
    assert server.files_holding("marmalade-7719") == []
    found = server.client.post("/memory/search", json={"query": "quetzalcoatlus"})
    assert all("marmalade" not in hit["content"] for hit in found.json()["hits"])
    assert server.stop() == 0
    assert server.files_holding("marmalade-7719") == []


def test_a_snapshot_is_signed_over_exactly_what_is_returned(serve):
    key = "a signing key of thirty-two bytes"
    server = serve(CORTEX_SIGNING_KEY=key)
    remember(server.client, *items())
    pack = server.client.get("/state/snapshot").json()
    signature = pack.pop("signature")
    expected = hmac.new(key.encode(), rfc8785.dumps(pack), hashlib.sha256).hexdigest()
    assert signature == expected
    again = server.client.get(
        "/state/snapshot", params={"since": pack["generated_at"]}
    ).json()
    assert again["freshness"] == "cached"


def test_the_same_item_sent_twice_is_one_memory(serve):
    server = serve()
    first = remember(server.client, items()[0])
    again = remember(server.client, items()[0])
    assert first["items"][0]["id"] == again["items"][0]["id"]
    assert server.client.get("/memory/stats").json()["total"] == 1


def test_the_readme_example_run_twice_is_one_memory(serve):
    server = serve()
    for times_stored in range(2):
        with CortexClientSync(server.url) as cortex:
            launch = {"content": "The launch moved to Friday.", "author": "Ann"}
            [stored] = cortex.remember([launch]).items
            assert stored.created == (times_stored == 0)
            found = cortex.recall("When do we launch?")
    assert [hit.content for hit in found.hits] == [launch["content"]]


def test_export_then_import_gives_the_same_answers(serve, tmp_path):
    server = serve()
    remember(server.client, *items())
    exported = server.client.get("/memory/export").content
    assert exported.count(b"\n") == len(TALK)
    other = serve(home=tmp_path / "other")
    answer = other.client.post(
        "/memory/import",
        content=exported,
        headers={"content-type": "application/x-ndjson"},
    )
    last = json.loads(answer.text.strip().splitlines()[-1])
    assert (last["stored"], last["failed"]) == (len(TALK), 0)
    question = {"query": "Where did Bob's sister move?", "top_k": 3}
    ours, theirs = (
        [
            h["content"]
            for h in s.client.post("/memory/search", json=question).json()["hits"]
        ]
        for s in (server, other)
    )
    assert ours == theirs
