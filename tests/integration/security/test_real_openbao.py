"""Secrets from a real OpenBao (Vault's open fork): KV version 2 and two logins."""

import asyncio
import os

import httpx
import pytest

from cortex.foundation.retry import RetryPolicy
from cortex.security.errors import SecretNotFound, SecretUnavailable
from cortex.security.secrets import Secret, Secrets
from cortex.security.vault import (
    VAULT_FRESH_SECONDS,
    VaultAppRole,
    VaultOptions,
    VaultSource,
    VaultToken,
)
from cortex.settings import ConfigurationError, load_with_secrets
from cortex.testing.memory import VirtualClock

CANARY = "canary-of-the-real-vault-51c2"
PATIENCE = RetryPolicy(
    attempts=2, wait_initial_seconds=0.001, wait_max_seconds=0.01, jitter_seconds=0.0
)


async def read(bao, reference, login, clock=None):
    async with httpx.AsyncClient() as client:
        options = VaultOptions(bao.url, login, retry=PATIENCE)
        source = VaultSource(options, client=client, clock=clock or VirtualClock())
        return (await Secrets({"vault": source}).resolve(reference)).reveal()


def root():
    return VaultToken(Secret("root-token-of-the-dev-server"))


async def test_fields_and_versions_are_read(bao):
    bao.keep("read", key="first")
    bao.keep("read", key=CANARY, other="x")
    assert await read(bao, "vault:secret/read#key", root()) == CANARY
    assert await read(bao, "vault:secret/read#key@1", root()) == "first"
    for gone in ("vault:secret/none#key", "vault:secret/read#none"):
        with pytest.raises(SecretNotFound):
            await read(bao, gone, root())
    bao.http.delete("/v1/secret/data/read").raise_for_status()
    with pytest.raises(SecretNotFound, match="deleted"):
        await read(bao, "vault:secret/read#key", root())


async def test_a_rotated_secret_is_seen_when_the_old_one_is_stale(bao):
    bao.keep("rotated", key="one")
    clock = VirtualClock()
    async with httpx.AsyncClient() as client:
        options = VaultOptions(bao.url, root(), retry=PATIENCE)
        source = VaultSource(options, client=client, clock=clock)
        secrets = Secrets({"vault": source})
        assert (await secrets.resolve("vault:secret/rotated#key")).reveal() == "one"
        bao.keep("rotated", key="two")
        clock.advance(VAULT_FRESH_SECONDS + 1)
        assert (await secrets.resolve("vault:secret/rotated#key")).reveal() == "two"


async def test_an_approle_reads_what_its_policy_allows_and_no_more(bao):
    bao.keep("mine", key=CANARY)
    bao.keep("theirs", key="theirs")
    bao.post("sys/auth/approle", {"type": "approle"})
    rule = 'path "secret/data/mine" { capabilities = ["read"] }'
    bao.post("sys/policies/acl/mine", {"policy": rule})
    bao.post("auth/approle/role/cortex", {"token_policies": ["mine"], "token_ttl": 60})
    role = bao.http.get("/v1/auth/approle/role/cortex/role-id").json()["data"]
    made = bao.post("auth/approle/role/cortex/secret-id", {})["data"]
    login = VaultAppRole(role["role_id"], Secret(made["secret_id"]))
    assert await read(bao, "vault:secret/mine#key", login) == CANARY
    with pytest.raises(SecretUnavailable, match="does not let us in"):
        await read(bao, "vault:secret/theirs#key", login)
    wrong = VaultAppRole(role["role_id"], Secret("wrong"))
    with pytest.raises(SecretUnavailable):
        await read(bao, "vault:secret/mine#key", wrong)


async def test_a_bad_token_is_refused_and_not_told(bao):
    with pytest.raises(SecretUnavailable) as refused:
        await read(bao, "vault:secret/mine#key", VaultToken(Secret("bad-" + CANARY)))
    assert CANARY not in str(refused.value) + repr(refused.value.__dict__)


@pytest.fixture
def clean(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.upper().startswith("CORTEX_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


async def test_settings_are_filled_from_it(bao, clean):
    bao.keep("cortex", signing_key="s" * 40, openai="sk-x", redis="redis://:p@h:1/0")
    clean.setenv("CORTEX_VAULT__ADDRESS", bao.url)
    clean.setenv("BAO_TOKEN", "root-token-of-the-dev-server")
    clean.setenv("CORTEX_VAULT__TOKEN", "env:BAO_TOKEN")
    clean.setenv("CORTEX_SIGNING_KEY", "vault:secret/cortex#signing_key")
    clean.setenv("CORTEX_OPENAI__API_KEY", "vault:secret/cortex#openai")
    clean.setenv("CORTEX_REDIS_URL", "vault:secret/cortex#redis")
    settings = await asyncio.to_thread(lambda: load_with_secrets().settings)
    assert settings.signing_key_bytes() == b"s" * 40
    assert settings.openai.api_key.get_secret_value() == "sk-x"
    assert settings.redis_url.get_secret_value() == "redis://:p@h:1/0"
    clean.setenv("CORTEX_SIGNING_KEY", "vault:secret/cortex#none")
    with pytest.raises(ConfigurationError, match=r"CORTEX_SIGNING_KEY.*no such field"):
        load_with_secrets()
