"""One real server for all adapters, and a namespace of its own for each test."""

import itertools
import os
import socket
import subprocess
import sys
import time

import httpx
import pytest

START_SECONDS_MAX = 120.0


@pytest.fixture(scope="session")
def server_url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
    log = (folder / "server.log").open("wb")
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "cortex", "serve", "--port", str(port)],
        env={
            **kept,
            "CORTEX_HOME": str(folder / "home"),
            "CORTEX_FAST_TEST": "1",
            "CORTEX_RATE_LIMIT_PER_MINUTE": "1000000",
        },
        cwd=folder, stdout=log, stderr=log,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        _await_ready(process, url, folder / "server.log")
        yield url
    finally:
        process.kill()
        process.wait()
        log.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _await_ready(process, url, log) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"the server did not start:\n{log.read_text()}")


_numbers = itertools.count()


@pytest.fixture
def namespace():
    return f"adapters-{next(_numbers)}"
