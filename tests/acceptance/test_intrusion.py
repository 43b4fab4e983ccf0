"""An attack on a real server: noticed, told, held off, and nobody else is."""

import json
import secrets
import time

CHIEF, OTHER = "chief-token-0123456789", "other-token-0123456789"
TOKENS = json.dumps(
    {
        "chief": {"token": CHIEF, "scopes": ["*"]},
        "other": {"token": OTHER, "scopes": ["*"], "tenant": "acme"},
        "bound": {
            "token": "bound-token-0123456789", "scopes": ["audit"],
            "namespaces": ["team/*"],
        },
    }
)  # fmt: skip


def bearer(token, address="203.0.113.5"):
    return {"Authorization": f"Bearer {token}", "X-Forwarded-For": address}


def entries(http, kind):
    """Wait until the ledger holds entries of a type; return them."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        page = http.get("/audit/entries", params={"limit": 100}, headers=bearer(CHIEF))
        found = [e for e in page.json()["entries"] if kind in json.dumps(e)]
        if found:
            return found
        time.sleep(0.2)
    return []


def test_spraying_is_noticed_held_off_and_told(serve):
    server = serve(CORTEX_TOKENS=TOKENS, CORTEX_TRUSTED_PROXIES="127.0.0.1")
    http = server.client
    statuses = [
        http.get("/memory", headers=bearer(f"junk-{secrets.token_hex(8)}")).status_code
        for _ in range(60)
    ]
    assert statuses[0] == 401
    held = http.get("/memory", headers=bearer("junk"))
    assert held.status_code == 429
    assert int(held.headers["retry-after"]) >= 1
    # The neighbour is heard, and so is a good token from the very same address.
    assert http.get("/memory", headers=bearer("junk", "203.0.113.6")).status_code == 401
    assert http.get("/memory", headers=bearer(CHIEF)).status_code == 200
    told = http.get("/admin/alerts", headers=bearer(CHIEF)).json()
    kinds = {alert["type"] for alert in told["alerts"]}
    assert "security.tokens_sprayed" in kinds
    assert {alert["client"] for alert in told["alerts"]} == {"203.0.113.5"}
    assert told["waiting_clients"] == 1
    doors = http.get("/healthz").json()["checks"]["doors"]
    assert doors["status"] == "ok"
    assert "203.0.113.5" not in json.dumps(doors)
    assert entries(http, "security.tokens_sprayed"), "in the ledger, too"
    assert entries(http, "security.access_denied")
    assert "junk-" not in json.dumps(entries(http, "security.access_denied"))


def test_alerts_are_the_operators_and_sums_nobodys(serve):
    server = serve(CORTEX_TOKENS=TOKENS)
    http = server.client
    assert http.get("/admin/alerts", headers=bearer(OTHER)).status_code == 403
    bound = bearer("bound-token-0123456789")
    assert http.get("/admin/alerts", headers=bound).status_code == 403
    assert http.get("/audit/entries", headers=bound).status_code == 200
    for path in ("/audit/checkpoint", "/audit/log-tiles/checkpoint"):
        assert http.get(path, headers=bound).status_code == 403
        assert http.get(path, headers=bearer(CHIEF)).status_code == 200
    assert http.post("/audit/verify", headers=bound).status_code == 403
    health = json.dumps(http.get("/healthz").json())
    for sum_of_all in ("entries", "memories", "file_bytes", "published"):
        assert sum_of_all not in health
