"""The ledger of a real server: recorded, searched, proved, verified offline, spoilt."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from cortex.ledger.checkpoint import open_checkpoint
from cortex.ledger.keys import read_verifier_keys
from cortex.ledger.merkle import leaf_hash, tree_root
from cortex.ledger.proof import verify_proof
from cortex.ledger.tiles import decode_bundle
from cortex_client import CortexClient, CortexClientSync, CortexError

CALL = ("run-1", "planner", "plan", "what is next?", '{"steps": []}')


def cortex(home: Path, *arguments: str, cwd: Path | None = None):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
    return subprocess.run(
        [sys.executable, "-m", "cortex", "ledger", *arguments],
        env={**kept, "CORTEX_HOME": str(home), "COLUMNS": "200"},
        cwd=cwd or home.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def verdict(home: Path, *flags: str) -> tuple[int, dict]:
    done = cortex(home, "verify", "--json", *flags)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def entries(client: CortexClientSync, **conditions):
    found, before = [], None
    while True:
        page = client.audit_entries(before=before, limit=100, **conditions)
        found += page.entries
        before = page.next_before
        if before is None:
            return found


def settled(client: CortexClientSync, **conditions):
    """Return entries once events have come through the outbox and no more do."""
    last = []
    for _ in range(100):
        found = entries(client, **conditions)
        if found and [e.index for e in found] == [e.index for e in last]:
            return found
        last = found
        client.audit_log(limit=1)
        asyncio.run(asyncio.sleep(0.3))
    return last


def test_what_is_recorded_is_found_and_proved_to_an_outsider(serve, tmp_path):
    server = serve()
    with CortexClientSync(server.url) as client:
        for number in range(3):
            client.record_audit(*CALL, latency_ms=number, parse_ok=number > 0)
        receipt = client.record_audit(
            *CALL, wait="published", correlation_id="tied", subject="ana"
        )
        [found] = client.audit_entries(correlation="tied").entries
        assert (found.entry_id, found.entry_hash) == (
            receipt.entry_id,
            receipt.entry_hash,
        )
        assert client.audit_entry(receipt.index) == found
        assert client.audit_content(receipt.index)["prompt"] == CALL[3]
        assert client.audit_log(limit=2).entries[0] == found
        stats = client.audit_stats()
        assert stats.agents["planner"].calls == 4
        assert stats.success_rate == pytest.approx(3 / 4)
        assert stats.avg_latency_ms == 1
        proven = client.prove_inclusion(receipt.index)
        grown = client.prove_consistency(1)
        assert grown.new_size >= receipt.index + 1
        assert client.verify_audit(deep=True).verdict == "intact"
        note = client.audit_checkpoint()
    assert receipt.ledger_path == "ledger"

    # The outsider holds the key, the receipt and the entry, and nothing else.
    keys = read_verifier_keys((server.home / "pins/verifier.vkey").read_bytes())
    checked = verify_proof(
        receipt.proof.encode(), proven.entry.encode(), keys[0].name, keys
    )
    assert checked.index == receipt.index
    assert note.startswith(f"{keys[0].name}\n")
    for name, text in (
        ("receipt", receipt.proof),
        ("entry", proven.entry),
        ("forged", proven.entry.replace("planner", "plunder")),
        ("key", cortex(server.home, "key").stdout),
    ):
        (tmp_path / name).write_bytes(text.encode())
    flags = ("--key", "key")
    good = cortex(tmp_path / "nowhere", "check", "receipt", "--entry", "entry", *flags)
    assert good.returncode == 0, good.stderr
    bad = cortex(tmp_path / "nowhere", "check", "receipt", "--entry", "forged", *flags)
    assert bad.returncode == 1


def fetched(server, folder: Path) -> Path:
    """Fetch the published log over HTTP, as any tlog-tiles client would."""
    for name in (
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
    ):
        answer = server.client.get(f"/audit/log-tiles/{name}")
        assert answer.status_code == 200, name
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(answer.content)
    return folder


def published(serve, folder: Path):
    """Serve a log of 300 calls and fetch it."""
    server = serve()
    with CortexClientSync(server.url) as client:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: client.record_audit(*CALL), range(299)))
        client.record_audit(*CALL, wait="published")
    key = (server.home / "pins/verifier.vkey").read_text().strip()
    return fetched(server, folder), key


if find_spec("aics_tlog") is not None:

    def test_a_verifier_of_others_accepts_what_is_served(serve, tmp_path):
        import aics_tlog
        from aics_tlog.verified import audit_tiles

        folder, key = published(serve, tmp_path / "fetched")
        note = aics_tlog.parse_note((folder / "checkpoint").read_bytes())
        assert aics_tlog.verify_checkpoint(note, aics_tlog.parse_vkey(key)).ok
        head = aics_tlog.parse_checkpoint(note.text)
        reader = aics_tlog.FileSystemTileReader(folder)
        audit_tiles(reader, head.size, head.root)
        bundle = folder / "tile/entries/001.p/44"
        data = bytearray(bundle.read_bytes())
        data[40] ^= 1
        bundle.write_bytes(data)
        with pytest.raises(aics_tlog.TileVerificationError):
            audit_tiles(reader, head.size, head.root)


def test_what_is_served_hashes_to_the_signed_root(serve, tmp_path):
    folder, key = published(serve, tmp_path / "fetched")
    signed = open_checkpoint(
        (folder / "checkpoint").read_bytes(),
        key.partition("+")[0],
        read_verifier_keys(key.encode()),
    )
    leaves = decode_bundle((folder / "tile/entries/000").read_bytes(), 256)
    leaves += decode_bundle((folder / "tile/entries/001.p/44").read_bytes(), 44)
    hashes = [leaf_hash(leaf) for leaf in leaves]
    assert (signed.size, signed.root) == (300, tree_root(hashes))
    assert b"".join(hashes[256:]) == (folder / "tile/0/001.p/44").read_bytes()


async def test_the_async_client_means_the_same(serve):
    server = serve()
    async with CortexClient(server.url) as client:
        receipt = await client.record_audit(*CALL, wait="published")
        assert receipt.proof
        page = await client.audit_entries(run_id="run-1", outcome="unknown")
        assert [entry.index for entry in page.entries] == [receipt.index]
        assert (await client.prove_inclusion(receipt.index)).receipt
        assert (await client.verify_audit()).exit_code == 0


def decided(found):
    """Leave out that the port is another one after each start."""
    return [entry.entry_id for entry in found if entry.kind != "config.changed"]


def test_every_write_forget_and_context_is_an_entry_once(serve):
    server = serve()
    with CortexClientSync(server.url) as client:
        first = client.remember([f"fact {n}" for n in range(5)]).ids
        client.remember("Ana likes tea", user_id="ana")
        client.build_context("fact", model="gpt-4o", max_tokens=500)
        client.forget(first[0])
    # Killed with events perhaps still in the outbox: none is lost, none comes twice.
    server.stop(signal.SIGKILL)
    again = serve(home=server.home)
    with CortexClientSync(again.url) as client:
        client.forget(user_id="ana")
        found = settled(client)
    ids = [entry.entry_id for entry in found]
    assert len(set(ids)) == len(ids)
    counts: dict[str, int] = {}
    for entry in found:
        counts[entry.kind] = counts.get(entry.kind, 0) + 1
    assert counts["memory.stored"] == 2
    assert counts["memory.forgotten"] == 2
    assert counts.get("context.packed", 0) <= 1
    again.stop()
    third = serve(home=server.home)
    with CortexClientSync(third.url) as client:
        assert decided(settled(client)) == decided(found)
    assert "Ana likes tea" not in json.dumps([dict(e.data) for e in found])


def test_a_context_pack_is_an_entry_once(serve):
    server = serve()
    with CortexClientSync(server.url) as client:
        client.remember("Ana likes tea")
        client.build_context("tea", model="gpt-4o", max_tokens=500)
        client.build_context("tea", model="gpt-4o", max_tokens=400)
    assert server.stop() == 0
    again = serve(home=server.home)
    with CortexClientSync(again.url) as client:
        settled(client)
        packs = entries(client, kind="context.packed")
    assert len(packs) == 2
    assert "tea" not in json.dumps([dict(pack.data) for pack in packs])


def test_what_was_answered_survives_a_kill(serve):
    server = serve()

    def writer(number: int) -> list[tuple[int, str]]:
        answered = []
        with CortexClientSync(server.url, max_retries=0) as client:
            for turn in range(10_000):
                try:
                    receipt = client.record_audit(f"{number}-{turn}", *CALL[1:])
                except CortexError:
                    return answered
                answered.append((receipt.index, receipt.entry_hash))
                if number == 0 and turn == 20:
                    server.process.send_signal(signal.SIGKILL)
        return answered

    with ThreadPoolExecutor(8) as pool:
        receipts = [item for some in pool.map(writer, range(8)) for item in some]
    server.process.wait()
    assert len(receipts) > 20
    code, told = verdict(server.home)
    assert (code, told["verdict"]) == (0, "intact")
    again = serve(home=server.home)
    with CortexClientSync(again.url) as client:
        hashes = {e.index: e.entry_hash for e in entries(client, kind="agent.call")}
    assert [item for item in receipts if hashes.get(item[0]) != item[1]] == []


def test_several_workers_write_one_log(serve):
    server = serve("--workers", "2")

    def writer(number: int) -> list[int]:
        with CortexClientSync(server.url) as client:
            return [
                client.record_audit(f"{number}-{turn}", *CALL[1:]).index
                for turn in range(20)
            ]

    with ThreadPoolExecutor(8) as pool:
        indexes = [index for some in pool.map(writer, range(8)) for index in some]
    assert len(set(indexes)) == 160
    with CortexClientSync(server.url) as client:
        client.record_audit(*CALL, wait="published")
        for index in indexes[::20]:
            assert client.prove_inclusion(index).entry is not None
        assert client.verify_audit(deep=True).verdict == "intact"
    assert server.stop() == 0
    assert verdict(server.home, "--deep")[0] == 0


def test_without_its_ledger_a_server_serves_memory_and_says_so(serve):
    server = serve()
    assert server.stop() == 0
    (server.home / "ledger/keys/signing.key").chmod(0o644)
    again = serve(home=server.home)
    names = ("run_id", "agent_name", "method_name", "prompt", "raw_output")
    body = dict(zip(names, CALL, strict=True))
    answer = again.client.post("/audit/record", json=body)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "signing.key" in answer.text
    assert str(server.home) not in answer.text
    with CortexClientSync(again.url) as client:
        assert client.remember("still here").ids
        health = client.health()
        assert health.status != "ok"
        assert health.checks["audit_ledger"]["status"] != "ok"


def spoil(home: Path, needle: bytes) -> None:
    """Flip one bit of a text in the database of a stopped server."""
    path = home / "ledger/ledger.db"
    data = bytearray(path.read_bytes())
    at = data.index(needle)
    data[at] ^= 1
    path.write_bytes(bytes(data))


def test_one_flipped_bit_is_found_and_named(serve, tmp_path):
    server = serve()
    with CortexClientSync(server.url) as client:
        for number in range(6):
            client.record_audit(f"run-number-{number}", *CALL[1:])
    assert server.stop() == 0
    assert verdict(server.home)[0] == 0
    kept = cortex(server.home, "checkpoint").stdout
    (tmp_path / "kept").write_text(kept)
    spoil(server.home, b'"run_id":"run-number-3"')
    code, told = verdict(server.home)
    assert (code, told["verdict"], told["index"]) == (1, "tampered", 3)
    done = cortex(server.home, "verify", "--head", str(tmp_path / "kept"))
    assert done.returncode == 1
    assert done.stdout.startswith("tampered: entry 3")
    # A server over it goes on serving memory, and says what is wrong.
    again = serve(home=server.home)
    with CortexClientSync(again.url, max_retries=0) as client:
        assert client.verify_audit().verdict == "tampered"
        client.remember("still here")


def test_truncation_is_found_with_a_head_kept_elsewhere(serve, tmp_path):
    server = serve()
    old = tmp_path / "old"
    with CortexClientSync(server.url) as client:
        client.record_audit(*CALL, wait="published")
    assert server.stop() == 0
    subprocess.run(["cp", "-r", str(server.home), str(old)], check=True)
    again = serve(home=server.home)
    with CortexClientSync(again.url) as client:
        client.record_audit(*CALL, wait="published")
        (tmp_path / "head").write_text(client.audit_checkpoint())
    assert again.stop() == 0
    # Everything was put back, the pins too: alone it looks intact.
    assert verdict(old)[0] == 0
    code, told = verdict(old, "--head", str(tmp_path / "head"))
    assert (code, told["verdict"]) == (1, "tampered")


def test_nothing_to_check_against_is_not_intact(tmp_path):
    home = tmp_path / "empty"
    assert cortex(home, "verify").returncode == 3
    assert cortex(home, "verify", "--head", "no-such-file").returncode == 3
    assert cortex(home, "checkpoint").returncode == 4
    assert cortex(home, "prove", "0").returncode == 4


def test_commands_tell_prove_export_and_report(serve, tmp_path):
    server = serve()
    with CortexClientSync(server.url) as client:
        client.remember("a fact", user_id="ana")
        for number in range(3):
            client.record_audit(
                f"run-{number}", *CALL[1:], subject="ana", parse_ok=True
            )
        client.forget(user_id="ana")
        settled(client)
        last = client.record_audit(*CALL, wait="published")
        read = server.client.get(f"/audit/entries/{last.index}/content")
        assert read.json()["content"]["prompt"] == CALL[3]
    home = server.home

    # Beside the running server.
    shown = cortex(home, "show", str(last.index))
    assert "planner" in shown.stdout
    lines = cortex(home, "export").stdout.splitlines()
    assert [json.loads(line)["chain"]["index"] for line in lines] == list(
        range(len(lines))
    )
    assert json.loads(cortex(home, "export", "--json").stdout)[-1] == json.loads(
        lines[-1]
    )
    assert cortex(home, "show", "--json", "1").stdout == lines[1] + "\n"
    proven = cortex(home, "prove", "1", "--out", "r", "--entry", "e", cwd=tmp_path)
    assert proven.returncode == 0, proven.stderr
    assert (tmp_path / "e").read_text() == lines[1]
    done = cortex(home, "report", "--period", "1d", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["agents"] == {"planner": {"ok": 3, "unknown": 1}}
    kinds = {line["kind"] for line in report["forgotten"]}
    assert kinds == {"memory.forgotten", "subject.forgotten"}
    assert [line["read"] for line in report["reads"]] == [last.index]
    assert report["reads"][0]["actor"]
    assert report["access"][report["reads"][0]["actor"]]["agent.call"] == 4
    assert report["proof"]["verdict"] == "intact"
    assert report["proof"]["checkpoint"].count("\n") >= 4
    assert cortex(home, "report").returncode == 0
    assert cortex(home, "report", "--period", "soon").returncode == 2


def test_keys_rotate_without_a_break_in_trust(serve, tmp_path):
    server = serve()
    with CortexClientSync(server.url) as client:
        old = client.record_audit(*CALL, wait="published")
        entry = client.prove_inclusion(old.index).entry
        (tmp_path / "head").write_text(client.audit_checkpoint())
    home = server.home
    (tmp_path / "old-key").write_text(cortex(home, "key").stdout)
    assert server.stop() == 0
    assert cortex(home, "rotate", "--finish").returncode == 1
    assert cortex(home, "rotate").returncode == 0
    assert cortex(home, "rotate").returncode == 1
    second = serve(home=home)
    with CortexClientSync(second.url) as client:
        client.record_audit(*CALL, wait="published")
    assert second.stop() == 0
    # Who knows the old key only is served until the rotation is finished.
    trusted = ("--key", str(tmp_path / "old-key"), "--head", str(tmp_path / "head"))
    assert verdict(home, *trusted)[0] == 0
    assert cortex(home, "rotate", "--finish").returncode == 0
    third = serve(home=home)
    with CortexClientSync(third.url) as client:
        client.record_audit(*CALL, wait="published")
        assert client.verify_audit().verdict == "intact"
    assert third.stop() == 0
    assert verdict(home)[0] == 0
    for name, text in (("receipt", old.proof), ("entry", entry)):
        (tmp_path / name).write_bytes(text.encode())
    done = cortex(
        home, "check", "receipt", "--entry", "entry", "--key", "old-key", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_old_entries_move_to_the_archive_and_back(serve, tmp_path):
    cold = tmp_path / "cold"
    server = serve()
    with CortexClientSync(server.url) as client:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: client.record_audit(*CALL), range(300)))
        client.record_audit(*CALL, wait="published")
    assert server.stop() == 0
    home = server.home
    done = cortex(
        home, "archive", "--archive", str(cold), "--hot", "0s", "--warm", "0s", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["archived"] == 256
    assert verdict(home, "--archive", str(cold))[0] == 0
    code, told = verdict(home)
    assert (code, told["verdict"]) == (2, "incomplete")
    assert cortex(home, "show", "0").returncode == 4
    assert cortex(home, "show", "0", "--archive", cold.as_uri()).returncode == 0
    # A server that knows the archive shows what lies there.
    again = serve(home=home, CORTEX_LEDGER_ARCHIVE=str(cold))
    with CortexClientSync(again.url) as client:
        assert client.audit_entry(0).run_id == "run-1"
        assert client.verify_audit().verdict == "intact"
    assert again.stop() == 0
    back = cortex(home, "restore", "--archive", str(cold), "--json")
    assert json.loads(back.stdout)["restored"] == 256
    assert cortex(home, "archive", "--archive", "gs://bucket").returncode == 2


@pytest.fixture
def witness(serve, tmp_path):
    """A witness process that knows the log of a server; policy and keys as files."""
    server = serve()
    with CortexClientSync(server.url) as client:
        client.record_audit(*CALL, wait="published")
    log_key = cortex(server.home, "key").stdout
    (tmp_path / "log.vkey").write_text(log_key)
    command = [sys.executable, "-m", "cortex", "witness", "witness.example/w1"]
    command += ["--log", "log.vkey", "--state", str(tmp_path / "witness")]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
    shown = subprocess.run(
        [*command, "--show-key"], cwd=tmp_path, env=kept, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    (tmp_path / "witness.vkey").write_text(shown.stdout)
    (tmp_path / "policy").write_text(
        f"log {log_key.strip()}\nwitness w1 {shown.stdout.strip()}\nquorum w1\n"
    )
    running = subprocess.Popen(
        [*command, "--at", "127.0.0.1:0"], cwd=tmp_path, env=kept,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    url = running.stdout.readline().strip()
    yield (
        server,
        lambda home: cortex(
            home, "cosign", url, "--key", str(tmp_path / "witness.vkey")
        ),
    )
    running.terminate()
    assert running.wait(20) == 0
    running.stdout.close()


def test_a_witness_cosigns_what_only_grew(serve, witness, tmp_path):
    server, cosign = witness
    policy = ("--policy", str(tmp_path / "policy"))
    assert verdict(server.home, *policy)[0] == 2
    first = cosign(server.home)
    assert first.returncode == 0, first.stderr
    assert verdict(server.home, *policy)[0] == 0
    early = tmp_path / "early"
    shutil.copytree(server.home, early)
    with CortexClientSync(server.url) as client:
        assert "witness.example/w1" in client.audit_checkpoint()
        client.record_audit(*CALL, wait="published")
    second = cosign(server.home)
    assert second.returncode == 0, second.stderr

    # A copy that went its own way, with the same key: a fork.
    fork = serve(home=early)
    with CortexClientSync(fork.url) as client:
        for _ in range(2):
            client.record_audit("another-run", *CALL[1:], wait="published")
    refused = cosign(early)
    assert refused.returncode == 1
    assert "refused" in refused.stderr


def test_a_witness_signs_for_no_log_it_was_not_told_of(serve, witness, tmp_path):
    _, cosign = witness
    foreign = serve(home=tmp_path / "elsewhere")
    refused = cosign(foreign.home)
    assert refused.returncode == 1
    assert "does not know" in refused.stderr
