"""``cortex ledger`` and ``cortex witness`` on files, in this process."""

import asyncio
import json
import sys
from pathlib import Path

import httpx
import pytest
from pyarrow.parquet import read_table
from typer.testing import CliRunner

from cortex.cli.application import build
from cortex.cli.ledger_work import cosign_head
from cortex.cli.witness_server import KEY, cosigner_at, known_logs
from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import Unavailable
from cortex.foundation.ids import Uuid7Source
from cortex.ledger.cosignatures import cosigned_at
from cortex.ledger.errors import KeyUnusable
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import AgentCall, SystemEvent
from cortex.ledger.options import LedgerOptions
from cortex.ledger.witness import REQUEST_BYTES_MAX, Witness, cosigned, request_for
from cortex.service.http.witness import witness_app

ENTRIES = 300


async def filled(home: Path, count: int = ENTRIES) -> None:
    clock = SystemClock()
    context = LedgerContext(clock, Uuid7Source(clock))
    ledger = await Ledger.open(home, context, LedgerOptions(pins=home / "pins"))
    await ledger.record(AgentCall("run", "planner", "plan", "a", "b", parse_ok=True))
    events = [SystemEvent(f"e{n}", "memory.stored", f"m{n}") for n in range(1, count)]
    await asyncio.gather(*(ledger.append(event) for event in events))
    await ledger.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    asyncio.run(filled(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def cortex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run ``cortex ARGUMENTS`` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORTEX_HOME", str(tmp_path / "home"))
    return lambda *arguments: CliRunner().invoke(
        build(), list(arguments), env={"COLUMNS": "200"}
    )


def spoil(home: Path, index: int) -> None:
    path = home / "ledger/ledger.db"
    data = bytearray(path.read_bytes())
    at = data.index(b'"id":"e%d"' % index)
    data[at + 6] ^= 1
    path.write_bytes(bytes(data))


def test_an_intact_log_says_so(home, cortex):
    done = cortex("ledger", "verify")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("intact\n300 entries, read from 0")
    told = json.loads(cortex("ledger", "verify", "--deep", "--json").stdout)
    assert (told["verdict"], told["size"], told["pinned"]) == ("intact", 300, True)


def test_since_begins_at_the_last_pinned_head_below(home, cortex):
    told = json.loads(cortex("ledger", "verify", "--since", "1000", "--json").stdout)
    assert (told["verdict"], told["checked_from"]) == ("intact", 300)
    told = json.loads(cortex("ledger", "verify", "--since", "7", "--json").stdout)
    assert (told["verdict"], told["checked_from"]) == ("intact", 0)


def test_a_changed_entry_is_named(home, cortex):
    spoil(home, 123)
    done = cortex("ledger", "verify")
    assert done.exit_code == 1
    assert done.stdout.startswith("tampered: entry 123")
    assert cortex("ledger", "prove", "123").exit_code != 0
    assert not Path("123.tlog-proof").exists()


@pytest.mark.parametrize("name", ["--head", "--key", "--policy"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense\n", b"\xff\x00"])
def test_what_cannot_be_trusted_is_not_called_tampered(home, cortex, name, content):
    if content == b"" and name == "--policy":
        return
    if content is not None:
        Path("file").write_bytes(content)
    done = cortex("ledger", "verify", name, "file")
    assert done.exit_code == 3, done.output


def test_another_logs_head_is_refused(home, cortex, tmp_path):
    asyncio.run(filled(tmp_path / "other", 5))
    head = tmp_path / "other/pins/head"
    assert cortex("ledger", "verify", "--head", str(head)).exit_code == 3


def test_nothing_there_is_not_intact(cortex):
    done = cortex("ledger", "verify")
    assert (done.exit_code, "Start a server once" in done.stderr) == (3, True)
    assert cortex("ledger", "checkpoint").exit_code == 4
    assert cortex("ledger", "key").exit_code == 2
    assert cortex("ledger", "show", "0").exit_code == 4
    assert cortex("ledger", "export").exit_code == 4
    assert cortex("ledger", "prove", "0").exit_code == 4


def test_a_receipt_is_checked_with_the_key_alone(home, cortex):
    Path("key").write_text(cortex("ledger", "key").stdout)
    done = cortex("ledger", "prove", "17", "--json")
    assert json.loads(done.stdout)["receipt"] == "17.tlog-proof"
    flags = ("check", "17.tlog-proof", "--entry", "17.entry")
    home.rename(home.with_name("gone"))
    assert cortex("ledger", *flags, "--key", "key").exit_code == 0
    told = json.loads(cortex("ledger", *flags, "--key", "key", "--json").stdout)
    assert (told["index"], told["size"]) == (17, 300)
    assert cortex("ledger", *flags).exit_code == 3
    assert cortex("ledger", *flags, "--key", "no-such-file").exit_code == 3
    Path("17.entry").write_bytes(Path("17.entry").read_bytes() + b" ")
    assert cortex("ledger", *flags, "--key", "key").exit_code == 1
    assert cortex("ledger", "check", "key", "--entry", "key", "--key", "key").exit_code


def test_entries_are_shown_exported_and_reported(home, cortex):
    assert "agent: planner" in cortex("ledger", "show", "0").stdout
    assert cortex("ledger", "show", "300").exit_code == 4
    lines = cortex("ledger", "export", "--from", "298").stdout.splitlines()
    assert [json.loads(line)["chain"]["index"] for line in lines] == [298, 299]
    assert (
        json.loads(cortex("ledger", "export", "--from", "300", "--json").stdout) == []
    )
    assert len(json.loads(cortex("ledger", "export", "--json").stdout)) == 300
    done = cortex("ledger", "report", "--period", "1d")
    assert done.exit_code == 0, done.output
    assert "300 entries, 0 to 299" in done.stdout
    told = json.loads(cortex("ledger", "checkpoint", "--json").stdout)
    assert told["size"] == 300
    assert told["note"] == cortex("ledger", "checkpoint").stdout


def test_facts_are_exported_as_a_table(home, cortex, tmp_path):
    flags = ("--format", "parquet", "--from", "0")
    assert cortex("ledger", "export", *flags).exit_code == 2
    out = tmp_path / "entries.parquet"
    done = cortex("ledger", "export", *flags, "--out", str(out))
    assert done.stdout == f"300 entries in {out}\n"

    table = read_table(out)

    leaves = [
        json.loads(line) for line in cortex("ledger", "export").stdout.splitlines()
    ]
    rows = table.to_pylist()
    assert [row["index"] for row in rows] == list(range(300))
    assert [json.loads(row["data"]) for row in rows] == [
        leaf["event"]["data"] for leaf in leaves
    ]
    assert rows[1]["entry_hash"] is not None
    assert [row["entry_hash"] for row in rows[:-1]] == [
        leaf["chain"]["prev"] for leaf in leaves[1:]
    ]
    assert (rows[0]["kind"], rows[0]["agent"]) == ("agent.call", "planner")
    about = table.schema.metadata
    assert about[b"cortex.size"] == b"300"
    assert about[b"cortex.notice"].startswith(b"derived")
    out.write_bytes(b"spoilt")
    assert cortex("ledger", "verify").exit_code == 0


def test_without_the_extra_a_table_is_refused_in_one_sentence(
    home, cortex, tmp_path, monkeypatch
):
    monkeypatch.delitem(sys.modules, "cortex.ledger.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    done = cortex(
        "ledger", "export", "--format", "parquet", "--out", str(tmp_path / "x")
    )

    assert done.exit_code == 2
    assert "pip install 'cortex-context[parquet]'" in done.output


def test_entries_move_to_the_archive_and_back(home, cortex, tmp_path):
    cold = str(tmp_path / "cold")
    assert cortex("ledger", "archive").exit_code == 2
    ages = ("--hot", "0s", "--warm", "0s")
    assert cortex("ledger", "archive", "--archive", "gs://b/p", *ages).exit_code == 2
    wrong = ("--hot", "2d", "--warm", "1d")
    assert cortex("ledger", "archive", "--archive", cold, *wrong).exit_code == 2
    done = cortex("ledger", "archive", "--archive", cold, *ages)
    assert "256 entries archived" in done.stdout
    assert cortex("ledger", "verify").exit_code == 2
    assert cortex("ledger", "verify", "--archive", cold).exit_code == 0
    assert cortex("ledger", "show", "0").exit_code == 4
    assert cortex("ledger", "export").exit_code == 4
    done = cortex("ledger", "restore", "--archive", cold, "--until", "256")
    assert done.stdout == "256 entries restored\n"
    assert cortex("ledger", "restore").exit_code == 2


def test_keys_rotate_in_order(home, cortex):
    assert cortex("ledger", "rotate", "--finish").exit_code == 1
    keys = json.loads(cortex("ledger", "rotate", "--json").stdout)["keys"]
    assert len(keys) == 2
    assert cortex("ledger", "rotate").exit_code == 1
    # No head carries the new key's signature yet: nothing was recorded since.
    assert cortex("ledger", "rotate", "--finish").exit_code == 1
    assert cortex("ledger", "key").stdout.split() == keys
    asyncio.run(filled_more(home))
    assert cortex("ledger", "rotate", "--finish").exit_code == 0
    assert cortex("ledger", "key").stdout.split() == keys[:1]
    assert cortex("ledger", "verify").exit_code == 0


async def filled_more(home: Path) -> None:
    clock = SystemClock()
    context = LedgerContext(clock, Uuid7Source(clock))
    ledger = await Ledger.open(home, context, LedgerOptions(pins=home / "pins"))
    await ledger.append(SystemEvent("more", "memory.stored"), published=True)
    await ledger.close()


def test_a_witness_keeps_its_name_and_key(tmp_path):
    folder = tmp_path / "witness"
    made = cosigner_at(folder, "w.example/1")
    again = cosigner_at(folder, "w.example/1")
    assert made.verifier_key == again.verifier_key
    with pytest.raises(KeyUnusable, match="signs as"):
        cosigner_at(folder, "w.example/2")
    path = folder / KEY
    path.chmod(0o644)
    with pytest.raises(KeyUnusable, match="open to others"):
        cosigner_at(folder, "w.example/1")
    path.chmod(0o600)
    path.write_text("w.example/1\nAAAA\n")
    with pytest.raises(KeyUnusable, match="no witness key"):
        cosigner_at(folder, "w.example/1")


def test_the_witness_command_says_what_it_lacks(cortex, tmp_path):
    state = ("--state", str(tmp_path / "w"))
    shown = cortex("witness", "w.example/1", *state, "--show-key")
    assert shown.stdout.startswith("w.example/1+")
    told = json.loads(
        cortex("witness", "w.example/1", *state, "--show-key", "--json").stdout
    )
    assert told["key"] == shown.stdout.strip()
    assert cortex("witness", "w.example/1", *state).exit_code == 2
    log = tmp_path / "log"
    log.write_text(shown.stdout)
    for place in ("nowhere", "127.0.0.1:99999", "127.0.0.1:x"):
        flags = ("--log", str(log), "--at", place)
        assert cortex("witness", "w.example/1", *state, *flags).exit_code == 2
    assert cortex("witness", "a name", *state, "--show-key").exit_code == 2


async def test_the_witness_answers_over_http(tmp_path):
    home = tmp_path / "home"
    await filled(home, 5)
    cosigner = cosigner_at(tmp_path / "w", "w.example/1")
    logs = known_logs([home / "pins/verifier.vkey"])
    app = witness_app(Witness(tmp_path / "w", cosigner, logs, SystemClock()))
    clock = SystemClock()
    ledger = await Ledger.open(home, LedgerContext(clock, Uuid7Source(clock)))
    signed = ledger.checkpoint()
    await ledger.close()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://w") as http:
        answer = await http.post("/add-checkpoint", content=request_for(signed, 0, ()))
        assert answer.status_code == 200
        done = cosigned(signed, answer.content, [cosigner.verifier_key])
        lines = done.note.signatures
        assert any(cosigned_at(done, line, cosigner.verifier_key) for line in lines)
        again = await http.post("/add-checkpoint", content=request_for(signed, 3, ()))
        assert (again.status_code, again.text) == (409, "5\n")
        assert again.headers["content-type"].startswith("text/x.tlog.size")
        large = await http.post(
            "/add-checkpoint", content=b"x" * (REQUEST_BYTES_MAX + 1)
        )
        assert large.status_code == 413
        assert (await http.post("/add-checkpoint", content=b"x")).status_code == 400
        assert (await http.get("/add-checkpoint")).status_code == 405


def test_a_witness_that_is_not_there_is_told(home, cortex, tmp_path):
    cosigner = cosigner_at(tmp_path / "w", "w.example/1")
    with pytest.raises(Unavailable, match="does not answer"):
        cosign_head("http://127.0.0.1:1", [cosigner.verifier_key])
    Path("w.vkey").write_text(cosigner.verifier_key.encode())
    done = cortex("ledger", "cosign", "http://127.0.0.1:1", "--key", "w.vkey")
    assert done.exit_code == 1


@pytest.mark.parametrize("what", [("rotate",), ("archive", "--archive", "cold")])
def test_no_ledger_is_begun_where_none_is(cortex, tmp_path, what):
    done = cortex("ledger", *what)
    assert done.exit_code == 4
    assert "there is no ledger at" in done.stderr
    assert not (tmp_path / "home").exists()
