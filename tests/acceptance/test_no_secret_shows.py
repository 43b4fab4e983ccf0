"""Secrets by reference in a real server: none of them shows anywhere."""

import json
import os
import subprocess
import sys

CANARIES = {
    "PLACE_TOKEN": "canary-token-5f0a7c31d2",
    "PLACE_SIGNING": "canary-signing-key-5f0a7c31d2",
    "PLACE_OPENAI": "canary-openai-key-5f0a7c31d2",
    "PLACE_VAULT": "canary-vault-token-5f0a7c31d2",
    "PLACE_SECRET_ID": "canary-secret-id-5f0a7c31d2",
}
MASTER = "c0" * 32
PASSWORD = "canary-redis-password-5f0a"
TOKENS = json.dumps({"ci": {"token": "env:PLACE_TOKEN", "scopes": ["*"]}})
SETTINGS = {
    **CANARIES,
    "PLACE_MASTER": MASTER,
    "CORTEX_TOKENS": TOKENS,
    "CORTEX_SIGNING_KEY": "env:PLACE_SIGNING",
    "CORTEX_OPENAI__API_KEY": "env:PLACE_OPENAI",
    "CORTEX_VAULT__TOKEN": "env:PLACE_VAULT",
    "CORTEX_VAULT__SECRET_ID": "env:PLACE_SECRET_ID",
    "CORTEX_ENCRYPTION__KEY": "env:PLACE_MASTER",
}
SECRETS = [*CANARIES.values(), MASTER, PASSWORD]


def cortex(*arguments: str, **variables: str) -> str:
    """Return all that a command prints, whatever its end."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
    done = subprocess.run(
        [sys.executable, "-m", "cortex", *arguments],
        env={**kept, **SETTINGS, **variables},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def shown(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def test_not_in_logs_answers_or_files(serve):
    server = serve("--log-level", "debug", **SETTINGS)
    http = server.client
    good = {"Authorization": f"Bearer {CANARIES['PLACE_TOKEN']}"}
    told = [
        http.get("/healthz"),
        http.get("/health"),
        http.get("/metrics"),
        http.get("/memory", headers=good),
        http.post("/memory", headers=good, json={"items": [{"content": "x"}]}),
        http.post("/memory", headers=good, content=b"{"),
        http.get(
            "/memory", headers={"Authorization": f"Basic {CANARIES['PLACE_TOKEN']}"}
        ),
        http.get("/memory", headers={"Authorization": good["Authorization"] + "x"}),
        http.get("/state/snapshot", headers=good),
        http.get("/admin/tokens", headers=good),
        http.get("/svc/list", headers=good),
    ]
    assert told[3].status_code == 200, "the secret is in use"
    pages = "".join(str(answer.headers) + answer.text for answer in told)
    assert shown(pages) == []
    assert server.stop() == 0
    assert shown(server.log.read_text()) == []
    for secret in SECRETS:
        assert server.files_holding(secret) == []


def test_not_when_it_crashes(serve):
    """SIGABRT: what a process leaves behind when it dies at once."""
    server = serve("--log-level", "debug", **SETTINGS, PYTHONFAULTHANDLER="1")
    good = {"Authorization": f"Bearer {CANARIES['PLACE_TOKEN']}"}
    assert server.client.get("/memory", headers=good).status_code == 200
    server.stop(6)
    log = server.log.read_text()
    assert "Fatal Python error" in log
    assert shown(log) == []


def test_not_by_the_commands(tmp_path):
    home = {"CORTEX_HOME": str(tmp_path)}
    assert "env:PLACE_SIGNING" in cortex("config", "show", "--json", **home)
    plain = {
        "CORTEX_SIGNING_KEY": CANARIES["PLACE_SIGNING"],
        "CORTEX_REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:1/0",
    }
    show = ("config", "show", "--json")
    check = ("config", "check")
    serve = ("serve", "--port", "1", "--host", "192.0.2.1")
    cases = [
        (show, {}),
        (show, plain),
        (("doctor", "--json"), {}),
        (("tokens", "list"), {}),
        (serve, {}),
        (check, plain),
        (check, {"CORTEX_SIGNING_KEY": "env:NOT_THERE"}),
        (
            check,
            {"CORTEX_TOKENS": json.dumps({"ci": {"token": CANARIES["PLACE_TOKEN"]}})},
        ),
        (check, {"CORTEX_TOKENS": f"a:{CANARIES['PLACE_TOKEN']}:pope"}),
        (check, {"CORTEX_TOKENS": CANARIES["PLACE_TOKEN"]}),
        (check, {"CORTEX_ENCRYPTION__KEY": CANARIES["PLACE_SIGNING"]}),
    ]
    for arguments, variables in cases:
        assert shown(cortex(*arguments, **home, **variables)) == [], arguments
