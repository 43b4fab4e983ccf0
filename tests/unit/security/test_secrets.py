"""Secrets from every place, and that they never show."""

import asyncio
import copy
import http.server
import json
import logging
import pickle
import threading
import traceback
import urllib.parse
from pathlib import Path

import httpx
import pytest

from cortex.foundation.errors import CortexError, ValidationError
from cortex.foundation.retry import RetryPolicy
from cortex.security.errors import SecretNotFound, SecretUnavailable
from cortex.security.secrets import (
    SECRET_BYTES_MAX,
    DirectorySource,
    EnvironmentSource,
    FileSource,
    Secret,
    Secrets,
    is_reference,
    parse_reference,
)
from cortex.security.vault import (
    VAULT_FRESH_SECONDS,
    VaultAppRole,
    VaultKubernetes,
    VaultOptions,
    VaultSource,
    VaultToken,
)

CANARY = "canary-7f3a9c-do-not-show"
TOKEN = "hvs.canary-token-do-not-show"
PATIENCE = RetryPolicy(
    attempts=3, wait_initial_seconds=0.001, wait_max_seconds=0.01, jitter_seconds=0.0
)


class LocalVault:
    """A faithful local stand-in for Vault's KV version 2 engine and two logins.

    It is not Vault: no Vault binary could be had for the tests. It answers as Vault's
    HTTP API documentation says: paths, headers, status codes, the shape of bodies,
    404 with metadata for a deleted version, 403 for a bad token, 503 when sealed.
    """

    def __init__(self) -> None:
        self.versions: dict[str, list[dict[str, object] | None]] = {}
        self.tokens = {TOKEN}
        self.sealed_answers = 0
        self.namespace = ""
        self.requests: list[tuple[str, str]] = []
        self.raw: bytes | None = None
        vault = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(*vault.get(self.path, self.headers))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(*vault.post(self.path, body))

            def _answer(self, status: int, tree: dict[str, object]) -> None:
                body = vault.raw if vault.raw is not None else json.dumps(tree).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self.thread.start()

    def get(self, path: str, headers) -> tuple[int, dict[str, object]]:
        self.requests.append(("GET", path))
        if self.sealed_answers:
            self.sealed_answers -= 1
            return 503, {"errors": ["Vault is sealed"]}
        if "X-Vault-Request" not in headers:
            return 400, {"errors": ["missing request header"]}
        known = headers.get("X-Vault-Token") in self.tokens
        if not known or headers.get("X-Vault-Namespace", "") != self.namespace:
            return 403, {"errors": ["permission denied", CANARY]}
        return self.read(path)

    def read(self, path: str) -> tuple[int, dict[str, object]]:
        parts = urllib.parse.urlsplit(path)
        found = self.versions.get(parts.path.removeprefix("/v1/"))
        if found is None:
            return 404, {"errors": []}
        query = urllib.parse.parse_qs(parts.query)
        number = int(query.get("version", [len(found)])[0])
        if number > len(found):
            return 404, {"errors": []}
        fields = found[number - 1]
        metadata = {
            "created_time": "2026-11-21T08:00:00Z",
            "deletion_time": "" if fields is not None else "2026-11-21T09:00:00Z",
            "destroyed": False,
            "version": number,
        }
        status = 404 if fields is None else 200
        return status, {"data": {"data": fields, "metadata": metadata}}

    def post(self, path: str, body) -> tuple[int, dict[str, object]]:
        self.requests.append(("POST", path))
        good = {
            "/v1/auth/approle/login": {"role_id": "cortex", "secret_id": CANARY},
            "/v1/auth/kubernetes/login": {"role": "cortex", "jwt": CANARY},
        }
        if path not in good:
            return 404, {"errors": []}
        if body != good[path]:
            return 400, {"errors": [f"invalid credentials {body}"]}
        token = f"hvs.{len(self.requests)}"
        self.tokens.add(token)
        return 200, {"auth": {"client_token": token, "lease_duration": 60}}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def vault():
    vault = LocalVault()
    vault.versions["secret/data/cortex"] = [
        {"signing_key": "old-" + CANARY},
        {"signing_key": CANARY, "numbers": [1, 2]},
    ]
    yield vault
    vault.close()


@pytest.fixture
async def http_client():
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
def source(vault, http_client, clock):
    def make(login=None, **more) -> VaultSource:
        login = login or VaultToken(Secret(TOKEN))
        options = VaultOptions(more.pop("address", vault.url), login, retry=PATIENCE)
        return VaultSource(options, client=http_client, clock=clock)

    return make


async def read(source: VaultSource, text: str = "vault:secret/cortex#signing_key"):
    return (await Secrets({"vault": source}).resolve(text)).reveal()


async def test_every_place(tmp_path, vault, source):
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text("from-file\n")
    mounted = tmp_path / "mounted"
    (mounted / "..2026").mkdir(parents=True)
    (mounted / "..2026" / "name").write_text("from-folder\r\n")
    (mounted / "..data").symlink_to("..2026")
    (mounted / "name").symlink_to("..data/name")
    secrets = Secrets(
        {
            "env": EnvironmentSource({"KEY": "from-environment"}),
            "file": FileSource(),
            "dir": DirectorySource(mounted),
            "vault": source(),
        }
    )
    found = [
        (await secrets.resolve(text)).reveal()
        for text in (
            "env:KEY",
            f"file:{key}",
            "dir:name",
            "vault:secret/cortex#signing_key",
            "vault:secret/cortex#signing_key@1",
            "vault:secret/cortex#numbers",
        )
    ]
    assert found == [
        "from-environment",
        "from-file",
        "from-folder",
        CANARY,
        "old-" + CANARY,
        "[1, 2]",
    ]


async def test_a_rotated_mount_is_seen(tmp_path):
    secrets = Secrets({"dir": DirectorySource(tmp_path)})
    (tmp_path / "name").write_text("one")
    assert (await secrets.resolve("dir:name")).reveal() == "one"
    (tmp_path / "name").write_text("two")
    assert (await secrets.resolve("dir:name")).reveal() == "two"


async def test_files_that_are_refused(tmp_path):
    (tmp_path / "mount").mkdir()
    shared, large, binary = (tmp_path / n for n in ("shared", "large", "binary"))
    for file, content in (
        (shared, b"x"),
        (large, b"x" * (SECRET_BYTES_MAX + 1)),
        (binary, b"\xff"),
    ):
        file.write_bytes(content)
        file.chmod(0o600)
    shared.chmod(0o640)
    (tmp_path / "mount" / "out").symlink_to(shared)
    (tmp_path / "mount" / "empty").touch()
    secrets = Secrets(
        {"file": FileSource(), "dir": DirectorySource(tmp_path / "mount")}
    )
    for text, error in (
        (f"file:{shared}", SecretUnavailable),
        (f"file:{large}", SecretUnavailable),
        (f"file:{binary}", SecretUnavailable),
        (f"file:{tmp_path}/gone", SecretNotFound),
        (f"file:{tmp_path}", SecretNotFound),
        ("file:relative", ValidationError),
        ("dir:out", ValidationError),
        ("dir:../shared", ValidationError),
        ("dir:..", ValidationError),
        ("dir:gone", SecretNotFound),
        ("dir:empty", SecretNotFound),
    ):
        with pytest.raises(error):
            await secrets.resolve(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        CANARY,
        "env:",
        "env:A B",
        "http:x",
        "vault:secret#f",
        "vault:secret/a",
        "vault:secret/../sys#f",
        "vault:/a#f",
        "env:A#f",
        "file:/a@2",
        "vault:secret/a#f@0",
    ],
)
def test_what_is_no_reference(text):
    with pytest.raises(ValidationError) as caught:
        parse_reference(text)
    assert CANARY not in str(caught.value)


def test_references_read_back_as_written():
    for text in ("env:A", "file:/a/b", "dir:a", "vault:kv/a/b#c", "vault:kv/a#b@3"):
        assert str(parse_reference(text)) == text
        assert is_reference(text)
    assert not is_reference(CANARY)


async def test_a_place_that_is_not_configured():
    with pytest.raises(ValidationError, match="vault"):
        await Secrets({}).resolve("vault:secret/cortex#signing_key")


async def test_vault_is_asked_once_for_a_while(vault, source, clock):
    vault_source = source()
    await asyncio.gather(*(read(vault_source) for _ in range(5)))
    assert len(vault.requests) == 1
    clock.advance(VAULT_FRESH_SECONDS)
    vault.versions["secret/data/cortex"].append({"signing_key": "new"})
    assert await read(vault_source) == "new"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("vault:secret/none#x", "no such path"),
        ("vault:secret/cortex#none", "no such field"),
        ("vault:secret/cortex#signing_key@9", "no such path"),
    ],
)
async def test_what_vault_does_not_have(source, text, why):
    with pytest.raises(SecretNotFound, match=why):
        await read(source(), text)


async def test_a_deleted_version_is_told_as_such(vault, source):
    vault.versions["secret/data/cortex"].append(None)
    with pytest.raises(SecretNotFound, match="deleted"):
        await read(source())
    assert await read(source(), "vault:secret/cortex#signing_key@2") == CANARY


async def test_a_sealed_vault_is_asked_again(vault, source):
    vault.sealed_answers = 2
    assert await read(source()) == CANARY
    vault.sealed_answers = 3
    with pytest.raises(SecretUnavailable, match="sealed"):
        await read(source())


async def test_a_bad_token_is_not_tried_over_and_over(vault, source):
    with pytest.raises(SecretUnavailable, match="does not let us in"):
        await read(source(VaultToken(Secret("wrong"))))
    assert len(vault.requests) == 1


async def test_logins_and_tokens_that_run_out(vault, source, tmp_path, clock):
    account = tmp_path / "token"
    account.write_text(CANARY)
    for login in (
        VaultAppRole("cortex", Secret(CANARY)),
        VaultKubernetes("cortex", account),
    ):
        vault_source = source(login)
        assert await read(vault_source) == CANARY
        vault.tokens.clear()
        clock.advance(VAULT_FRESH_SECONDS)
        assert await read(vault_source) == CANARY


async def test_a_token_in_a_file_is_read_again_when_it_ran_out(
    vault, source, tmp_path, clock
):
    file = tmp_path / "sink"
    file.write_text(TOKEN)
    vault_source = source(VaultToken(file=file))
    assert await read(vault_source) == CANARY
    vault.tokens = {"hvs.second"}
    file.write_text("hvs.second\n")
    clock.advance(VAULT_FRESH_SECONDS)
    assert await read(vault_source) == CANARY


async def test_logins_that_fail(source, tmp_path):
    for login in (
        VaultAppRole("cortex", Secret("wrong")),
        VaultAppRole("cortex", Secret(CANARY), mount="nowhere"),
        VaultKubernetes("cortex", tmp_path / "gone"),
        VaultToken(),
    ):
        with pytest.raises(SecretUnavailable):
            await read(source(login))


@pytest.mark.parametrize("raw", [b"<html>", b"[]", b'{"data": []}', b'{"data": {}}'])
async def test_answers_that_are_not_vaults(vault, source, raw):
    vault.raw = raw
    with pytest.raises(SecretUnavailable):
        await read(source())


async def test_nobody_answers(source):
    with pytest.raises(SecretUnavailable, match="ConnectError"):
        await read(source(address="http://127.0.0.1:9"))
    with pytest.raises(ValidationError, match="https"):
        VaultOptions("http://vault.example:8200", VaultToken())


def test_a_secret_shows_itself_to_nobody():
    secret = Secret(CANARY)
    for shown in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>40}",
        f"{secret!r}",
        repr({"key": [secret]}),
        repr(VaultAppRole("cortex", secret)),
        json.dumps({"key": secret}, default=str),
    ):
        assert CANARY not in shown
    for escape in (pickle.dumps, copy.copy, copy.deepcopy, hash, vars, json.dumps):
        with pytest.raises(TypeError):
            escape(secret)
    assert secret == Secret(CANARY)
    assert secret != Secret("other")
    assert secret != CANARY
    assert not Secret("")


async def test_no_log_error_or_representation_holds_a_secret(
    caplog, capfd, vault, source, tmp_path: Path
):
    """Everything that can go wrong, with all loggers wide open; then grep."""
    caplog.set_level(logging.DEBUG)
    account = tmp_path / "token"
    account.write_text(CANARY)
    logins = (
        VaultToken(Secret(TOKEN)),
        VaultToken(Secret("wrong-" + CANARY)),
        VaultAppRole("cortex", Secret(CANARY)),
        VaultAppRole("wrong", Secret(CANARY)),
        VaultKubernetes("wrong", account),
    )
    seen = []
    for login in logins:
        for trouble in (0, 1, 9):
            vault.sealed_answers = trouble
            vault_source = source(login)
            for text in (
                "vault:secret/cortex#signing_key",
                "vault:secret/none#signing_key",
                "vault:secret/cortex#none",
                f"{CANARY}",
            ):
                try:
                    await read(vault_source, text)
                except CortexError as error:
                    seen += [
                        "".join(traceback.format_exception(error)),
                        repr(error),
                        str(error.data),
                        error.hint,
                    ]
            seen += [repr(vault_source), repr(login), str(vault_source)]
    seen += [record.getMessage() + str(record.__dict__) for record in caplog.records]
    seen += list(capfd.readouterr())
    text = "\n".join(seen)
    assert len(caplog.records) > 100
    assert CANARY not in text
    assert TOKEN not in text
