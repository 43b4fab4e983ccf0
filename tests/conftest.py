"""Servers for tests: Cortex in processes with homes of their own, and a Sentry."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings

# A shared machine may stall for longer than any deadline: time is not the property.
settings.register_profile(
    "shared", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared")

START_SECONDS_MAX = 120.0


@dataclass
class RunningServer:
    """A ``cortex serve`` process and a client for it."""

    process: subprocess.Popen
    url: str
    home: Path
    log: Path
    verify: ssl.SSLContext | bool = True
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, timeout=60, verify=self.verify)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 40) -> int:
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout)

    def close(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def files_holding(self, text: str) -> list[str]:
        """Return the files below home that hold the text, as UTF-8 bytes."""
        needle = text.encode()
        files = (path for path in self.home.rglob("*") if path.is_file())
        return [str(path) for path in files if needle in path.read_bytes()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(**variables: str) -> dict[str, str]:
    """Return the environment without any setting of the person who tests."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
    return {**kept, **variables}


@pytest.fixture
def port() -> int:
    """Return a free port, for servers that are told of their own address."""
    return free_port()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Start servers; all are stopped at the end."""
    started: list[RunningServer] = []

    def start(
        *flags: str,
        home: Path | None = None,
        launcher: Sequence[str] = (),
        verify: ssl.SSLContext | None = None,
        port: int | None = None,
        **variables: str,
    ) -> RunningServer:
        home = home or tmp_path / "home"
        port = port or free_port()
        log = tmp_path / f"server-{len(started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *launcher, sys.executable, "-m", "cortex", "serve",
                    "--port", str(port), *flags,
                ],
                env=environment(CORTEX_HOME=str(home), **variables),
                cwd=tmp_path,
                stdout=output,
                stderr=output,
            )  # fmt: skip
        scheme = "http" if verify is None else "https"
        url = f"{scheme}://127.0.0.1:{port}"
        server = RunningServer(process, url, home, log, verify or True)
        started.append(server)
        _await_ready(server)
        return server

    yield start
    for server in started:
        server.close()


def _await_ready(server: RunningServer) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            if server.client.get("/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"the server did not start:\n{server.log.read_text()}")


SENTRY_KEY = "0123456789abcdef0123456789abcdef"


@dataclass
class SentryServer:
    """Takes envelopes; answers by script, then 200; silent, it only takes them.

    Attributes:
        asked: connections so far.
        heads: request heads of what was taken, in small letters.
        bodies: what was taken.
        answers: status lines with further headers, one a request.
    """

    port: int = 0
    asked: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: deque[str] = field(default_factory=deque)
    silent: bool = False
    connections: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def dsn(self) -> str:
        return f"http://{SENTRY_KEY}@127.0.0.1:{self.port}/base/42"

    @property
    def taken(self) -> list:
        """Return the envelopes as Sentry's own package reads them."""
        # Here, for few tests need it and it takes a while to import.
        from sentry_sdk.envelope import Envelope

        return [Envelope.deserialize(body) for body in self.bodies]

    @property
    def events(self) -> list[dict]:
        return [one.get_event() for one in self.taken]

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections.append(asyncio.current_task())
        try:
            await self.answer(reader, writer)
        finally:
            writer.close()

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.asked += 1
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split()[0])
        body = await reader.readexactly(length)
        self.heads.append(head)
        self.bodies.append(body)
        if self.silent:
            await reader.read()
            return
        told = self.answers.popleft() if self.answers else "200 OK"
        writer.write(f"HTTP/1.1 {told}\r\ncontent-length: 0\r\n\r\n".encode())


@pytest.fixture
async def sentry() -> AsyncIterator[SentryServer]:
    """Return a Sentry server on a free port."""
    taking = SentryServer()
    listening = await asyncio.start_server(taking.serve, "127.0.0.1", 0)
    taking.port = listening.sockets[0].getsockname()[1]
    yield taking
    listening.close()
    async with asyncio.timeout(60):
        await asyncio.gather(*taking.connections)
