"""Behind our own proxy the client is the client; to others nobody is believed."""

import json

import httpx

from cortex.service.http.app import create_app
from cortex.service.http.forwarded import Proxies
from cortex.service.http.options import HttpOptions

PROXY = "10.0.0.7"
GOOD = {"Authorization": "Bearer admin-token-0123456789"}


def client(served, peer=PROXY, header="x-forwarded-for"):
    proxies = Proxies.of(["10.0.0.0/8"], header)
    options = HttpOptions(brand="b", version="0", proxies=proxies)
    app = create_app(served.edge, options)
    transport = httpx.ASGITransport(app, client=(peer, 1), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://cortex.test")


def seen(served):
    lines = [json.loads(line) for line in served.log.getvalue().splitlines()]
    return [
        line["client"]
        for line in lines
        if line.get("event", line.get("message")) == "request" or "route" in line
    ]


async def knock(http, times, address, **more):
    headers = {"Authorization": "Bearer junk", "X-Forwarded-For": address, **more}
    answers = [await http.get("/memory", headers=headers) for _ in range(times)]
    return answers[-1].status_code


async def test_the_log_and_the_watch_see_the_client_and_not_the_proxy(served):
    async with client(served) as http:
        assert await knock(http, 40, "203.0.113.5") == 429
        # Its neighbours behind the same proxy are heard; so is it with a good token.
        assert await knock(http, 1, "203.0.113.6") == 401
        good = await http.get(
            "/memory", headers={**GOOD, "X-Forwarded-For": "203.0.113.5"}
        )
        assert good.status_code == 200
    assert {"203.0.113.5", "203.0.113.6"} == set(seen(served))


async def test_changing_the_far_end_of_the_header_does_not_help(served):
    async with client(served) as http:
        last = [await knock(http, 1, f"6.6.6.{n}, 203.0.113.5") for n in range(40)][-1]
        assert last == 429


async def test_a_stranger_cannot_speak_for_others(served):
    async with client(served, peer="198.51.100.9") as http:
        last = [await knock(http, 1, f"6.6.6.{n}") for n in range(40)][-1]
        assert last == 429, "counted as one client, whatever it says"
        # And it could not lock out whom it named.
    async with client(served) as http:
        assert await knock(http, 1, "6.6.6.1") == 401
    assert "198.51.100.9" in seen(served)


async def test_only_the_header_our_proxy_writes_is_read(served):
    async with client(served, header="forwarded") as http:
        spoofed = {"Forwarded": "for=203.0.113.5"}
        last = [await knock(http, 1, f"6.6.6.{n}", **spoofed) for n in range(40)][-1]
        assert last == 429
    assert set(seen(served)) == {"203.0.113.5"}
