"""A server of the demo's own, as a child process."""

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cortex.foundation.errors import Unavailable
from cortex_client import CortexClientSync
from cortex_client.discovery import process_environment
from cortex_client.errors import ConnectionError as NoAnswer

LOG_FILE = "demo-server.log"
START_TRIES_MAX = 600
"""Looks at the starting server, 50 ms apart: half a minute."""

LOOK_SECONDS = 0.05
STOP_SECONDS_MAX = 35.0
"""A little more than the server itself takes to drain."""

_KEPT = frozenset({"CORTEX_FAST_TEST", "CORTEX_PY_FAST_TEST"})


def is_free(port: int) -> bool:
    """Return whether ``port`` can be listened on here."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(home: Path, port: int) -> Iterator[CortexClientSync]:
    """Run a server on ``home`` and give a client for it; stop it at the end.

    The visitor's own settings do not reach it: the demo is the same everywhere.

    Raises:
        Unavailable: it did not get ready.
    """
    environment = {
        name: value
        for name, value in process_environment().items()
        if not name.startswith("CORTEX_") or name in _KEPT
    }
    log = home / LOG_FILE
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            [sys.executable, "-m", "cortex", "serve", "--port", str(port)],
            env={**environment, "CORTEX_HOME": str(home)},
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with CortexClientSync(f"http://127.0.0.1:{port}", environ={}) as client:
            _wait_until_ready(process, client, log)
            yield client
    finally:
        _stop(process)


def _wait_until_ready(
    process: subprocess.Popen[bytes], client: CortexClientSync, log: Path
) -> None:
    with CortexClientSync(client.base_url, environ={}, max_retries=0) as probe:
        for _ in range(START_TRIES_MAX):
            if process.poll() is not None:
                break
            with contextlib.suppress(NoAnswer):
                if probe.ready().ready:
                    return
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_SECONDS)
    tail = log.read_text(errors="replace").strip().splitlines()[-1:]
    message = f"the demo's server did not start: {''.join(tail) or 'no reason given'}"
    raise Unavailable(message, hint="`cortex doctor` looks for the cause.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
