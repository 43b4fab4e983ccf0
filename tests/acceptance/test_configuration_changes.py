"""A change of the settings is an entry of the ledger: which, and no value."""

import json
import time

CHIEF = "chief-token-0123456789"
TOKENS = f"chief:{CHIEF}:*"
BEARER = {"Authorization": f"Bearer {CHIEF}"}


def changes(server):
    """Return the names told as changed, waiting for the ledger to hear of it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        page = server.client.get("/audit/entries", headers=BEARER).json()
        found = [e for e in page["entries"] if "config.changed" in json.dumps(e)]
        if found:
            return found
        time.sleep(0.2)
    return []


def test_what_changed_between_two_starts_is_told_once(serve, port):
    policy = serve(port=port, CORTEX_TOKENS=TOKENS)
    home = policy.home
    assert policy.stop() == 0
    more = f"{TOKENS},extra:canary-token-0123456789:memory"
    again = serve(
        home=home, port=port, CORTEX_TOKENS=more, CORTEX_RATE_LIMIT_PER_MINUTE="999"
    )
    found = changes(again)
    assert len(found) == 1
    told = json.dumps(found[0])
    assert "rate_limit_per_minute" in told
    assert "tokens" in told
    assert "canary-token" not in told
    assert again.files_holding("canary-token") == []
