"""What a thousand idle followers of events cost: ``python -m benchmarks.streams``.

A real server, and a thousand connections to ``/events/stream`` that say nothing. Its
memory is compared with what it was after a first few streams; then one memory is
stored, and every stream has to carry the event.
"""

import asyncio
import resource
import sys
import time

import httpx
import psutil

from benchmarks.claims import Claim, report
from benchmarks.load import serving

CLIENTS = 1_000
WARMING = 10
OPENED_AT_ONCE = 50
IDLE_SECONDS = 20.0
EVENT_SECONDS_MAX = 60.0
FILES = 4 * CLIENTS
MEGABYTES_GOAL = 200.0
HEARD = b"event: memory.stored"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def allow_files() -> None:
    """Let this process, and the server it starts, open enough connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


async def opened(url: httpx.URL, number: int) -> Stream:
    """Open one stream, as a client of its own; return it after its first line."""
    reader, writer = await asyncio.open_connection(url.host, url.port)
    client = f"10.1.{number >> 8}.{number & 255}"
    writer.write(
        f"GET /events/stream HTTP/1.1\r\nHost: {url.host}\r\n"
        f"X-Forwarded-For: {client}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode(errors="replace"))
    return reader, writer


async def several(url: httpx.URL, numbers: range) -> list[Stream]:
    """Open many streams, some at a time."""
    streams: list[Stream] = []
    for start in range(numbers.start, numbers.stop, OPENED_AT_ONCE):
        some = range(start, min(start + OPENED_AT_ONCE, numbers.stop))
        streams += await asyncio.gather(*(opened(url, number) for number in some))
    return streams


async def heard(stream: Stream) -> float:
    """Return when the stream carried the event, on the monotonic clock."""
    while HEARD not in await stream[0].readline():
        if stream[0].at_eof():
            raise RuntimeError("a stream ended")
    return time.monotonic()


async def closed(streams: list[Stream]) -> None:
    """End streams."""
    for _, writer in streams:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in streams))


def store(url: httpx.URL, text: str) -> None:
    """Make an event."""
    body = {"items": [{"content": text}]}
    httpx.post(url.join("/memory"), json=body, timeout=30).raise_for_status()


async def measured(url: httpx.URL, process: psutil.Process) -> list[Claim]:
    """Open the streams, wait, make an event, and tell."""
    warming = await several(url, range(WARMING))
    store(url, "a first event")
    await asyncio.gather(*map(heard, warming))
    await closed(warming)
    before = process.memory_info().rss
    streams = await several(url, range(WARMING, WARMING + CLIENTS))
    cpu = sum(process.cpu_times()[:2])
    await asyncio.sleep(IDLE_SECONDS)
    idle = (sum(process.cpu_times()[:2]) - cpu) / IDLE_SECONDS
    grown = (process.memory_info().rss - before) / 1e6
    hearing = [asyncio.create_task(heard(stream)) for stream in streams]
    began = time.monotonic()
    await asyncio.to_thread(store, url, "an event for all")
    async with asyncio.timeout(EVENT_SECONDS_MAX):
        times = await asyncio.gather(*hearing)
    after = (process.memory_info().rss - before) / 1e6
    await closed(streams)
    each = f"{max(grown, after) * 1e3 / CLIENTS:.0f} kB each; idle they take"
    return [
        Claim(
            "sse_1000_idle_clients_mb",
            max(grown, after),
            "MB",
            MEGABYTES_GOAL,
            at_most=True,
            note=f"{each} {100 * idle:.1f} % of a core",
        ),
        Claim(
            "sse_clients_that_got_an_event",
            len(times),
            "clients",
            CLIENTS,
            note=f"the last one after {max(times) - began:.2f} s",
        ),
    ]


def main() -> bool:
    """Measure a server of its own."""
    allow_files()
    with serving() as (url, process):
        claims = asyncio.run(measured(httpx.URL(url), process))
    return report("streams", claims)


if __name__ == "__main__":
    sys.exit(not main())
