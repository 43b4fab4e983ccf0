"""The whole server under faults: killed, out of disk, contended, and kept waiting."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest

from cortex.bootstrap.process import build
from cortex.foundation.errors import NotFound
from cortex.foundation.tenancy import Principal
from cortex.memory.model import NewMemory, Query, SearchMode, Selection
from cortex.settings import EmbeddingProvider, OpenAI, Settings
from cortex.testing.clock import ManualClock
from cortex.testing.inference import Reply, embedding_server
from cortex.usecases.model import CallContext, NewSession

HEAVY = os.environ.get("CORTEX_HEAVY") == "1"
KILLS = 20 if HEAVY else 2
CONTENTION_SECONDS = 60 if HEAVY else 4
CLIENTS = 64
PARTS = 3
"""Items of one request: a batch is there whole or not at all."""

QUICK = {"CORTEX_FAST_TEST": "1", "CORTEX_RATE_LIMIT_PER_MINUTE": "1000000"}
PRINCIPAL = Principal("tester", scopes=frozenset({"*"}))
CALL = CallContext("faults", "tester")
WAIT_SECONDS_MAX = 30.0


def patient(url: str, connections: int) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=connections)
    return httpx.AsyncClient(base_url=url, limits=limits, timeout=60)


def listed(client: httpx.Client, **query: object) -> Iterable[dict]:
    cursor: dict[str, str] = {}
    while True:
        answer = client.get("/memory", params={"limit": 500, **query, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        yield from page["memories"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


async def killed_while_adding(server, kill: int) -> dict[str, str]:
    """Add with many clients, kill the server in the middle; return what was promised.

    The answer maps ids to contents.
    """
    promised: dict[str, str] = {}
    batches = iter(range(1_000_000))

    async def client(adding: httpx.AsyncClient) -> None:
        while True:
            number = next(batches)
            texts = [f"kill{kill} batch{number} part{n}" for n in range(PARTS)]
            try:
                answer = await adding.post(
                    "/memory", json={"items": [{"content": text} for text in texts]}
                )
            except httpx.TransportError:
                return
            assert answer.status_code == 200, answer.text
            promised.update(zip(answer.json()["ids"], texts, strict=True))

    async def killer() -> None:
        while len(promised) < 300:
            await asyncio.sleep(0.005)
        server.process.send_signal(signal.SIGKILL)

    async with patient(server.url, CLIENTS) as adding, asyncio.TaskGroup() as group:
        group.create_task(killer())
        for _ in range(CLIENTS):
            group.create_task(client(adding))
    assert server.process.wait(10) == -signal.SIGKILL
    return promised


async def test_nothing_promised_is_lost_when_the_server_is_killed(serve, tmp_path):
    home = tmp_path / "home"
    promised: dict[str, str] = {}
    for kill in range(KILLS):
        server = serve(home=home, **QUICK)
        fresh = await killed_while_adding(server, kill)
        promised |= fresh
        again = serve(home=home, **QUICK)
        kept = {one["id"]: one["content"] for one in listed(again.client)}
        assert {i: kept.get(i) for i in promised} == promised
        parts: dict[str, int] = {}
        for content in kept.values():
            batch = content.rsplit(" ", 1)[0]
            parts[batch] = parts.get(batch, 0) + 1
        assert set(parts.values()) == {PARTS}
        assert again.client.get("/memory/stats").json()["total"] == len(kept)
        for memory_id, text in list(fresh.items())[:: max(1, len(fresh) // 20)]:
            for mode in ("keyword", "hybrid"):
                sent = {"query": text, "mode": mode, "top_k": 10}
                hits = again.client.post("/memory/search", json=sent).json()["hits"]
                assert memory_id in {hit["id"] for hit in hits}
        assert again.client.get("/healthz").json()["status"] == "ok"
        assert again.stop() == 0


def small_disk(mount_point: Path) -> list[str] | None:
    """Return how to run a server on a disk of 24 MB, 17 of them taken by a file."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = (
        'mount -t tmpfs -o size=24m tmpfs "$0" '
        '&& head -c 17m /dev/zero > "$0/ballast" && exec "$@"'
    )
    command = [unshare, "--mount", *as_root, "sh", "-c", script, str(mount_point)]
    probe = subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if probe.returncode == 0 else None


def test_a_full_disk_is_507_and_heals(serve, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    launcher = small_disk(small)
    if launcher is None:
        # Mounting is forbidden here; tests/fault/storage bounds the file instead.
        return
    server = serve(home=small / "home", launcher=launcher, **QUICK)
    stored, refused = [], None
    for number in range(200):
        item = {"content": f"stored {number} " + "large words " * 15_000}
        answer = server.client.post("/memory", json={"items": [item]})
        if answer.status_code != 200:
            refused = answer
            break
        stored += answer.json()["ids"]
    assert stored
    assert refused is not None
    assert refused.status_code == 507, refused.text
    body = refused.json()
    assert body["error"]["code"] == "STORAGE_FULL"
    assert "full" in body["detail"]
    assert int(refused.headers["retry-after"]) >= 1
    # What was there before can be read, one by one and by search.
    for memory_id in stored:
        assert server.client.get(f"/memory/{memory_id}").status_code == 200
    sent = {"query": "stored large words", "top_k": 100}
    hits = server.client.post("/memory/search", json=sent).json()["hits"]
    assert {hit["id"] for hit in hits} == set(stored)
    assert server.client.get("/health/live").status_code == 200
    health = server.client.get("/healthz").json()
    assert health["checks"]["disk"]["status"] == "degraded"
    Path(f"/proc/{server.process.pid}/root{small}/ballast").unlink()
    item = {"content": "after the ballast went overboard"}
    healed = None
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < deadline:
        healed = server.client.post("/memory", json={"items": [item]})
        if healed.status_code == 200:
            break
    assert healed is not None
    assert healed.status_code == 200, healed.text
    assert server.client.get("/memory/stats").json()["total"] == len(stored) + 1
    assert "Traceback" not in server.log.read_text()
    assert server.stop() == 0


async def test_many_writers_and_readers_never_meet_a_locked_database(serve):
    server = serve("--workers", "2", **QUICK)
    until = time.monotonic() + CONTENTION_SECONDS
    statuses: dict[tuple[str, int], int] = {}

    async def calls(number: int, adding: httpx.AsyncClient, kind: str) -> None:
        turn = 0
        while time.monotonic() < until:
            turn += 1
            text = f"writer {number} turn {turn}"
            method, path, body = {
                "write": ("POST", "/memory", {"items": [{"content": text}]}),
                "search": ("POST", "/memory/search", {"query": text}),
                "list": ("GET", "/memory?limit=20", None),
                "state": ("PUT", f"/state/team/k{number}", {"value": turn}),
                "forget": ("DELETE", f"/memory?author=nobody{turn}", None),
            }[kind]
            answer = await adding.request(method, path, json=body)
            key = (kind, answer.status_code)
            statuses[key] = statuses.get(key, 0) + 1
            assert answer.status_code == 200, answer.text

    kinds = ["write"] * 28 + ["state"] * 2 + ["forget"] * 2 + ["search", "list"] * 4
    async with patient(server.url, len(kinds)) as client, asyncio.TaskGroup() as group:
        for number, kind in enumerate(kinds):
            group.create_task(calls(number, client, kind))
    assert {kind for kind, _ in statuses} == set(kinds)
    total = server.client.get("/memory/stats").json()["total"]
    assert total == statuses["write", 200]
    log = server.log.read_text()
    assert "locked" not in log
    assert "Traceback" not in log
    assert server.stop() == 0


def connected(url: str) -> socket.socket:
    address = httpx.URL(url)
    return socket.create_connection((address.host, address.port), timeout=30)


def test_slow_clients_hurt_nobody_and_are_answered_in_the_end(serve):
    server = serve(CORTEX_DRAIN_SECONDS="3", **QUICK)
    filler = [{"content": f"filler {n} " + "words " * 3_000} for n in range(300)]
    stored = server.client.post("/memory", json={"items": filler})
    assert stored.status_code == 200
    bodies = [
        json.dumps({"items": [{"content": f"said very slowly {n:02}"}]}).encode()
        for n in range(40)
    ]
    length = len(bodies[0])
    head = (
        "POST /memory HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()
    writers = [connected(server.url) for _ in bodies]
    readers = [connected(server.url) for _ in range(10)]
    for slow in writers:
        slow.sendall(head)
    for slow in readers:
        # Five megabytes that nobody takes off the wire.
        slow.sendall(b"GET /memory/export HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    longest = 0.0
    for byte in range(length):
        for slow, body in zip(writers, bodies, strict=True):
            slow.sendall(body[byte : byte + 1])
        started = time.monotonic()
        answer = server.client.get("/memory/stats")
        longest = max(longest, time.monotonic() - started)
        assert answer.status_code == 200
    assert longest < 10.0
    for slow in writers:
        assert slow.recv(65_536).startswith(b"HTTP/1.1 200")
        slow.close()
    assert server.client.get("/memory/stats").json()["total"] == len(filler) + len(
        writers
    )
    # A reader that never reads does not keep the server from stopping.
    assert server.stop(timeout=15) == 0
    for slow in readers:
        slow.close()


async def test_a_clock_that_steps_back_harms_nothing(tmp_path):
    clock = ManualClock()
    settings = Settings(home=tmp_path, fast_test=True, log_level="error")
    app = build(settings, clock=clock)
    namespace = PRINCIPAL.namespace("team")
    cases = app.use_cases

    async def say(text: str) -> str:
        items = [NewMemory(text, session_id="talk", ttl_seconds=7_200)]
        [stored] = await cases.append_messages(namespace, "talk", items, CALL)
        assert stored.created
        return stored.id

    async with app.running():
        await cases.create_session(namespace, NewSession(id="talk"))
        ids = [await say("the harbour opens at six")]
        put = {"ttl_seconds": 60.0, "if_match": None, "context": CALL}
        first = await cases.put_state(namespace, "goal", "sail", **put)
        pack = await cases.snapshot(PRINCIPAL, None)
        clock.step(-3_600)
        ids.append(await say("the harbour opens at seven"))
        ids.append(await say("the harbour opens at eight"))
        assert len(set(ids)) == 3
        page = await cases.list_memories(namespace, Selection(), None, 10)
        assert [memory.id for memory in page.memories] == ids[::-1]
        found = await cases.search(namespace, Query("harbour opens", 10), CALL)
        assert {hit.memory.id for hit in found.hits} == set(ids)
        second = await cases.put_state(namespace, "goal", "row", **put)
        assert second.etag != first.etag
        assert (await cases.get_state(namespace, "goal")).value == "row"
        # A pack from the future is not in time: it is made anew.
        later = await cases.snapshot(PRINCIPAL, pack["generated_at"])
        assert later["freshness"] == "fresh"
        gone = await cases.forget(namespace, ids=ids[:1], selection=None, context=CALL)
        assert gone.ids == (ids[0],)
        clock.step(1.5 * 3_600)
        with pytest.raises(NotFound):
            await cases.get_state(namespace, "goal")
        assert (await cases.get_memory(namespace, ids[1])).content.endswith("seven")
        clock.step(2 * 3_600)
        with pytest.raises(NotFound):
            await cases.get_memory(namespace, ids[1])
        report = await cases.health()
        assert report.status.value == "ok"


async def test_a_server_that_starts_in_its_own_past_knows_everything(tmp_path):
    clock = ManualClock()
    settings = Settings(home=tmp_path, fast_test=True, log_level="error")
    namespace = PRINCIPAL.namespace("team")
    stored = []
    for step in (-10 * 3_600, 3_600):
        app = build(settings, clock=clock)
        async with app.running():
            cases = app.use_cases
            items = [NewMemory(f"the harbour, said at {clock.now()}")]
            stored += await cases.remember(PRINCIPAL, namespace, items, CALL)
            page = await cases.list_memories(namespace, Selection(), None, 10)
            told = [memory.id for memory in page.memories]
            assert told == [one.id for one in reversed(stored)]
            found = await cases.search(namespace, Query("harbour", 10), CALL)
            assert len(found.hits) == len(stored)
            assert (await cases.health()).status.value == "ok"
        clock.step(step)


async def test_an_embedder_that_is_down_costs_meaning_not_memory(tmp_path):
    clock = ManualClock()
    namespace = PRINCIPAL.namespace("team")
    with embedding_server() as remote:
        settings = Settings(
            home=tmp_path,
            log_level="critical",
            embedding_provider=EmbeddingProvider.OPENAI,
            openai=OpenAI(base_url=f"{remote.url}/v1", api_key="k", dimensions=384),
        )
        app = build(settings, clock=clock)
        cases = app.use_cases
        async with app.running():
            remote.replies.extend([Reply(status=503)] * 10_000)
            items = [NewMemory("the harbour opens at six"), NewMemory("tea is green")]
            adding = cases.remember(PRINCIPAL, namespace, items, CALL)
            stored = await passing(clock, adding)
            assert [one.embedding for one in stored] == ["pending", "pending"]
            query = Query("when does the harbour open", 10)
            found = await passing(clock, cases.search(namespace, query, CALL))
            assert found.hits[0].memory.id == stored[0].id
            assert found.degraded == ("dense",)
            counts = await cases.memory_stats(PRINCIPAL, namespace)
            assert counts.pending_embeddings == 2
            for number in range(3):  # whoever asked before, it has failed often enough
                asked = Query(f"what is there at pier {number}", 10)
                await passing(clock, cases.search(namespace, asked, CALL))
            report = await passing(clock, cases.health())
            assert report.status.value == "degraded"
            remote.replies.clear()
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while counts.pending_embeddings:
                    clock.advance(5)
                    await asyncio.sleep(0.01)
                    counts = await cases.memory_stats(PRINCIPAL, namespace)
            meaning = Query("the harbour opens", 10, SearchMode.SEMANTIC)
            found = await cases.search(namespace, meaning, CALL)
            assert found.hits[0].memory.id == stored[0].id
            assert found.degraded == ()


async def passing(clock: ManualClock, work):
    """Await something while time goes by for those who back off."""
    task = asyncio.ensure_future(work)
    while not task.done():
        clock.advance(0.5)
        await asyncio.sleep(0.005)
    return task.result()
