"""What a tool call costs beside the same call over plain HTTP.

Usage: python -m benchmarks.mcp [--calls 400]

A real server in its own process; plain calls and tool calls take turns in one run, so
that both meet the same load of the machine. The server's own share is compared with
one HTTP client and hand-written protocol bodies; what the official client adds in the
caller's process is told as detail.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from mcp import Client

from benchmarks.claims import Claim, report

OVERHEAD_MS_GOAL = 3.0
MEMORIES = 500
WARM_CALLS = 40
QUESTION = "Who waters the plants on the third floor?"
HANDSHAKE = "2025-06-18"
STATELESS = "2026-07-28"

Call = Callable[[], Awaitable[bool]]


@contextmanager
def serving() -> Iterator[str]:
    """Yield the address of a fresh server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
        with (Path(home) / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "cortex", "serve", "--port", str(port)],
                env={
                    **kept,
                    "CORTEX_HOME": home,
                    "CORTEX_RATE_LIMIT_PER_MINUTE": "1000000",
                },
                stdout=log,
                stderr=log,
            )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(40)


async def ready(http: httpx.AsyncClient) -> None:
    for _ in range(600):
        try:
            if (await http.get("/ready")).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    sys.exit("the server did not start")


async def fill(http: httpx.AsyncClient) -> None:
    items = [
        {"content": f"Person {n} waters the plants on floor {n % 40}."}
        for n in range(MEMORIES)
    ]
    (await http.post("/memory", json={"items": items})).raise_for_status()


def plain_search(http: httpx.AsyncClient) -> Call:
    async def call() -> bool:
        body = {"query": QUESTION, "top_k": 8}
        answer = await http.post("/memory/search", json=body)
        return answer.status_code == httpx.codes.OK and bool(answer.json()["hits"])

    return call


def tool_search(http: httpx.AsyncClient, version: str) -> Call:
    arguments = {"query": QUESTION, "top_k": 8}
    parameters: dict[str, object] = {"name": "memory.search", "arguments": arguments}
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": version,
    }
    if version == STATELESS:
        headers |= {"Mcp-Method": "tools/call", "Mcp-Name": "memory.search"}
        parameters["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters}

    async def call() -> bool:
        answer = await http.post("/mcp", json=body, headers=headers)
        if answer.status_code != httpx.codes.OK:
            return False
        result = answer.json().get("result", {})
        return not result.get("isError") and bool(result["structuredContent"]["hits"])

    return call


def client_search(client: Client) -> Call:
    async def call() -> bool:
        arguments = {"query": QUESTION, "top_k": 8}
        return not (await client.call_tool("memory.search", arguments)).is_error

    return call


async def measured(calls: dict[str, Call], number: int) -> dict[str, list[float]]:
    """Return seconds of each call by name; all take turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(number + WARM_CALLS):
        for name, call in calls.items():
            started = time.perf_counter()
            ok = await call()
            seconds = time.perf_counter() - started
            if not ok:
                sys.exit(f"{name}: a call failed")
            if turn >= WARM_CALLS:
                times[name].append(seconds)
    return times


async def run(number: int, url: str) -> dict[str, list[float]]:
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        await ready(http)
        await fill(http)
        async with Client(f"{url}/mcp") as client:
            await client.list_tools()
            return await measured(
                {
                    "http": plain_search(http),
                    "mcp-handshake": tool_search(http, HANDSHAKE),
                    "mcp-stateless": tool_search(http, STATELESS),
                    "client": client_search(client),
                },
                number,
            )


def percentiles(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {
        "p50_ms": round(1e3 * cuts[49], 3),
        "p95_ms": round(1e3 * cuts[94], 3),
        "calls": len(seconds),
    }


def main() -> int:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=400, help="of each kind")
    with serving() as url:
        times = asyncio.run(run(parser.parse_args().calls, url))
    plain = statistics.median(times["http"])
    claims = [
        Claim(
            name=f"{name}-overhead-ms-p50",
            value=1e3 * (statistics.median(times[name]) - plain),
            unit="ms",
            goal=OVERHEAD_MS_GOAL,
            at_most=True,
            note=f"memory.search over {MEMORIES} memories, {len(times[name])} calls, "
            "0 failed; median less the median of POST /memory/search in turns",
        )
        for name in ("mcp-handshake", "mcp-stateless")
    ]
    detail = {name: percentiles(seconds) for name, seconds in times.items()}
    print(json.dumps(detail, indent=1))
    return 0 if report("mcp", claims, detail) else 1


if __name__ == "__main__":
    sys.exit(main())
