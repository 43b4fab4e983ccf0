"""Starting and stopping: exit codes, one-line errors, no request lost."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil


def refused(tmp_path, *flags, **variables) -> subprocess.CompletedProcess:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
    return subprocess.run(
        [sys.executable, "-m", "cortex", "serve", *flags],
        env={**kept, "CORTEX_HOME": str(tmp_path / "home"), **variables},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_taken_port_is_one_line_and_status_1(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = refused(tmp_path, "--port", port)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "in use" in done.stderr


def test_a_wrong_flag_is_a_usage_error(tmp_path):
    assert refused(tmp_path, "--port", "many").returncode == 2


def test_production_refuses_a_weak_set_up(tmp_path):
    done = refused(tmp_path, CORTEX_ENV="production")
    assert done.returncode == 1
    assert "signing key" in done.stderr
    assert "CORTEX_TOKENS" in done.stderr
    key = tmp_path / "key"
    key.write_text("k" * 32)
    key.chmod(0o644)
    done = refused(
        tmp_path,
        CORTEX_ENV="production",
        CORTEX_SIGNING_KEY_FILE=str(key),
        CORTEX_TOKENS="ann:0123456789abcdef0123:memory",
    )
    assert done.returncode == 1
    assert "readable" in done.stderr


def test_an_unknown_setting_is_refused_with_the_nearest_name(tmp_path):
    done = refused(tmp_path, CORTEX_PROT="4949")
    assert done.returncode == 1
    assert "CORTEX_PORT" in done.stderr


def test_tokens_and_scopes_hold(serve):
    token = "0123456789abcdef0123456789abcdef"
    server = serve(CORTEX_TOKENS=f"ann:{token}:memory")
    body = {"items": [{"content": "hello there"}]}
    assert server.client.post("/memory", json=body).status_code == 401
    wrong = {"Authorization": "Bearer nonsense"}
    assert server.client.post("/memory", json=body, headers=wrong).status_code == 401
    right = {"Authorization": f"Bearer {token}"}
    assert server.client.post("/memory", json=body, headers=right).status_code < 300
    denied = server.client.get("/db/list", headers=right)
    assert denied.status_code == 403
    assert token not in server.log.read_text()


def test_readiness_turns_503_at_once_and_the_exit_is_clean(serve):
    server = serve()
    server.process.send_signal(signal.SIGTERM)
    statuses = set()
    try:
        while True:
            statuses.add(server.client.get("/ready").status_code)
    except httpx.TransportError:
        pass
    assert 503 in statuses
    assert server.process.wait(35) == 0


def test_every_accepted_request_is_answered_when_stopped_under_load(serve):
    server = serve()
    stop = threading.Event()
    unanswered: list[str] = []
    answered: list[str] = []

    def client(number: int) -> None:
        with httpx.Client(base_url=server.url, timeout=30) as mine:
            for turn in range(10_000):
                body = {"items": [{"content": f"client {number} says {turn}"}]}
                try:
                    answer = mine.post("/memory", json=body)
                except httpx.ConnectError:
                    return  # not accepted: the server is gone
                except httpx.TransportError as error:
                    unanswered.append(repr(error))
                    return
                if answer.status_code == 503:
                    assert "retry-after" in answer.headers
                    return
                answered.append(answer.json()["items"][0]["id"])
                if stop.is_set():
                    return

    with ThreadPoolExecutor(16) as pool:
        clients = [pool.submit(client, number) for number in range(16)]
        while len(answered) < 100:
            time.sleep(0.01)
        status = server.stop()
        stop.set()
        for one in clients:
            one.result()
    assert status == 0
    assert unanswered == []
    again = serve(home=server.home)
    total = again.client.get("/memory/stats").json()["total"]
    assert total >= len(answered)


def test_a_worker_that_had_not_begun_to_serve_ends_cleanly_too(serve):
    assert serve("--workers", "3").stop() == 0


def test_workers_that_cannot_start_say_why_once_and_end_the_server(tmp_path):
    promises = tmp_path / "wrong.yml"
    promises.write_text("slo:\n  memory: {p95_ms: -3}\n")
    two = ("--port", "0", "--workers", "2")
    set_up = {"CORTEX_SLO_FILE": str(promises), "CORTEX_FAST_TEST": "1"}
    done = refused(tmp_path, *two, **set_up)
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if "cortex: " in line]
    assert len(told) == 1, done.stderr
    assert "slo.memory.p95_ms" in told[0]


def test_workers_end_with_a_supervisor_that_was_killed(serve):
    server = serve("--workers", "2")
    children = psutil.Process(server.process.pid).children(recursive=True)
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    assert len(workers) == 2
    server.stop(signal.SIGKILL)
    _, left = psutil.wait_procs(children, timeout=60)
    assert left == []
    again = serve(home=server.home, port=int(server.url.rpartition(":")[2]))
    assert again.stop() == 0


def test_workers_share_one_port_and_one_store(serve):
    server = serve("--workers", "2")
    for number in range(10):
        with httpx.Client(base_url=server.url) as fresh:
            body = {"items": [{"content": f"worker note {number}"}]}
            memory_id = fresh.post("/memory", json=body).json()["items"][0]["id"]
        with httpx.Client(base_url=server.url) as other:
            assert other.get(f"/memory/{memory_id}").status_code == 200
            query = {"query": f"worker note {number}", "top_k": 100}
            hits = other.post("/memory/search", json=query).json()["hits"]
            assert memory_id in {hit["id"] for hit in hits}
    assert server.stop() == 0
