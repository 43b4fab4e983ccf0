"""Discovery by a real etcd (Debian's package etcd-server); run by ``make test-peers``."""

import base64
import shutil
import socket
import subprocess
import sys
import time

import httpx
import pytest

from cortex_client import etcd
from cortex_client.discovery import locate
from cortex_client.errors import ConfigurationError

PREFIX = "/services/cortex/"
STARTING_SECONDS = 60.0


def coded(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Run one etcd until the test ends; yields its address."""
    monkeypatch.setattr(etcd, "TIMEOUT_SECONDS", 20.0)  # a shared machine may stall
    program = shutil.which("etcd")
    if program is None:
        sys.exit("etcd is missing: apt-get install etcd-server")
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        url, peer = (f"http://127.0.0.1:{s.getsockname()[1]}" for s in (one, two))
    command = [
        program, f"--data-dir={tmp_path / 'data'}",
        f"--listen-client-urls={url}", f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]  # fmt: skip
    with (tmp_path / "etcd.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait(url, process, tmp_path / "etcd.log")
            yield url
        finally:
            process.terminate()
            process.wait(20)


def _wait(url, process, log):
    deadline = time.monotonic() + STARTING_SECONDS
    while True:
        try:
            if httpx.get(f"{url}/health", timeout=5).json()["health"] == "true":
                return
        except (httpx.HTTPError, ValueError):
            assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def tell(url, path, **body):
    return httpx.post(f"{url}/v3/{path}", json=body, timeout=20).raise_for_status()


def put(url, key, value, **more):
    tell(url, "kv/put", key=coded(key), value=coded(value), **more)


def test_instances_come_and_go(cluster):
    environ = {
        "CORTEX_ETCD_PREFIX": PREFIX,
        "ETCDCTL_ENDPOINTS": f"127.0.0.1:9,{cluster}",
    }
    assert locate(None, environ) == "http://127.0.0.1:4949"
    put(cluster, "/services/cortex-old/a", "http://old:1")
    lease = tell(cluster, "lease/grant", TTL="600").json()["ID"]
    put(cluster, f"{PREFIX}a", "10.0.0.1:4949", lease=lease)
    assert locate(None, environ) == "http://10.0.0.1:4949"
    put(cluster, f"{PREFIX}b", '{"Op":0,"Addr":"10.0.0.2:4949","Metadata":null}')
    both = {locate(None, environ) for _ in range(40)}
    assert both == {"http://10.0.0.1:4949", "http://10.0.0.2:4949"}
    tell(cluster, "lease/revoke", ID=lease)
    assert {locate(None, environ) for _ in range(20)} == {"http://10.0.0.2:4949"}
    put(cluster, f"{PREFIX}c", "")
    with pytest.raises(ConfigurationError, match="is no address"):
        locate(None, environ)


def test_its_authentication_is_met(cluster):
    put(cluster, f"{PREFIX}a", "https://cortex.example")
    tell(cluster, "auth/role/add", name="root")
    tell(cluster, "auth/user/add", name="root", password="pass:word")
    tell(cluster, "auth/user/grant", user="root", role="root")
    tell(cluster, "auth/enable")
    environ = {"CORTEX_ETCD_PREFIX": PREFIX, "ETCDCTL_ENDPOINTS": cluster}
    with pytest.raises(ConfigurationError, match="user name is empty"):
        locate(None, environ)
    with pytest.raises(ConfigurationError, match="invalid user ID or password"):
        locate(None, {**environ, "ETCDCTL_USER": "root:wrong"})
    known = {**environ, "ETCDCTL_USER": "root:pass:word"}
    assert locate(None, known) == "https://cortex.example"
