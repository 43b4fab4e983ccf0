"""The demo's data and its proof, without a server."""

import hashlib
import importlib.util
import json
import re
import socket
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cortex.cli.demo import command, proof, story
from cortex.cli.demo.server import free_port, is_free
from cortex.foundation.errors import CortexError

ROOT = Path(__file__).parents[4]
FOLDER = ROOT / "src/cortex/cli/demo"


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "build_demo_data", ROOT / "tools/build_demo_data.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up while it is being made.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def turns() -> list[dict[str, Any]]:
    records = [json.loads(line) for line in proof.data()]
    return [record for record in records if "content" in record]


def test_the_conversation_is_long_whole_and_small() -> None:
    said = turns()
    assert 300 <= len(said) <= 1500
    assert (FOLDER / story.DATA_FILE).stat().st_size < 500_000
    fields = {"content", "author", "user_id", "session_id", "occurred_at"}
    assert all(set(turn) == fields for turn in said)
    sessions = [json.loads(line) for line in proof.data() if b'"type"' in line]
    assert {s["id"] for s in sessions} == {turn["session_id"] for turn in said}
    times = [turn["occurred_at"] for turn in said]
    assert times == sorted(times)


def test_the_readme_counts_right_and_names_the_source(builder: ModuleType) -> None:
    readme = (FOLDER / "README.md").read_text()
    (count,) = re.findall(r"holds (\d[\d\s]*) turns", readme)
    assert int(re.sub(r"\s", "", count)) == len(turns())
    assert builder.SOURCE_SHA256 in readme
    assert "public domain" in readme


@pytest.mark.parametrize(
    ("question", "evidence"),
    list(
        zip(
            story.QUESTIONS,
            ("birthday", "1202", "boots", "plaque", "food so far has been very good"),
            strict=True,
        )
    ),
)
def test_each_question_has_its_answer_in_the_data(question: str, evidence: str) -> None:
    assert question.endswith("?")
    assert any(evidence in turn["content"] for turn in turns())


def test_the_unanswered_question_has_none() -> None:
    text = " ".join(turn["content"] for turn in turns())
    for word in ("hotel", "Lisbon", "Maria", "wedding"):
        assert word not in text


def test_own_words_are_of_one_person_alone() -> None:
    said = turns()
    words = proof.own_words(proof.data(), story.FORGOTTEN.user_id)
    assert len(words) > 30
    others = [t["content"] for t in said if t["user_id"] != story.FORGOTTEN.user_id]
    assert not any(word.decode() in text for word in words for text in others)


def test_the_proof_finds_what_is_there(tmp_path: Path) -> None:
    words = [b"a sentence of his", b"another one", b"not in any file"]
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x.db").write_bytes(b"\0" * 9 + words[0] + b"\xff")
    (tmp_path / "log").write_bytes(words[1])
    assert proof.found_in(tmp_path, words) == 2
    assert proof.found_in(tmp_path / "deep", words) == 1


def test_a_taken_port_is_seen() -> None:
    port = free_port()
    assert is_free(port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not is_free(taken.getsockname()[1])


TRANSCRIPT = """# From somewhere

00 00 00 04 CDR
Roger. Clock.

00 00 00 l3 CC
(GODS NET 1) Tape 1/2 Page 3
11, Houston. GUAYMAS (REV 1)

99 00 00 20 CMP (COLUMBIA)
0kay. *** Three asterisks denote clipping of words and phrases.

00 00 00 30 LMP
...

00 00 00 40 PRESIDENT NIX0N
Hello. 00 00 00 41 CC Go ahead.
"""


def test_the_transcript_is_read_with_its_slips(builder: ModuleType) -> None:
    assert [
        (turn.elapsed_seconds, turn.speaker, turn.text)
        for turn in builder.turns(TRANSCRIPT)
    ] == [
        (4, "CDR", "Roger. Clock."),
        (13, "CC", "11, Houston."),
        (13, "CMP", "Okay."),
        (40, "PRESIDENT", "Hello."),
        (41, "CC", "Go ahead."),
    ]


def test_another_source_is_refused(builder: ModuleType, tmp_path: Path) -> None:
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(builder.SOURCE_MEMBER, "something else")
    expected = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(SystemExit, match=expected):
        builder.read_source(wheel)


def test_the_demo_listens_where_the_server_would(
    cortex: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[int]()

    def stop(port: int) -> bool:
        asked.append(port)
        raise CortexError("far enough")

    monkeypatch.setattr(command, "is_free", stop)
    cortex("demo", CORTEX_PORT="5123")
    cortex("demo", "--port", "5124", CORTEX_PORT="5123")
    cortex("demo", CORTEX_PORT="")
    assert asked == [5123, 5124, 4949]
    assert cortex("demo", CORTEX_PORT="70000").exit_code == 2
