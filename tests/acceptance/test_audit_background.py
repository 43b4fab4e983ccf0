"""What a server does beside requests: it tells of entries and has heads cosigned."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cortex.ledger.checkpoint import open_checkpoint, parse_checkpoint
from cortex.ledger.cosignatures import cosigned_at
from cortex.ledger.keys import read_verifier_keys

WITNESS = "witness.example/w1"
DEAD = "http://127.0.0.1:9"
WAIT_SECONDS_MAX = 20.0
CALL = {
    "run_id": "run-1",
    "agent_name": "planner",
    "method_name": "plan",
    "prompt": "what is next?",
    "raw_output": "{}",
}


def record(server) -> dict:
    answer = server.client.post("/audit/record", json=CALL)
    assert answer.status_code < 300, answer.text
    return answer.json()


def stream(
    server, found: list, types: str, until: int, connected: threading.Event
) -> None:
    current: dict[str, str] = {}
    query = {"types": types}
    with (
        httpx.Client(base_url=server.url, timeout=30) as client,
        client.stream("GET", "/events/stream", params=query) as answer,
    ):
        connected.set()
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                current[name] = value
            elif "data" in current:
                found.append(json.loads(current["data"]))
                current = {}
                if len(found) == until:
                    return


def test_who_listens_hears_of_each_call_and_the_ledger_does_not(serve):
    server = serve(CORTEX_FAST_TEST="1")
    heard: list[dict] = []
    connected = threading.Event()
    listening = threading.Thread(
        target=stream, args=(server, heard, "audit.recorded", 3, connected)
    )
    listening.start()
    assert connected.wait(WAIT_SECONDS_MAX)
    receipts = [record(server) for _ in range(3)]
    listening.join(WAIT_SECONDS_MAX)

    assert not listening.is_alive()
    assert [event["data"]["entry_id"] for event in heard] == [
        receipt["entry_id"] for receipt in receipts
    ]
    assert heard[0]["data"]["entry_hash"] == receipts[0]["entry_hash"]
    assert "what is next?" not in json.dumps(heard)
    # Events that came later have been recorded; those about the ledger never are.
    server.client.post("/memory", json={"items": [{"content": "x"}]})
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < deadline:
        kinds = [
            e["kind"] for e in server.client.get("/audit/entries").json()["entries"]
        ]
        if "memory.stored" in kinds:
            break
        time.sleep(0.1)
    assert "memory.stored" in kinds
    assert "audit.recorded" not in kinds
    assert kinds.count("agent.call") == 3


@pytest.fixture
def witness(serve, tmp_path: Path) -> Iterator[tuple]:
    """A server's home, and a witness process that knows its log."""
    server = serve()
    record(server)
    server.stop()
    key = (server.home / "pins" / "verifier.vkey").read_bytes()
    (tmp_path / "log.vkey").write_bytes(key)
    command = [sys.executable, "-m", "cortex", "witness", WITNESS]
    command += ["--log", "log.vkey", "--state", str(tmp_path / "witness")]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
    shown = subprocess.run(
        [*command, "--show-key"], cwd=tmp_path, env=kept, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    running = subprocess.Popen(
        [*command, "--at", "127.0.0.1:0"], cwd=tmp_path, env=kept,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert running.stdout is not None
    yield server.home, running.stdout.readline().strip(), shown.stdout.strip()
    running.terminate()
    assert running.wait(20) == 0
    running.stdout.close()


def test_heads_are_cosigned_whoever_is_dead(serve, witness):
    home, url, key = witness
    witnesses = {url: key, DEAD: key}
    server = serve(home=home, CORTEX_LEDGER_WITNESSES=json.dumps(witnesses))
    log_keys = read_verifier_keys((home / "pins" / "verifier.vkey").read_bytes())
    (witness_key,) = read_verifier_keys(key.encode() + b"\n")

    for _ in range(2):
        receipt = record(server)
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        size = 0
        while size <= receipt["index"] and time.monotonic() < deadline:
            answer = server.client.get("/audit/checkpoint", params={"cosigned": True})
            if answer.status_code == 200:
                size = parse_checkpoint(answer.content).size
            time.sleep(0.1)
        assert size > receipt["index"]
        signed = open_checkpoint(answer.content, log_keys[0].name, log_keys)
        times = [
            cosigned_at(signed, line, witness_key) for line in signed.note.signatures
        ]
        assert [time for time in times if time is not None]
    # It is also what everyone is served who asks for the newest head.
    plain = server.client.get("/audit/checkpoint")
    assert WITNESS in plain.text
    check = server.client.get("/healthz").json()["checks"]["audit_ledger"]
    assert check["status"] == "ok"
    assert (check["witnesses"], check["witnesses_failing"]) == (2, 1)
