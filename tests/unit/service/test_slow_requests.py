"""Clients that never finish, on real sockets."""

import asyncio
import contextlib
import json
import socket
import time

import pytest
import uvicorn

from cortex.service.http.slow_requests import PatientProtocol

HEAD = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"


class Quick(PatientProtocol):
    """The same with a second's patience."""

    head_seconds = 0.6
    body_window_seconds = 0.4
    body_bytes_min = 50
    take_window_seconds = 0.5
    take_bytes_min = 50


class Ends:
    """Counts answers that went on until the client was gone."""

    count = 0

    @classmethod
    async def more_than(cls, before):
        async with asyncio.timeout(60):
            while cls.count <= before:
                await asyncio.sleep(0.01)


async def endless(receive, send):
    """Send until the client is gone, as a stream of events does."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    gone = asyncio.create_task(wait_for_end(receive))
    while not gone.done():
        part = {"type": "http.response.body", "body": b"x" * 65536, "more_body": True}
        await send(part)
        await asyncio.sleep(0)
    Ends.count += 1


async def wait_for_end(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


async def echo(scope, receive, send):
    if scope["path"] == "/endless":
        await endless(receive, send)
        return
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def serving():
    config = uvicorn.Config(
        echo, port=0, http=Quick, lifespan="off", log_config=None, loop="asyncio"
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
        server.should_exit = True


async def slow(port, parts, pause):
    """Send parts with pauses; return what is answered and after how many seconds."""
    start = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
            if reader.at_eof():
                break
    answer = b""
    # Who goes on sending to a closed connection may lose the answer to a reset.
    with contextlib.suppress(ConnectionError):
        answer = await asyncio.wait_for(reader.read(), 10)
    await closed(writer)
    return answer, time.monotonic() - start


async def closed(writer):
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def whole(port, size=3):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n" % size + b"a" * size
    )
    answer = await asyncio.wait_for(reader.read(), 10)
    await closed(writer)
    return answer


def head_by_letters():
    return [HEAD[n : n + 1] for n in range(len(HEAD))]


@pytest.mark.parametrize(
    ("parts", "pause"),
    [
        ([b""], 0.01),  # says nothing at all
        (head_by_letters(), 0.1),  # a letter now and then
        ([HEAD, b"\r\n"] + [b"a"] * 100, 0.1),  # a body that trickles
        ([HEAD + b"\r\n"], 0.01),  # a body that never comes
    ],
)
async def test_who_does_not_get_on_is_sent_away(parts, pause):
    async with serving() as port:
        answer, seconds = await slow(port, parts, pause)
        assert seconds < 8, "not held for as long as it likes"
        if len(parts) > 2 and not answer:
            return
        assert answer.startswith(b"HTTP/1.1 408 ")
        told = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert told["error"]["code"] == "REQUEST_TIMEOUT"


async def test_the_slow_do_not_hold_up_the_others():
    async with serving() as port:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(200):
                tasks.create_task(slow(port, head_by_letters()[:5], 0.1))
            await asyncio.sleep(0.05)
            answers = [await whole(port) for _ in range(20)]
        assert all(answer.endswith(b"\r\n\r\n3") for answer in answers)


async def test_a_slow_but_steady_body_is_read():
    async with serving() as port:
        head = b"POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 600\r\n\r\n"
        answer, _ = await slow(port, [head] + [b"a" * 60] * 10, 0.15)
        assert answer.endswith(b"\r\n\r\n600")


async def test_a_connection_that_is_kept_may_rest_between_requests():
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n0")
            await asyncio.sleep(1.0)
        await closed(writer)


@contextlib.asynccontextmanager
async def reader_of_little(port):
    """A client that has asked for what never ends and reads nothing by itself."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        client.setblocking(False)
        before = Ends.count
        yield client
    await Ends.more_than(before)


async def test_who_takes_nothing_of_an_answer_is_dropped():
    before = Ends.count
    async with serving() as port, reader_of_little(port):
        await Ends.more_than(before)


async def test_who_takes_an_answer_slowly_is_not():
    before = Ends.count
    async with serving() as port, reader_of_little(port) as client:
        loop = asyncio.get_running_loop()
        for _ in range(40):
            await loop.sock_recv(client, 65536)
            await asyncio.sleep(0.05)
        assert Ends.count == before


async def test_connections_beyond_the_bound_hear_so_at_once(monkeypatch):
    monkeypatch.setattr(Quick, "connections_max", 2)
    async with serving() as port:
        open_ones = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = await asyncio.wait_for(reader.read(), 10)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 5\r\n" in answer
        told = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert told["error"]["code"] == "OVERLOADED"
        for each in (writer, *(one for _, one in open_ones)):
            await closed(each)
