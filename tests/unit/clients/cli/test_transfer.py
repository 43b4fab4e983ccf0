"""Import and export: counts, refused lines, interruption and resume."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cortex_client.lines import BATCH_LINES_MAX


class Store:
    """Counts imported lines; answers 500 to one batch, refuses marked lines."""

    def __init__(self, reply: Any, fail_at: int | None = None) -> None:
        self.lines: list[str] = []
        self._reply = reply
        self._fail_at = fail_at
        self._batches = 0

    def __call__(self, seen: Any) -> Any:
        self._batches += 1
        if self._batches == self._fail_at:
            return self._reply(500, {"error": {"code": "X", "message": "broken"}})
        given = seen.raw.decode().splitlines()
        errors = [
            {"line": n, "code": "VALIDATION_ERROR", "message": "content is required"}
            for n, line in enumerate(given, 1)
            if "bad" in line
        ]
        self.lines += given
        return self._reply(
            200,
            {
                "line": len(given),
                "stored": len(given) - len(errors),
                "existing": 0,
                "failed": len(errors),
                "errors": errors,
                "done": True,
            },
        )


def write(path: Path, count: int) -> list[str]:
    lines = [json.dumps({"content": f"turn {n}"}) for n in range(count)]
    path.write_text("\n".join(lines) + "\n")
    return lines


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "talk.jsonl"


def test_an_import_that_broke_goes_on_where_it_stopped(
    cortex: Any, server: Any, reply: Any, source: Path
):
    lines = write(source, 3 * BATCH_LINES_MAX)
    server.usual = store = Store(reply, fail_at=2)
    assert cortex("import", str(source), "-n", "x").exit_code == 1
    assert store.lines == lines[:BATCH_LINES_MAX]
    again = cortex("import", str(source), "-n", "x")
    assert again.exit_code == 0
    assert f"going on after line {BATCH_LINES_MAX}" in again.stderr
    assert again.stdout == f"{2 * BATCH_LINES_MAX} stored, 0 there already, 0 refused\n"
    assert store.lines == lines
    assert [path.name for path in source.parent.iterdir()] == [source.name]
    assert server.seen[0].query == {"namespace": ["x"]}


def test_another_file_or_namespace_starts_at_its_beginning(
    cortex: Any, server: Any, reply: Any, source: Path
):
    write(source, 2 * BATCH_LINES_MAX)
    server.usual = store = Store(reply, fail_at=2)
    cortex("import", str(source))
    assert cortex("import", str(source), "-n", "other").exit_code == 0
    assert len(store.lines) == 3 * BATCH_LINES_MAX


def test_from_line_wins_over_the_note(
    cortex: Any, server: Any, reply: Any, source: Path
):
    lines = write(source, 10)
    server.usual = store = Store(reply)
    cortex("import", str(source), "--from-line", "7")
    assert store.lines == lines[7:]


def test_refused_lines_are_told_by_number(
    cortex: Any, server: Any, reply: Any, source: Path
):
    lines = [*write(source, BATCH_LINES_MAX + 1), '{"bad": 1}']
    source.write_text("\n".join(lines))
    server.usual = Store(reply)
    done = cortex("import", str(source), "--json")
    assert done.exit_code == 1
    assert f"line {len(lines)}: content is required" in done.stderr
    told = json.loads(done.stdout)
    assert (told["line"], told["stored"], told["failed"]) == (
        len(lines),
        len(lines) - 1,
        1,
    )


def test_standard_input_can_be_imported(cortex: Any, server: Any, reply: Any):
    server.usual = store = Store(reply)
    done = cortex("import", "-", stdin='{"content": "a"}\n{"content": "b"}\n')
    assert done.exit_code == 0
    assert len(store.lines) == 2


def test_a_missing_file_is_one_line(cortex: Any, tmp_path: Path):
    done = cortex("import", str(tmp_path / "none.jsonl"))
    assert done.exit_code == 2
    assert "No such file" in done.stderr


def test_export_to_standard_output(cortex: Any, server: Any, reply: Any):
    server.then(reply(200, b'{"content":"a"}\n{"content":"b"}\n'))
    done = cortex("export", "--user", "ana")
    assert done.stdout == '{"content":"a"}\n{"content":"b"}\n'
    assert server.seen[0].query == {"user_id": ["ana"]}


def test_json_leaves_an_export_to_standard_output_importable(
    cortex: Any, server: Any, reply: Any, source: Path
):
    server.usual = lambda _: reply(200, b'{"content":"a"}\n{"content":"b"}\n')
    done = cortex("export", "--json", "--user", "ana")
    assert done.stdout == '{"content":"a"}\n{"content":"b"}\n'
    told = cortex("export", str(source), "--json", "--user", "ana").stdout
    assert json.loads(told) == {"file": str(source), "lines": 2}
    assert source.read_text() == done.stdout


def test_export_to_a_file_appears_whole(
    cortex: Any, server: Any, reply: Any, tmp_path: Path
):
    target = tmp_path / "out.jsonl"
    server.then(reply(200, {"total": 2}), reply(200, b"a\nb\n"))
    done = cortex("export", str(target))
    assert done.stdout == f"2 lines in {target}\n"
    assert target.read_text() == "a\nb\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_an_interrupted_export_goes_on(
    cortex: Any, server: Any, reply: Any, tmp_path: Path
):
    target = tmp_path / "out.jsonl"
    (tmp_path / "out.jsonl.part").write_bytes(b"a\nb\nhalf")
    server.then(reply(200, {"total": 3}), reply(200, b"a\nb\nc\n"))
    assert cortex("export", str(target), "--resume").exit_code == 0
    assert target.read_text() == "a\nb\nc\n"


def test_a_reader_that_leaves_early_is_no_error(server: Any, reply: Any):
    line = b'{"content": "' + b"x" * 1000 + b'"}\n'
    server.then(reply(200, line * 2000))
    done = subprocess.run(
        f"{sys.executable} -m cortex export --user ana --url {server.url} | head -n 1",
        shell=True,
        capture_output=True,
        check=False,
    )
    assert done.stdout == line
    assert done.stderr == b""
