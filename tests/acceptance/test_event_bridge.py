"""The bridge against a real server that is killed and started again under it."""

import asyncio
import contextlib
import itertools
import os

import httpx

from cortex_client.bridge import BridgeConfig, CortexEventBridge

HEAVY = bool(os.environ.get("CORTEX_HEAVY"))
WRITTEN = 10_800 if HEAVY else 1_080
TOGETHER = 10
WRITERS = 4
KILLS = 4 if HEAVY else 1


class Bus:
    """Keeps the ids of events and of the memories they tell of."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.memories: list[str] = []

    async def emit(
        self, event_type, payload, source, correlation_id, wait_for_handlers
    ):
        assert (event_type, source) == ("cortex.memory.stored", "cortex")
        self.events.append(payload["event_id"])
        self.memories += payload["ids"]


class Address:
    """A fixed address in front of whichever server lives; cuts all when it dies."""

    def __init__(self) -> None:
        self.port_behind: int | None = None
        self.url = ""

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        with contextlib.suppress(OSError), contextlib.closing(writer):
            if self.port_behind is None:
                return
            there, back = await asyncio.open_connection("127.0.0.1", self.port_behind)
            with contextlib.closing(back):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_copy(reader, back))
                    tasks.create_task(_copy(there, writer))


async def _copy(source, target):
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    with contextlib.suppress(OSError, RuntimeError):
        target.close()


async def write(address, numbers, stored):
    """Write until all is stored; what was not answered is sent again by its keys.

    Each item has a namespace of its own among those sent together, so that each is an
    event of its own.
    """
    async with httpx.AsyncClient(timeout=30) as client:
        while batch := list(itertools.islice(numbers, TOGETHER)):
            items = [
                {
                    "content": f"note {n}",
                    "idempotency_key": f"n{n}",
                    "namespace": f"place-{n % TOGETHER}",
                }
                for n in batch
            ]
            while batch[0] not in stored:
                try:
                    answer = await client.post(
                        f"{address.url}/memory", json={"items": items}
                    )
                    if answer.status_code == 200:
                        ids = answer.json()["ids"]
                        stored.update(zip(batch, ids, strict=True))
                except httpx.TransportError:
                    await asyncio.sleep(0.05)


async def test_no_event_is_missed_and_none_comes_twice(serve):
    settings = {"CORTEX_FAST_TEST": "1", "CORTEX_RATE_LIMIT_PER_MINUTE": "1000000"}
    server = await asyncio.to_thread(serve, **settings)
    bus, stored = Bus(), {}
    numbers = iter(range(WRITTEN))
    waited = []

    async def brief(seconds: float) -> None:
        waited.append(seconds)
        await asyncio.sleep(0.05)

    config = BridgeConfig(types=("memory.stored",), sleep=brief)
    async with Address() as address:
        address.port_behind = int(server.url.rsplit(":", 1)[1])
        bridge = CortexEventBridge(address.url, bus, None, config)
        async with bridge, asyncio.TaskGroup() as tasks:
            await bridge.connected()
            for _ in range(WRITERS):
                tasks.create_task(write(address, numbers, stored))
            for kill in range(1, KILLS + 1):
                reached = kill * WRITTEN // (KILLS + 1)
                await _until(lambda: len(bus.events) >= reached)  # noqa: B023
                address.port_behind = None
                await asyncio.to_thread(server.stop, 9)
                server = await asyncio.to_thread(serve, home=server.home, **settings)
                address.port_behind = int(server.url.rsplit(":", 1)[1])
            await _until(lambda: len(stored) == WRITTEN)
            await _until(lambda: set(stored.values()) <= set(bus.memories))
            assert bridge.is_connected
            stats = bridge.stats
    assert len(bus.events) == len(set(bus.events)) == stats.carried >= WRITTEN
    assert sorted(bus.memories) == sorted(stored.values())
    assert stats.connections >= KILLS + 1
    assert stats.failed == 0
    assert set(itertools.islice(waited, 1)) == {1.0}


async def _until(holds) -> None:
    async with asyncio.timeout(90):
        while not holds():
            await asyncio.sleep(0.02)
