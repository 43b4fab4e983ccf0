"""``cortex demo`` from a shell: everything it promises, and its manners on a terminal."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

DEMO_SECONDS_MAX = 60.0
"""What the README promises on two cores; a busy CI machine gets no more."""

COMMAND = (sys.executable, "-m", "cortex", "demo")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment() -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
    return {**own, "COLUMNS": "160"}


def test_without_a_terminal_it_does_everything_and_ends(tmp_path: Path) -> None:
    port = free_port()
    began = time.monotonic()
    done = subprocess.run(
        [*COMMAND, "--port", str(port), "--home", str(tmp_path)],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=3 * DEMO_SECONDS_MAX,
        check=False,
    )
    took = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    assert took < DEMO_SECONDS_MAX
    out = done.stdout
    assert "\x1b[" not in out, "no colours where nobody sees them"
    assert f"Server ready on http://127.0.0.1:{port}" in out
    assert re.search(r"1\s?4\d\d turns stored and searchable", out)
    for evidence in ("Mueller", "1202", "boots", "planet Earth first set foot"):
        assert evidence.lower() in out.lower(), evidence
    assert "the answer admits it: low_confidence" in out
    (tokens, budget) = map(int, re.findall(r"(\d+) of (\d+) tokens", out)[0])
    assert 0 < tokens <= budget == 600
    assert re.search(r"[1-9]\d* of \d+ before, 0 after", out)
    assert "0 hits by Michael Collins" in out
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/ready")


@pytest.fixture
def on_a_terminal(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--port", str(free_port())],
        env={**environment(), "TMPDIR": str(tmp_path)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    yield process, ours
    if process.poll() is None:
        process.kill()
    process.wait()
    os.close(ours)


def test_on_a_terminal_the_server_stays_until_ctrl_c(
    on_a_terminal: tuple[subprocess.Popen[bytes], int], tmp_path: Path
) -> None:
    process, terminal = on_a_terminal
    seen = read_until(terminal, b"until Ctrl-C")
    (url,) = re.findall(rb"stays on (http://[\d.:]+)", seen)
    assert httpx.get(f"{url.decode()}/ready").status_code == 200
    process.send_signal(signal.SIGINT)
    read_until(terminal, b"Stopping.")
    assert process.wait(40) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url.decode()}/ready")
    assert list(tmp_path.iterdir()) == [], "the temporary folder is gone"


def read_until(terminal: int, wanted: bytes) -> bytes:
    """Return what the terminal showed, without colours and line breaks."""
    seen = plain = b""
    until = time.monotonic() + 3 * DEMO_SECONDS_MAX
    while wanted not in plain and time.monotonic() < until:
        if not select.select([terminal], [], [], 1.0)[0]:
            continue
        try:
            seen += os.read(terminal, 65536)
        except OSError:
            break
        plain = b" ".join(re.sub(rb"\x1b\[[\d;]*m", b"", seen).split())
    assert wanted in plain, plain[-2000:]
    return plain
