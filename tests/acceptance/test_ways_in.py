"""TLS with client certificates, an issuer's tokens and a policy, in a real server."""

import datetime as dt
import importlib.util
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

SECURITY = Path(__file__).resolve().parents[1] / "unit" / "security"
ITEM = {"items": [{"content": "Ann adopted a beagle."}]}


def peer(name: str):
    """Return a module of real peers that the security tests use, too."""
    spec = importlib.util.spec_from_file_location(name, SECURITY / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def issuer():
    issuers = peer("issuer")
    running = issuers.LocalIssuer()
    running.signers.append(issuers.Signer("k1", "EdDSA"))
    yield running
    running.close()


def test_an_issuers_token_lets_in_with_its_scopes(serve, issuer):
    settings = {"issuer": issuer.url, "audiences": ["cortex"], "tenant": "acme"}
    server = serve(CORTEX_ISSUERS=json.dumps({"corp": settings}))
    claims = {
        "iss": issuer.url, "aud": "cortex", "sub": "ana", "scope": "memory",
        "iat": time.time(), "exp": time.time() + 600,
    }  # fmt: skip
    good = {"Authorization": f"Bearer {issuer.signers[0].token(claims)}"}
    assert server.client.post("/memory", json=ITEM).status_code == 401
    assert server.client.post("/memory", json=ITEM, headers=good).status_code == 200
    assert server.client.get("/db/list", headers=good).status_code == 403
    late = {"Authorization": f"Bearer {issuer.signers[0].token({**claims, 'exp': 1})}"}
    assert server.client.post("/memory", json=ITEM, headers=late).status_code == 401


def test_a_policy_denies_what_a_scope_allows_and_says_which_rule(serve, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text(
        """
version = 1
[[rules]]
id = "all-of-memory"
effect = "allow"
actions = ["memory.*"]
[[rules]]
id = "nobody-forgets"
effect = "deny"
actions = ["memory.forget"]
""",
        encoding="utf-8",
    )
    token = "0123456789abcdef0123456789abcdef"
    server = serve(
        CORTEX_TOKENS=f"ann:{token}:memory+context", CORTEX_POLICY_FILE=str(policy)
    )
    ann = {"Authorization": f"Bearer {token}"}
    stored = server.client.post("/memory", json=ITEM, headers=ann)
    assert stored.status_code == 200
    memory_id = stored.json()["ids"][0]
    denied = server.client.delete(f"/memory/{memory_id}", headers=ann)
    assert denied.status_code == 403
    assert denied.json()["error"]["rule"] == "nobody-forgets"
    context = {"query": "dog", "model": "gpt-4o", "max_tokens": 200}
    assert server.client.post("/context", json=context, headers=ann).status_code == 403
    assert server.client.get(f"/memory/{memory_id}", headers=ann).status_code == 200


def test_a_client_certificate_is_an_identity(serve, tmp_path):
    authority_of = peer("authority")
    now = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(hours=1)
    authority = authority_of.Authority(tmp_path, "authority", now)
    server_identity = authority.issue(
        "server",
        [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))],
        usage=ExtendedKeyUsageOID.SERVER_AUTH,
    )
    agent = authority.issue("agent", [authority_of.uri("spiffe://x/agent/planner")])
    rule = {
        "pattern": "spiffe://x/agent/{subject}", "name": "agents",
        "scopes": ["memory"],
    }  # fmt: skip
    tls = {
        "certificate": str(server_identity.file), "key": str(server_identity.key),
        "client_authorities": str(authority.file), "rules": [rule],
    }  # fmt: skip
    context = ssl.create_default_context(cafile=str(authority.file))
    stranger = httpx.Client(verify=context, timeout=30)
    known_context = ssl.create_default_context(cafile=str(authority.file))
    known_context.load_cert_chain(agent.file, agent.key)
    known = httpx.Client(verify=known_context, timeout=30)
    server = serve(verify=context, CORTEX_TLS=json.dumps(tls))
    with stranger, known:
        assert stranger.post(f"{server.url}/memory", json=ITEM).status_code == 401
        assert known.post(f"{server.url}/memory", json=ITEM).status_code == 200
        assert known.get(f"{server.url}/db/list").status_code == 403


def test_a_token_issued_on_the_command_line_works_and_is_revoked(serve):
    server = serve(CORTEX_TOKENS="root:0123456789abcdef0123456789abcdef:*")

    def cortex(*arguments: str) -> subprocess.CompletedProcess:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
        return subprocess.run(
            [sys.executable, "-m", "cortex", "tokens", *arguments],
            env={**kept, "CORTEX_HOME": str(server.home)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    made = cortex("issue", "ci", "--scope", "memory", "--json")
    assert made.returncode == 0, made.stderr
    issued = json.loads(made.stdout)
    value = issued["value"]
    bearer = {"Authorization": f"Bearer {value}"}
    assert server.client.post("/memory", json=ITEM, headers=bearer).status_code == 200
    assert server.files_holding(value) == []
    assert cortex("revoke", issued["id"]).returncode == 0
    deadline = time.monotonic() + 60
    while server.client.get("/memory", headers=bearer).status_code != 401:
        assert time.monotonic() < deadline, "revoked, and still let in"
        time.sleep(0.1)


def test_a_tenant_that_used_up_its_day_is_refused_and_others_are_not(serve):
    tokens = {
        name: {"token": f"{name}-token-0123456789", "scopes": ["*"], "tenant": name}
        for name in ("ann", "bob")
    }
    server = serve(
        CORTEX_TOKENS=json.dumps(tokens), CORTEX_QUOTAS=json.dumps({"embeddings": 3})
    )
    ann, bob = ({"Authorization": f"Bearer {one['token']}"} for one in tokens.values())
    texts = {"texts": ["a", "b", "c"]}
    assert server.client.post("/embeddings", json=texts, headers=ann).is_success
    refused = server.client.post("/memory", json=ITEM, headers=ann)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "QUOTA_EXCEEDED"
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert server.client.get("/memory", headers=ann).is_success, "reading goes on"
    assert server.client.post("/memory", json=ITEM, headers=bob).is_success
    told = server.client.get("/quotas", headers=ann).json()["quotas"]
    assert told["embeddings"] == {"used": 3, "limit": 3}
    assert told["bytes"] == {"used": 0, "limit": None}
