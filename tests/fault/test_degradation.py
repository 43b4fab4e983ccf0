"""What still works while a part fails, that it says so, and that it recovers alone."""

import asyncio
import errno
import os
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from cortex.app import App
from cortex.bootstrap import checks
from cortex.bootstrap.checks import FREE_BYTES_MIN
from cortex.bootstrap.process import build, build_edge
from cortex.foundation.tenancy import Principal
from cortex.ledger import subjects
from cortex.ledger.errors import LedgerStopped
from cortex.ledger.model import AgentCall, EntryQuery
from cortex.memory.faiss_vectors import FaissVectors
from cortex.settings import EmbeddingProvider, OpenAI, Settings
from cortex.testing.clock import ManualClock
from cortex.testing.inference import Reply, embedding_server
from cortex.usecases.model import CallContext

PRINCIPAL = Principal("tester", scopes=frozenset({"*"}))
CALL = CallContext("faults", "tester")
AGENT_CALL = AgentCall("run", "agent", "act", "prompt", "output")
WAIT_SECONDS_MAX = 60.0
RECOVERY_SECONDS_MAX = 30.0


def remote_settings(home: Path, url: str) -> Settings:
    return Settings(
        home=home,
        log_level="critical",
        embedding_provider=EmbeddingProvider.OPENAI,
        openai=OpenAI(base_url=f"{url}/v1", api_key="k", dimensions=384),
    )


async def entries_of(app: App, kind: str) -> list[str]:
    page = await app.use_cases.audit.entries(PRINCIPAL, EntryQuery(kind=kind))
    return [entry.subject for entry in page.entries]


async def eventually(clock: ManualClock, done: Callable) -> None:
    """Let time go by until it is so."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await done():
            clock.advance(0.5)
            await asyncio.sleep(0.005)


async def test_of_two_processes_one_tells_the_ledger_that_a_part_fell_and_rose(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    with embedding_server() as remote:
        remote.replies.extend([Reply(status=503)] * 10_000)
        settings = remote_settings(tmp_path, remote.url)
        first, second = build(settings, clock=clock), build(settings, clock=clock)
        async with first.running(), second.running():

            async def fell() -> bool:
                return "embedder" in await entries_of(first, "health.degraded")

            async def rose() -> bool:
                return "embedder" in await entries_of(first, "health.recovered")

            await eventually(clock, fell)
            remote.replies.clear()
            await eventually(clock, rose)
            for kind in ("health.degraded", "health.recovered"):
                assert (await entries_of(second, kind)).count("embedder") == 1


class Client:
    """Asks an application without a socket."""

    def __init__(self, edge: object) -> None:
        transport = httpx.ASGITransport(edge, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:4949"
        )

    async def search(self, mode: str = "hybrid") -> httpx.Response:
        asked = {"query": "when does the harbour open", "mode": mode}
        return await self.http.post("/memory/search", json=asked)

    async def check(self, name: str) -> str:
        answer = await self.http.get("/healthz")
        return str(answer.json()["checks"][name]["status"])

    async def remember(self, content: str) -> str:
        body = {"items": [{"content": content}]}
        answer = await self.http.post("/memory", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["ids"][0])


async def passing(clock: ManualClock, seconds: float) -> None:
    """Let no more time than this go by, whatever the machine takes for it."""
    for _ in range(int(seconds)):
        clock.advance(1)
        await asyncio.sleep(0.005)


async def settled(done: Callable) -> None:
    """Wait for what needs no more time of the clock."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await done():
            await asyncio.sleep(0.01)


async def test_vectors_that_fail_leave_words_and_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    settings = Settings(home=tmp_path, fast_test=True, log_level="critical")
    app, edge = build_edge(settings, clock=clock)

    def failing(*_: object) -> None:
        raise RuntimeError("Error in faiss")

    async with app.running():
        client = Client(edge.app)
        stored = await client.remember("the harbour opens at six")
        assert "x-degraded" not in (await client.search()).headers
        with monkeypatch.context() as patch:
            patch.setattr(FaissVectors, "ask", failing)
            answer = await client.search()
            assert answer.status_code == 200
            assert answer.json()["hits"][0]["id"] == stored
            assert answer.json()["degraded"] == ["dense"]
            assert answer.headers["x-degraded"] == "dense"
            body = {"query": "harbour", "model": "gpt-4o", "max_tokens": 500}
            context = await client.http.post("/context", json=body)
            assert context.status_code == 200
            assert context.headers["x-degraded"] == "dense"
            assert (await client.search("semantic")).status_code == 503
            assert (await client.search("keyword")).json()["degraded"] == []
            assert await client.check("vector_store") == "degraded"
        answer = await client.search()
        assert answer.json()["degraded"] == []
        clock.advance(RECOVERY_SECONDS_MAX)
        assert await client.check("vector_store") == "ok"


async def test_an_embedder_that_works_again_is_used_within_half_a_minute(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    with embedding_server() as remote:
        settings = remote_settings(tmp_path, remote.url)
        app, edge = build_edge(settings, clock=clock)
        async with app.running():
            client = Client(edge.app)
            stored = await client.remember("the harbour opens at six")
            assert await client.check("embedder") == "ok"
            remote.replies.extend([Reply(status=503)] * 10_000)

            async def is_left_alone() -> bool:
                answer = await client.search()
                assert answer.json()["hits"][0]["id"] == stored
                return await client.check("embedder") != "ok"

            searching = asyncio.ensure_future(eventually(clock, is_left_alone))
            while not searching.done():
                clock.advance(0.5)
                await asyncio.sleep(0.005)
            await searching
            assert (await client.search()).headers["x-degraded"] == "dense"
            remote.replies.clear()
            await passing(clock, RECOVERY_SECONDS_MAX)

            async def whole() -> bool:
                return (await client.search()).json()["degraded"] == []

            await settled(whole)
            assert await client.check("embedder") == "ok"


@contextmanager
def failing_sync(patch: pytest.MonkeyPatch):
    """Let the disk take no key of the ledger."""

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with patch.context() as broken:
        broken.setattr(subjects.os, "fsync", failing)
        yield


async def test_a_ledger_that_its_disk_stopped_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    settings = Settings(home=tmp_path, fast_test=True, log_level="critical")
    app, edge = build_edge(settings, clock=clock)
    async with app.running():
        client = Client(edge.app)
        audit = app.use_cases.audit
        with failing_sync(monkeypatch), pytest.raises(LedgerStopped):
            await audit.record(PRINCIPAL, AGENT_CALL, CALL)
        assert await client.check("audit_ledger") == "degraded"
        stored = await client.remember("the harbour opens at six")
        assert (await client.search()).json()["hits"][0]["id"] == stored
        assert (await client.http.get("/ready")).status_code == 200
        await passing(clock, RECOVERY_SECONDS_MAX)

        async def whole() -> bool:
            return await client.check("audit_ledger") == "ok"

        await settled(whole)

        async def kept() -> bool:
            return bool(await entries_of(app, "memory.stored"))

        await eventually(clock, kept)
        receipt = await audit.record(PRINCIPAL, AGENT_CALL, CALL)
        assert (await audit.verify()).verdict.value == "intact"
        await eventually(clock, lambda: covered(app, receipt.index))


async def covered(app: App, index: int) -> bool:
    """Tell whether a signed head covers an entry: heads are made again, too."""
    return (await app.use_cases.audit.checkpoint()).size > index


async def test_a_ledger_that_did_not_open_is_opened_once_it_can_be(
    tmp_path: Path,
) -> None:
    settings = Settings(home=tmp_path, fast_test=True, log_level="critical")
    async with build(settings).running():
        pass
    [key] = (tmp_path / "ledger").rglob("*.key")
    key.chmod(0o644)
    clock = ManualClock()
    app, edge = build_edge(settings, clock=clock)
    async with app.running():
        client = Client(edge.app)
        assert await client.check("audit_ledger") == "unhealthy"
        stored = await client.remember("the harbour opens at six")
        answer = await client.http.get(f"/memory/{stored}")
        assert answer.status_code == 200
        key.chmod(0o600)

        async def kept() -> bool:
            ready = await client.check("audit_ledger") == "ok"
            return ready and bool(await entries_of(app, "memory.stored"))

        await eventually(clock, kept)


async def test_a_disk_without_room_is_told_before_anything_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path, fast_test=True, log_level="critical")
    app, edge = build_edge(settings, clock=ManualClock())
    async with app.running():
        client = Client(edge.app)
        stored = await client.remember("the harbour opens at six")
        with monkeypatch.context() as patch:
            full = SimpleNamespace(free=FREE_BYTES_MIN - 1)
            patch.setattr(checks.shutil, "disk_usage", lambda _: full)
            health = (await client.http.get("/healthz")).json()
            assert health["status"] == "degraded"
            assert health["checks"]["disk"]["reason"] == "63 MB are free"
            assert (await client.http.get(f"/memory/{stored}")).status_code == 200
        assert await client.check("disk") == "ok"
