"""More come than can be served: a burst waits, a standing crowd is told to come back."""

import asyncio
import os
from collections import Counter

import httpx

HEAVY = os.environ.get("CORTEX_HEAVY") == "1"
CLIENTS = 100
SEARCHES_EACH = 5 if HEAVY else 1
FLOOD = 600 if HEAVY else 200
UNLIMITED = {"CORTEX_RATE_LIMIT_PER_MINUTE": "1000000"}


async def asked_by_all(url: str, clients: int, each: int) -> Counter[int]:
    """Write and search with so many clients at once; return the statuses."""
    statuses: Counter[int] = Counter()
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as http:

        async def one(number: int) -> None:
            for turn in range(each):
                text = f"the ferry {number} leaves at {turn}"
                body = {"items": [{"content": text}]}
                statuses[(await http.post("/memory", json=body)).status_code] += 1
                found = await http.post("/memory/search", json={"query": text})
                statuses[found.status_code] += 1

        await asyncio.gather(*(one(number) for number in range(clients)))
    return statuses


async def flooded(url: str) -> tuple[Counter[int], set[str], list[int]]:
    """Send all at once; return statuses, waits told, and what probes answered."""
    statuses: Counter[int] = Counter()
    waits: set[str] = set()
    limits = httpx.Limits(max_connections=FLOOD)
    async with (
        httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as http,
        httpx.AsyncClient(base_url=url, timeout=120) as operator,
    ):

        async def one(number: int) -> None:
            query = {"query": f"what leaves at {number}"}
            answer = await http.post("/memory/search", json=query)
            statuses[answer.status_code] += 1
            if answer.status_code == 503:
                waits.add(answer.headers["Retry-After"])

        async with asyncio.TaskGroup() as tasks:
            for number in range(FLOOD):
                tasks.create_task(one(number))
            probes = [(await operator.get("/health/live")).status_code]
            probes.append((await operator.get("/metrics")).status_code)
    return statuses, waits, probes


async def test_a_burst_is_served_and_a_flood_is_answered(serve):
    server = await asyncio.to_thread(serve, **UNLIMITED)
    burst = await asked_by_all(server.url, CLIENTS, SEARCHES_EACH)
    assert burst == {200: 2 * CLIENTS * SEARCHES_EACH}

    statuses, waits, probes = await flooded(server.url)
    assert statuses.keys() <= {200, 503}
    assert statuses.total() == FLOOD, "everybody is answered"
    assert statuses[200] >= CLIENTS
    assert waits <= {"1", "2", "3"}
    assert bool(waits) == bool(statuses[503]), "whoever is refused is told how long"
    assert not HEAVY or statuses[503], "so many are more than a burst"
    assert probes == [200, 200]

    after = await asyncio.to_thread(
        server.client.post, "/memory/search", json={"query": "what leaves at 7"}
    )
    assert after.status_code == 200
    shown = (await asyncio.to_thread(server.client.get, "/metrics")).text
    assert "cortex_requests_waiting" in shown
