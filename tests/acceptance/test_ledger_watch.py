"""What a running server does to its ledger by itself, and what it tells of that.

The default runs have a server on a thread, whose clock the test sets forward; with
CORTEX_HEAVY=1 a server process also looks at its own, real time: a minute.
"""

import asyncio
import contextlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from cortex.bootstrap.process import build_edge
from cortex.bootstrap.trust import LEDGER_UPKEEP_SECONDS
from cortex.foundation.tenancy import DEFAULT_TENANT, Principal
from cortex.ledger.model import AgentCall
from cortex.ledger.options import HOT_SECONDS
from cortex.ledger.selfcheck import FULL_SECONDS, LOOK_SECONDS
from cortex.service.http.server import Server, listen
from cortex.settings import Settings
from cortex.usecases.model import CallContext

HEAVY = bool(os.environ.get("CORTEX_HEAVY"))
WAIT_SECONDS_MAX = 60.0
TICK_SECONDS = 0.05
ENTRIES = 300
BUNDLE = 256
TILE = Path("ledger", "log", "tile", "0", "000")
CALL = {
    "run_id": "run-1",
    "agent_name": "planner",
    "method_name": "plan",
    "prompt": "what is next?",
    "raw_output": "{}",
}


class SetForward:
    """The machine's time and what a test adds to it; sleepers wake accordingly."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.slept: Counter[str] = Counter()

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def pass_round(self, loop: str, seconds: float) -> None:
        """Set time forward; return when a background loop has done its work."""
        eventually(lambda: self.slept[loop])
        rounds = self.slept[loop]
        self.ahead += seconds
        eventually(lambda: self.slept[loop] > rounds)

    async def sleep(self, seconds: float) -> None:
        until = self.monotonic() + seconds
        task = asyncio.current_task()
        self.slept[task.get_name() if task else ""] += 1
        await asyncio.sleep(0)
        while (left := until - self.monotonic()) > 0:
            await asyncio.sleep(min(left, TICK_SECONDS))


class ThreadServer:
    """A server on a thread of this process."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clock = SetForward()
        self._bound = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._bound.getsockname()[1]}"
        settings = Settings(home=home, fast_test=True, log_level="critical")
        self.app, config = build_edge(settings, clock=self.clock)
        self._server = Server(config, self.app.drain)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        async with self.app.running():
            principal = Principal("tester", DEFAULT_TENANT)
            call = AgentCall(**CALL)
            records = (
                self.app.use_cases.audit.record(
                    principal, call, CallContext(str(n), "tester")
                )
                for n in range(ENTRIES)
            )
            await asyncio.gather(*records)
            await self._server.serve(sockets=[self._bound])

    @contextlib.contextmanager
    def running(self) -> Iterator[httpx.Client]:
        self._thread.start()
        try:
            with httpx.Client(base_url=self.url, timeout=30) as http:
                yield http
        finally:
            self._server.should_exit = True
            self._thread.join(WAIT_SECONDS_MAX)
            self._bound.close()


def eventually(look: Callable[[], object], seconds: float = WAIT_SECONDS_MAX) -> object:
    """Return what is found, as soon as it is there."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(TICK_SECONDS)
    return found


def entries(http: httpx.Client, kind: str) -> list[dict]:
    page = http.get("/audit/entries", params={"kind": kind})
    return page.json()["entries"]


def events(http: httpx.Client, kind: str) -> list[dict]:
    """Return the events of a kind up to one that is caused now."""
    http.post("/memory", json={"items": [{"content": f"after {kind}"}]})
    query, oldest = {"types": f"{kind},memory.stored"}, {"Last-Event-ID": "oldest"}
    found = []
    with http.stream("GET", "/events/stream", params=query, headers=oldest) as answer:
        for line in answer.iter_lines():
            if not line.startswith("data: "):
                continue
            event = json.loads(line.removeprefix("data: "))
            if event["type"] == "memory.stored":
                return found
            found.append(event)
    return found


def flip_byte(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def assert_alarm(http: httpx.Client, seconds: float = WAIT_SECONDS_MAX) -> None:
    """Tampering is told as an alert, in health, as an event and in the ledger."""
    kind = "security.tampering_found"

    def alerts() -> list[dict]:
        told = http.get("/admin/alerts").json()["alerts"]
        return [alert for alert in told if alert["type"] == kind]

    alert = eventually(alerts, seconds)[0]
    assert alert["client"] == "ledger"
    health = http.get("/healthz").json()
    assert health["checks"]["audit_ledger"]["status"] == "degraded", health
    entry = eventually(lambda: entries(http, kind))[0]
    (event,) = events(http, kind)
    assert event["data"]["target"] == "ledger"
    assert entry["entry_id"] == event["id"]


def test_a_rotation_is_told_once_and_is_an_entry(tmp_path: Path) -> None:
    server = ThreadServer(tmp_path)
    with server.running() as http:
        eventually(lambda: http.get("/audit/checkpoint").status_code == 200)
        assert not entries(http, "audit.rotated")
        server.clock.pass_round("ledger-upkeep", HOT_SECONDS + 3_600)
        entry = eventually(lambda: entries(http, "audit.rotated"))[0]
        # More rounds of upkeep have nothing to move and nothing to tell.
        for _ in range(3):
            server.clock.pass_round("ledger-upkeep", LEDGER_UPKEEP_SECONDS)
        (event,) = events(http, "audit.rotated")
        moved = {"index": BUNDLE, "count": BUNDLE, "target": "bundles"}
        assert event["data"] == moved
        assert [e["entry_id"] for e in entries(http, "audit.rotated")] == [event["id"]]
        assert entry["index"] == ENTRIES
        # What was moved is still served, and proves.
        assert http.get("/audit/entries/7").json()["kind"] == "agent.call"
        assert http.post("/audit/verify").json()["verdict"] == "intact"


def test_tampering_with_a_running_server_raises_the_alarm(tmp_path: Path) -> None:
    server = ThreadServer(tmp_path)
    with server.running() as http:
        eventually((tmp_path / TILE).exists)
        server.clock.pass_round("ledger-verifier", LOOK_SECONDS)
        assert http.get("/healthz").json()["checks"]["audit_ledger"]["status"] == "ok"
        flip_byte(tmp_path / TILE, 100 * 32)
        server.clock.ahead += FULL_SECONDS
        assert_alarm(http)


if HEAVY:

    @pytest.mark.parametrize("part", ["tile", "entry"])
    def test_a_server_process_finds_tampering_within_minutes(serve, part) -> None:
        server = serve(CORTEX_FAST_TEST="1")
        for _ in range(ENTRIES):
            assert server.client.post("/audit/record", json=CALL).status_code < 300
        bundle = TILE.parents[1] / "entries" / "000"
        path = server.home / {"tile": TILE, "entry": bundle}[part]
        eventually(path.exists)
        flip_byte(path, 100 * 32)
        assert_alarm(server.client, LOOK_SECONDS + WAIT_SECONDS_MAX)
