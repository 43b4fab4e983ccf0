"""``cortex import`` and ``cortex export``: JSONL in and out, with resume."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from cortex.cli.command import Server, command, fail
from cortex.cli.exits import Exit
from cortex.cli.printing import print_json, say
from cortex.cli.selecting import NamespaceName, Which
from cortex_client import CortexClientSync
from cortex_client.lines import batches
from cortex_client.wire import Imported, LineError

STATE_SUFFIX = ".cortex-import"
ERRORS_SHOWN_MAX = 10
"""Refused lines told in full; the rest are counted."""

_HEAD_BYTES = 65_536


@dataclass(slots=True)
class Tally:
    """What an import did so far; ``line`` is where a resume goes on."""

    line: int = 0
    stored: int = 0
    existing: int = 0
    failed: int = 0

    def add(self, step: Imported) -> None:
        """Count one batch."""
        self.line = step.line
        self.stored += step.stored
        self.existing += step.existing
        self.failed += step.failed


class Resume:
    """Where an import of a file stopped, kept beside the file until it is done."""

    def __init__(self, source: Path, target: str) -> None:
        """Name the file, and the server and namespace it goes to."""
        self._source = source
        self._path = source.with_name(source.name + STATE_SUFFIX)
        self._target = target

    def line(self) -> int:
        """Return how many lines are done; 0 when this is another import."""
        try:
            state = json.loads(self._path.read_text(encoding="utf-8"))
            same = state["target"] == self._target and state["head"] == self._head()
            return int(state["line"]) if same else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def save(self, line: int) -> None:
        """Write how many lines are done, in one step."""
        state = {"target": self._target, "head": self._head(), "line": line}
        beside = self._path.with_name(self._path.name + ".new")
        beside.write_text(json.dumps(state), encoding="utf-8")
        beside.replace(self._path)

    def done(self) -> None:
        """Remove the note: the next import of this file begins at its start."""
        self._path.unlink(missing_ok=True)

    def _head(self) -> str:
        with self._source.open("rb") as file:
            return hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest()


@command
def import_(
    source: Annotated[str, typer.Argument(help="JSONL file; - is standard input.")],
    server: Server,
    namespace: NamespaceName = None,
    from_line: Annotated[
        int | None, typer.Option(min=0, help="Lines to skip; else where it stopped.")
    ] = None,
) -> int:
    """Store a JSONL file; run it again after an interruption and it goes on.

    Each line is an object with content and, where known, author, user_id,
    session_id, occurred_at, tags, metadata. A line sent twice is stored once.

    Example: cortex import conversation.jsonl --namespace team-a
    """
    with server.connect() as client:
        if source == "-":
            tally, errors = _import_stream(client, namespace, from_line or 0)
        else:
            tally, errors = _import_file(client, Path(source), namespace, from_line)
    for error in errors[:ERRORS_SHOWN_MAX]:
        fail(f"line {error.line}: {error.message}")
    if server.as_json:
        print_json({**asdict(tally), "errors": errors})
    else:
        print(
            f"{tally.stored} stored, {tally.existing} there already, "
            f"{tally.failed} refused"
        )
    return Exit.FAILURE if tally.failed else Exit.OK


def import_steps(
    client: CortexClientSync,
    lines: Iterator[bytes],
    namespace: str | None,
    skip: int = 0,
) -> Iterator[Imported]:
    """Send the lines in batches and yield each batch's outcome."""
    for start, batch in batches(lines, skip=skip):
        yield client.import_lines(batch, start, namespace=namespace)


@contextmanager
def bar(title: str, total: int | None, *, quiet: bool = False) -> Iterator[Progress]:
    """Show a progress bar on standard error, when that is a terminal."""
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    )
    with progress:
        progress.add_task(title, total=total, note="")
        yield progress


def _import_file(
    client: CortexClientSync, path: Path, namespace: str | None, from_line: int | None
) -> tuple[Tally, list[LineError]]:
    with path.open("rb") as file:
        total = sum(1 for _ in file)
    resume = Resume(path, f"{client.base_url} {namespace or ''}")
    skip = resume.line() if from_line is None else from_line
    if skip and from_line is None:
        say(f"going on after line {skip} (start over with --from-line 0)")
    tally, errors = Tally(line=skip), list[LineError]()
    with path.open("rb") as file, bar(path.name, total) as progress:
        for step in import_steps(client, iter(file), namespace, skip):
            tally.add(step)
            errors += step.errors
            resume.save(tally.line)
            note = f"{tally.failed} refused" if tally.failed else ""
            progress.update(progress.task_ids[0], completed=tally.line, note=note)
    resume.done()
    return tally, errors


def _import_stream(
    client: CortexClientSync, namespace: str | None, skip: int
) -> tuple[Tally, list[LineError]]:
    tally, errors = Tally(line=skip), list[LineError]()
    for step in import_steps(client, iter(sys.stdin.buffer), namespace, skip):
        tally.add(step)
        errors += step.errors
        say(f"{tally.line} lines")
    return tally, errors


@dataclass(frozen=True, slots=True)
class Source(Server):
    """Which server to export from."""

    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Tell the file and its lines as JSON; memories are JSON lines anyway.",
        ),
    ] = False


@command
def export(
    which: Which,
    server: Source,
    target: Annotated[str, typer.Argument(help="File; - is standard output.")] = "-",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted export.")
    ] = False,
) -> None:
    """Write memories as JSONL; importing the file gives the same answers.

    One memory a line, as JSON; on standard output nothing else is printed.

    Example: cortex export backup.jsonl --namespace team-a
    """
    with server.connect() as client:
        total = (
            None if which.narrowed else client.stats(namespace=which.namespace).total
        )
        lines = client.export_lines(**which.selection())
        if target == "-":
            for line in lines:
                print(line)
            return
        count = _write(lines, Path(target), total, resume=resume)
    if server.as_json:
        print_json({"file": target, "lines": count})
    else:
        print(f"{count} lines in {target}")


def _write(lines: Iterator[str], path: Path, total: int | None, *, resume: bool) -> int:
    """Write to ``<path>.part``, then name it ``path``; return the lines in it."""
    part = path.with_name(path.name + ".part")
    count = _whole_lines(part) if resume and part.exists() else 0
    skip = count
    with part.open("ab" if count else "wb") as file, bar(path.name, total) as progress:
        for line in lines:
            if skip:
                skip -= 1
                continue
            file.write(line.encode() + b"\n")
            count += 1
            progress.update(progress.task_ids[0], completed=count)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return count


def _whole_lines(path: Path) -> int:
    """Cut a half-written last line off and return how many are left."""
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    with path.open("r+b") as file:
        file.truncate(end)
    return data.count(b"\n")
