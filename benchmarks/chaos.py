"""What callers see fail while workers are killed: ``python -m benchmarks.chaos``.

A server with two workers, steady requests of the main job (store, search, contexts,
audit) at a rate that does not wait for answers, and ``kill -9`` for a worker every ten
seconds. Each kind is asked for by two callers: the Python client as it comes, which
sends again what may be sent again, and a plain one that tries once. At the end every
memory whose storing was answered must be there, and the ledger must verify.

It says what such faults cost, not what a month's uptime is.
"""

import argparse
import asyncio
import contextlib
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import psutil

from benchmarks.claims import Claim, report
from benchmarks.load import serving
from cortex_client import CortexClient
from cortex_client.errors import CortexError

SECONDS = 180.0
RATE = 40.0
"""Requests a second, of all kinds and both callers together. In three minutes that is
enough for none failed, of one caller's, to mean less than 0.1 % (the rule of three)."""

KILL_SECONDS = 10.0
WORKERS = 2
ANSWER_SECONDS_MAX = 30.0
GOAL_PERCENT = 0.1
KINDS = ("memory", "search", "context", "audit")

Ask = Callable[[str, int], Awaitable[None]]


@dataclass(slots=True)
class Seen:
    """What one caller saw."""

    asked: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    stored: set[str] = field(default_factory=set)

    def percent(self, *kinds: str) -> float:
        """Return the failed part of the requests of some kinds."""
        asked = sum(self.asked[kind] for kind in kinds)
        return 100 * sum(self.failed[kind] for kind in kinds) / max(1, asked)


def audit(number: int) -> dict[str, str]:
    """Return a call of an agent."""
    return {
        "run_id": f"run-{number}",
        "agent_name": "chaos",
        "method_name": "act",
        "prompt": "a question",
        "raw_output": "an answer",
    }


def by_client(client: CortexClient, seen: Seen) -> Ask:
    """Return how the Python client asks."""

    async def ask(kind: str, number: int) -> None:
        if kind == "memory":
            stored = await client.remember(f"note {number} of the harbour")
            seen.stored.update(stored.ids)
        elif kind == "search":
            await client.recall("the harbour", 5)
        elif kind == "context":
            await client.build_context("the harbour")
        else:
            call = audit(number)
            await client.record_audit(
                call["run_id"],
                call["agent_name"],
                call["method_name"],
                call["prompt"],
                call["raw_output"],
            )

    return ask


def once(client: httpx.AsyncClient, seen: Seen) -> Ask:
    """Return how a caller asks who never tries again."""

    async def ask(kind: str, number: int) -> None:
        bodies: dict[str, tuple[str, dict[str, object]]] = {
            "memory": ("/memory", {"items": [{"content": f"plain note {number}"}]}),
            "search": ("/memory/search", {"query": "the harbour", "top_k": 5}),
            "context": ("/context", {"query": "the harbour"}),
            "audit": ("/audit/record", dict(audit(number))),
        }
        path, body = bodies[kind]
        answer = await client.post(path, json=body)
        answer.raise_for_status()
        if kind == "memory":
            seen.stored.update(answer.json()["ids"])

    return ask


async def asked(ask: Ask, kind: str, number: int, seen: Seen) -> None:
    """Ask once, and count."""
    seen.asked[kind] += 1
    began = time.monotonic()
    try:
        await ask(kind, number)
    except (CortexError, httpx.HTTPError) as error:
        seen.failed[kind] += 1
        seen.reasons[f"{kind}: {type(error).__name__}"] += 1
    seen.slowest = max(seen.slowest, time.monotonic() - began)


def workers(parent: psutil.Process) -> list[psutil.Process]:
    """Return the worker processes of a server."""
    found = []
    for child in parent.children():
        with contextlib.suppress(psutil.Error):
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


async def killing(parent: psutil.Process, until: float) -> int:
    """Kill a worker now and then; return how many were."""
    draw = random.Random(5)
    killed = 0
    while time.monotonic() + KILL_SECONDS < until:
        await asyncio.sleep(KILL_SECONDS)
        if found := workers(parent):
            draw.choice(found).send_signal(signal.SIGKILL)
            killed += 1
    return killed


async def load(url: str, parent: psutil.Process, seconds: float) -> tuple[Seen, Seen]:
    """Ask and kill; return what both callers saw."""
    sdk, plain = Seen(), Seen()
    until = time.monotonic() + seconds
    async with (
        CortexClient(url, timeout=ANSWER_SECONDS_MAX) as client,
        httpx.AsyncClient(base_url=url, timeout=ANSWER_SECONDS_MAX) as http,
        asyncio.TaskGroup() as tasks,
    ):
        callers = ((by_client(client, sdk), sdk), (once(http, plain), plain))
        kills = tasks.create_task(killing(parent, until))
        number, began = 0, time.monotonic()
        while time.monotonic() < until:
            ask, seen = callers[number % 2]
            kind = KINDS[number // 2 % len(KINDS)]
            tasks.create_task(asked(ask, kind, number, seen))
            number += 1
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
    sdk.reasons["workers killed"] = kills.result()
    return sdk, plain


def lost(url: str, stored: set[str]) -> int:
    """Return how many memories that were answered as stored are not there."""
    with httpx.Client(base_url=url, timeout=ANSWER_SECONDS_MAX) as client:
        codes = [client.get(f"/memory/{one}").status_code for one in sorted(stored)]
    return sum(code != httpx.codes.OK for code in codes)


def verified(url: str) -> bool:
    """Return whether the ledger holds together."""
    told = httpx.post(f"{url}/audit/verify", timeout=ANSWER_SECONDS_MAX)
    return told.is_success and told.json()["verdict"] == "intact"


def claims_of(sdk: Seen, plain: Seen) -> list[Claim]:
    """Return what both callers saw, by what is promised."""
    killed = sdk.reasons["workers killed"]
    found = []
    for name, kinds in (
        ("memory", ("memory", "search")),
        ("context", ("context",)),
        ("audit", ("audit",)),
    ):
        requests = sum(sdk.asked[kind] for kind in kinds)
        note = f"{requests} requests, {killed} workers killed; slowest of all"
        found.append(
            Claim(
                f"chaos_{name}_failed_percent",
                sdk.percent(*kinds),
                "%",
                GOAL_PERCENT,
                at_most=True,
                baseline=plain.percent(*kinds),
                baseline_name="the same by a caller that tries once",
                note=f"{note} {sdk.slowest:.2f} s",
            )
        )
    return found


def main() -> bool:
    """Measure a server of its own."""
    parser = argparse.ArgumentParser(prog="benchmarks.chaos")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    seconds = parser.parse_args().seconds
    with serving("--workers", str(WORKERS)) as (url, process):
        sdk, plain = asyncio.run(load(url, process, seconds))
        stored = sdk.stored | plain.stored
        gone = lost(url, stored)
        whole = verified(url)
    claims = [
        *claims_of(sdk, plain),
        Claim(
            "chaos_stored_and_lost", gone, "memories", 0, at_most=True,
            note=f"of {len(stored)} answered as stored",
        ),
        Claim("chaos_ledger_verifies", float(whole), "yes", 1),
    ]  # fmt: skip
    detail = {"client": dict(sdk.reasons), "once": dict(plain.reasons)}
    print(detail)
    return report("chaos", claims, detail)


if __name__ == "__main__":
    sys.exit(not main())
