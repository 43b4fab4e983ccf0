"""Connections that come together are taken together."""

import asyncio
import socket

import uvloop

from cortex.service.http.server import LISTENERS, listen, listeners

CLIENTS = 160


class Counting(asyncio.Protocol):
    """Counts the connections that were taken."""

    def __init__(self, taken: list[object]) -> None:
        self.taken = taken

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.taken.append(transport)


async def turns_for(clients: int) -> int:
    """Return the turns of the loop in which so many waiting ones were taken."""
    bound = listen("127.0.0.1", 0)
    taken: list[object] = []
    loop = asyncio.get_running_loop()
    handles = listeners(bound)
    servers = [
        await loop.create_server(lambda: Counting(taken), sock=one, backlog=CLIENTS)
        for one in handles
    ]
    address = bound.getsockname()
    waiting = [socket.create_connection(address) for _ in range(clients)]
    turns = 0
    while len(taken) < clients:
        await asyncio.sleep(0)
        turns += 1
    for client in waiting:
        client.close()
    for server in servers:
        server.close()
    for handle in handles:
        handle.close()
    return turns


def test_the_loop_takes_several_connections_a_turn():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        turns = runner.run(turns_for(CLIENTS))
    assert turns < 2 * CLIENTS / LISTENERS + LISTENERS
