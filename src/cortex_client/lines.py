"""JSONL files in pieces that one request carries."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from cortex_client.call import LineReader
from cortex_client.decoding import decode
from cortex_client.wire import Imported

BATCH_LINES_MAX = 200
"""Lines of one request: a second or two of work, so that progress is seen."""

BATCH_BYTES_MAX = 1024 * 1024
"""Bytes of one request, unless a single line is longer."""


class TextLines(LineReader[str]):
    """Passes non-empty lines on."""

    def feed(self, line: str) -> str | None:
        """Return the line unless it is empty."""
        return line or None


def batches(
    lines: Iterable[bytes], *, skip: int = 0
) -> Iterator[tuple[int, list[bytes]]]:
    """Yield ``(lines before, batch)``; the first ``skip`` lines are left out.

    Blank lines stay in, so that line numbers are those of the file.
    """
    batch: list[bytes] = []
    size = 0
    start = skip
    for number, line in enumerate(lines):
        if number < skip:
            continue
        bare = line.rstrip(b"\r\n")
        if batch and (
            len(batch) >= BATCH_LINES_MAX or size + len(bare) > BATCH_BYTES_MAX
        ):
            yield start, batch
            start, batch, size = number, [], 0
        batch.append(bare)
        size += len(bare)
    if batch:
        yield start, batch


def read_progress(body: object, start_line: int) -> Imported:
    """Return an import's final state, its line numbers moved by ``start_line``.

    The answer is one object, or one a line as the import went on: the counts of the
    last one hold for all, refused lines are told once each.
    """
    steps = [decode(Imported, step) for step in _steps(body)]
    errors = [error for step in steps for error in step.errors]
    moved = tuple(replace(e, line=e.line + start_line) for e in errors)
    return replace(steps[-1], line=steps[-1].line + start_line, errors=moved)


def _steps(body: object) -> list[object]:
    """Return the objects of a line-by-line answer, or the one that came."""
    if not isinstance(body, str):
        return [body]
    try:
        return [json.loads(line) for line in body.splitlines() if line] or [body]
    except ValueError:
        return [body]
