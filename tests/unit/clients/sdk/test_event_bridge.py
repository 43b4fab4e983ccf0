"""When the bridge reconnects, what it carries, and what ends it."""

import asyncio
import json

import pytest

from cortex_client import AuthError
from cortex_client.bridge import BridgeConfig, CortexEventBridge

STREAM = {"Content-Type": "text/event-stream"}


class Bus:
    """Keeps what it was given; raises where it is told to."""

    def __init__(self) -> None:
        self.given: list[tuple] = []
        self.refuses: set[str] = set()

    def emit(self, event_type, payload, source, correlation_id, wait_for_handlers):
        if payload["event_id"] in self.refuses:
            raise RuntimeError("no handler can do this")
        self.given.append(
            (event_type, payload, source, correlation_id, wait_for_handlers)
        )

    @property
    def ids(self) -> list[str]:
        return [payload["event_id"] for _, payload, *_ in self.given]


class AsyncBus(Bus):
    async def emit(self, *given):
        await asyncio.sleep(0)
        super().emit(*given)


class Waits:
    """A clock that does not wait; the test is told how long it would have."""

    def __init__(self, most: int) -> None:
        self.seconds: list[float] = []
        self.over = asyncio.Event()
        self._most = most

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) >= self._most:
            self.over.set()
            await asyncio.Event().wait()


def frame(number: int, kind: str = "memory.stored", at: str = "2999-05-01") -> str:
    envelope = {
        "id": f"e{number}",
        "type": kind,
        "time": f"{at}T10:00:01Z",
        "correlationid": "c1",
        "data": {"ids": [f"m{number}"]},
    }
    return f"id: e{number}\nevent: {kind}\ndata: {json.dumps(envelope)}\n\n"


def stream(*frames: str) -> bytes:
    return ("retry: 1000\n\n: heartbeat\n\n" + "".join(frames)).encode()


@pytest.fixture
def script(server):
    """The scripted server with a way to say a stream."""
    kinds = type(server.usual(None))

    def say(*frames: str, status: int = 200, headers=None, body=None):
        return kinds(
            status, stream(*frames) if body is None else body, headers or STREAM
        )

    server.say = say
    server.gone = lambda: kinds(drop=True)
    return server


async def carried(script, bus, waits, **config) -> CortexEventBridge:
    bridge = CortexEventBridge(
        script.url, bus, "a-token", BridgeConfig(sleep=waits, **config)
    )
    await bridge.start()
    async with asyncio.timeout(20):
        await waits.over.wait()
    return bridge


@pytest.mark.parametrize("kind", [Bus, AsyncBus])
async def test_an_event_arrives_as_the_bus_expects_it(script, kind):
    script.then(script.say(frame(1), frame(2, "state.updated")))
    bus = kind()
    bridge = await carried(script, bus, Waits(1), wait_for_handlers=True)
    assert bus.given == [
        (
            "cortex.memory.stored",
            {
                "ids": ["m1"],
                "event_id": "e1",
                "event_time": "2999-05-01T10:00:01Z",
            },
            "cortex",
            "c1",
            True,
        ),
        (
            "cortex.state.updated",
            {
                "ids": ["m2"],
                "event_id": "e2",
                "event_time": "2999-05-01T10:00:01Z",
            },
            "cortex",
            "c1",
            True,
        ),
    ]
    assert script.seen[0].headers["authorization"] == "Bearer a-token"
    assert (bridge.stats.carried, bridge.stats.last_event_id) == (2, "e2")
    await bridge.stop()


async def test_waits_double_from_one_second_to_sixty(script):
    waits = Waits(9)
    script.usual = lambda _: script.gone()
    bridge = await carried(script, Bus(), waits)
    assert waits.seconds == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert bridge.is_running
    assert not bridge.is_connected
    assert "cannot reach" in bridge.stats.last_error
    await bridge.stop()
    assert not bridge.is_running


async def test_an_open_stream_makes_the_next_wait_short_again(script):
    waits = Waits(6)
    script.then(script.gone(), script.gone(), script.say(frame(1)), script.gone())
    script.usual = lambda _: script.gone()
    bridge = await carried(script, Bus(), waits)
    assert waits.seconds == [1, 2, 1, 2, 4, 8]
    assert bridge.stats.connections == 1
    await bridge.stop()


async def test_a_server_that_says_when_is_taken_at_its_word(script):
    waits = Waits(2)
    script.usual = lambda _: script.say(
        status=503, body={"error": {"code": "DRAINING"}}, headers={"Retry-After": "7"}
    )
    bridge = await carried(script, Bus(), waits)
    assert waits.seconds == [7, 7]
    await bridge.stop()


async def test_it_resumes_behind_what_the_bus_took(script):
    script.then(
        script.say(frame(1), frame(2)),
        script.say(frame(2), frame(3)),
        script.say(frame(4)),
    )
    script.usual = lambda _: script.gone()
    bus = Bus()
    bridge = await carried(script, bus, Waits(3), types=("memory.stored",))
    asked = [seen.headers.get("last-event-id") for seen in script.seen]
    assert asked == [None, "e2", "e3"]
    assert script.seen[0].query == {"types": ["memory.stored"]}
    assert bus.ids == ["e1", "e2", "e3", "e4"]
    assert (bridge.stats.carried, bridge.stats.repeated) == (4, 1)
    await bridge.stop()


async def test_before_the_first_event_nothing_is_missed_either(script):
    early = [frame(n, at="2020-01-01") for n in (1, 2)]
    script.then(script.say(), script.gone(), script.say(*early, frame(3), frame(4)))
    script.usual = lambda _: script.gone()
    bus = Bus()
    bridge = await carried(script, bus, Waits(3))
    asked = [seen.headers.get("last-event-id") for seen in script.seen]
    assert asked == [None, "0", "0"]
    assert bus.ids == ["e3", "e4"]
    await bridge.stop()


async def test_another_process_goes_on_where_one_stopped(script):
    script.then(script.say(frame(8)))
    bus = Bus()
    bridge = await carried(script, bus, Waits(1), last_event_id="e7")
    assert script.seen[0].headers["last-event-id"] == "e7"
    assert bridge.stats.last_event_id == "e8"
    await bridge.stop()


async def test_a_handler_that_raises_stops_nothing(script):
    script.then(script.say(frame(1), frame(2), frame(3)))
    bus = Bus()
    bus.refuses = {"e2"}
    bridge = await carried(script, bus, Waits(1))
    assert bus.ids == ["e1", "e3"]
    assert (bridge.stats.carried, bridge.stats.failed) == (2, 1)
    await bridge.stop()


async def test_what_the_bus_raised_is_told(script):
    script.then(script.say(frame(2)))
    script.usual = lambda _: script.gone()
    bus = Bus()
    bus.refuses = {"e2"}
    told = []

    class Telling(Waits):
        async def __call__(self, seconds):
            told.append(bridge.stats)
            await super().__call__(seconds)

    waits = Telling(1)
    bridge = CortexEventBridge(script.url, bus, None, BridgeConfig(sleep=waits))
    await bridge.start()
    async with asyncio.timeout(20):
        await waits.over.wait()
    assert told[0].failed == 1
    await bridge.stop()


@pytest.mark.parametrize("status", [401, 403, 404, 422])
async def test_what_will_not_heal_ends_it_and_is_raised(script, status):
    script.then(
        script.say(status=status, body={"error": {"code": "X", "message": "no"}})
    )
    waits = Waits(1)
    bridge = CortexEventBridge(script.url, Bus(), "bad", BridgeConfig(sleep=waits))
    await bridge.start()
    async with asyncio.timeout(20):
        while bridge.is_running:
            await asyncio.sleep(0.01)
    assert bridge.stats.last_error == "no"
    assert waits.seconds == []
    with pytest.raises(AuthError if status < 404 else Exception, match="no"):
        await bridge.stop()
    assert len(script.seen) == 1


async def test_starting_and_stopping_twice_is_starting_and_stopping(script):
    waits = Waits(1)
    script.usual = lambda _: script.gone()
    bridge = CortexEventBridge(script.url, Bus(), None, BridgeConfig(sleep=waits))
    assert not bridge.is_running
    await bridge.stop()
    async with bridge:
        await bridge.start()
        assert bridge.is_running
    assert not bridge.is_running
    await bridge.stop()
