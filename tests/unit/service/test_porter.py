"""Who was refused too often is answered before anything is done for it."""

import pytest

from cortex.foundation.clock import SystemClock
from cortex.security.doors import Credentials, Doors
from cortex.security.intrusion import DENIALS, Reason, Watch
from cortex.security.tokens import Tokens, parse_tokens
from cortex.service.http.middleware.porter import Porter
from cortex.service.http.record import RequestRecord, attach
from cortex.telemetry.metrics import Metrics

GOOD = "good-token-0123456789"


@pytest.fixture
def watch():
    return Watch(SystemClock())


@pytest.fixture
def ask(watch):
    clock = SystemClock()
    doors = Doors(Tokens(parse_tokens(f"ci:{GOOD}:memory"), clock), watch)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    porter = Porter(app, doors, Metrics(brand="x", version="0"))

    async def call(token: str, path: str = "/memory/stats", client=("10.0.0.1", 1)):
        sent = []

        async def send(message):
            sent.append(message)

        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        scope = {"type": "http", "path": path, "client": client, "headers": headers}
        attach(scope, RequestRecord("r", "c"))
        await porter(scope, None, send)
        return sent[0]["status"], dict(sent[0]["headers"])

    return call


@pytest.fixture
def flooded(watch):
    for _ in range(DENIALS.requests + 1):
        watch.denied("10.0.0.1", Reason.NO_TOKEN)


async def test_everyone_passes_while_nothing_is_wrong(ask):
    assert (await ask("junk"))[0] == 200


async def test_junk_from_a_misused_address_is_turned_away(ask, flooded, watch):
    status, headers = await ask("junk")
    assert status == 429
    assert headers[b"retry-after"] == b"1"
    assert (await ask(""))[0] == 429
    assert (await ask("é"))[0] == 429


@pytest.mark.parametrize(
    "words",
    [
        {"token": GOOD},
        {"token": "junk", "client": ("10.0.0.2", 1)},
        {"token": "junk", "client": None},
        {"token": "junk", "path": "/healthz"},
    ],
)
async def test_known_callers_neighbours_and_probes_pass(ask, flooded, words):
    assert (await ask(**words))[0] == 200


def test_the_door_knows_who_waits(watch, flooded):
    doors = Doors(Tokens(parse_tokens(f"ci:{GOOD}:memory"), SystemClock()), watch)
    assert doors.keeps_waiting("10.0.0.1")
    assert not doors.keeps_waiting("10.0.0.2")
    assert doors.turn_away(Credentials(GOOD, "10.0.0.1")) == 0
    assert doors.turn_away(Credentials("junk", "10.0.0.1")) > 0
