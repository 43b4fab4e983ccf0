"""Encryption at rest in a real server: files, restarts, wrong and new master keys."""

import os
import subprocess
import sys

import pytest

KEY, NEXT, WRONG = "a1" * 32, "b2" * 32, "c3" * 32
FACT = "Wilhelmina keeps zebrafinches in the conservatory."
WORDS = (
    "Wilhelmina", "zebrafinch", "conservatory", "tangerine", "Quirinus", "marigold",
    "Saffron", "heliotrope",
)  # fmt: skip


def fill(http):
    item = {
        "content": FACT, "author": "Quirinus", "tags": ["tangerine"],
        "metadata": {"flower": "marigold"},
    }  # fmt: skip
    assert http.post("/memory", json={"items": [item]}).status_code == 200
    made = http.post("/sessions", json={"title": "Saffron talk"})
    assert made.status_code in {200, 201}, made.text
    session = made.json()["id"]
    said = {"items": [{"content": FACT + " Again.", "author": "Quirinus"}]}
    answer = http.post(f"/sessions/{session}/messages", json=said)
    assert answer.status_code == 200, answer.text
    assert (
        http.put("/state/default/plan", json={"value": {"a": "heliotrope"}}).status_code
        == 200
    )
    snapshot = http.get("/state/snapshot")
    assert snapshot.status_code == 200, snapshot.text


def answers(http):
    body = {"query": "Who keeps birds in the conservatory?"}
    hits = http.post("/memory/search", json=body).json()["hits"]
    assert any(hit["content"] == FACT for hit in hits)
    assert http.get("/memory", params={"author": "Quirinus"}).json()["memories"]
    assert http.get("/memory", params={"tag": "tangerine"}).json()["memories"]
    assert http.get("/state/default/plan").json()["value"] == {"a": "heliotrope"}


def readable(server):
    return [word for word in WORDS if server.files_holding(word)]


def refused(home, **variables):
    """Return what a server that cannot start says."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
    done = subprocess.run(
        [sys.executable, "-m", "cortex", "serve", "--port", "0"],
        env={**kept, "CORTEX_HOME": str(home), **variables},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    return done.stderr


def test_nothing_is_readable_and_everything_works(serve):
    server = serve(CORTEX_ENCRYPTION__KEY=KEY)
    fill(server.client)
    answers(server.client)
    assert readable(server) == [], "while it runs: database, write-ahead log, ledger"
    assert server.stop() == 0
    assert readable(server) == []
    again = serve(home=server.home, CORTEX_ENCRYPTION__KEY=KEY)
    answers(again.client)
    assert again.stop() == 0
    said = refused(server.home, CORTEX_ENCRYPTION__KEY=WRONG)
    assert "is not the one the data were stored with" in said
    assert WRONG not in said
    assert "no encryption key is set" in refused(server.home)
    # A new master key beside the old one, and then alone.
    exchanged = serve(
        home=server.home,
        CORTEX_ENCRYPTION__KEY=NEXT,
        CORTEX_ENCRYPTION__OLDER_KEYS=f'["{KEY}"]',
    )
    answers(exchanged.client)
    assert exchanged.stop() == 0
    alone = serve(home=server.home, CORTEX_ENCRYPTION__KEY=NEXT)
    answers(alone.client)
    assert readable(alone) == []


@pytest.mark.parametrize("key", ["short", "zz" * 32])
def test_what_is_no_key_is_refused_and_not_repeated(tmp_path, key):
    said = refused(tmp_path / "home", CORTEX_ENCRYPTION__KEY=key)
    assert "master key" in said
    assert key not in said


def test_turning_it_on_seals_what_was_there(serve):
    plain = serve()
    fill(plain.client)
    assert readable(plain)
    assert plain.stop() == 0
    sealed = serve(home=plain.home, CORTEX_ENCRYPTION__KEY=KEY)
    answers(sealed.client)
    assert readable(sealed) == [], "free pages and the write-ahead log included"
