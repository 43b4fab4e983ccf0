"""Lines and events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_client.errors import ServerError
from cortex_client.lines import (
    BATCH_BYTES_MAX,
    BATCH_LINES_MAX,
    TextLines,
    batches,
    read_progress,
)
from cortex_client.sse import EventReader


@given(
    lengths=st.lists(st.integers(0, BATCH_BYTES_MAX // 3), max_size=12),
    skip=st.integers(0, 14),
)
def test_batches_lose_nothing_and_number_right(lengths: list[int], skip: int) -> None:
    lines = [b"x" * n + b"\n" for n in lengths]
    out = list(batches(lines, skip=skip))
    assert [line for _, batch in out for line in batch] == [
        line.rstrip(b"\n") for line in lines[skip:]
    ]
    expected = skip
    for start, batch in out:
        assert start == expected
        assert len(batch) == 1 or sum(map(len, batch)) <= BATCH_BYTES_MAX
        expected += len(batch)


def test_batches_are_bounded_in_lines() -> None:
    out = list(batches([b"{}\r\n"] * (2 * BATCH_LINES_MAX + 1)))
    assert [len(batch) for _, batch in out] == [BATCH_LINES_MAX, BATCH_LINES_MAX, 1]
    assert out[0][1][0] == b"{}"


def test_empty_lines_of_a_stream_are_passed_over() -> None:
    reader = TextLines()
    assert [reader.feed(line) for line in ("a", "", "b")] == ["a", None, "b"]


def test_progress_is_moved_to_the_lines_of_the_file() -> None:
    error = {"line": 2, "code": "VALIDATION_ERROR", "message": "no", "field": None}
    done = {"line": 3, "stored": 2, "existing": 0, "failed": 1, "errors": [error]}
    told = read_progress(done, 200)
    assert (told.line, told.stored, told.errors[0].line) == (203, 2, 202)


def test_progress_may_come_line_by_line() -> None:
    text = (
        '{"line": 1, "stored": 0, "existing": 0, "failed": 1, "errors": '
        '[{"line": 1, "message": "no", "code": "X", "field": "content"}]}\n'
        '{"line": 2, "stored": 1, "existing": 0, "failed": 1, "errors": []}\n'
    )
    told = read_progress(text, 0)
    assert (told.line, told.stored, told.failed, len(told.errors)) == (2, 1, 1, 1)


@pytest.mark.parametrize("body", [None, "", "<html>", []])
def test_no_progress_at_all_is_said(body: object) -> None:
    with pytest.raises(ServerError):
        read_progress(body, 0)


def test_events_are_read_as_the_standard_says() -> None:
    reader = EventReader()
    lines = [
        ": heartbeat",
        "",
        "id: 7",
        "event: memory.stored",
        'data: {"a":',
        "data: 1}",
        "",
        "data:plain",
        "retry: 5",
        "",
    ]
    events = [event for line in lines if (event := reader.feed(line))]
    assert [(e.id, e.type, e.data) for e in events] == [
        ("7", "memory.stored", {"a": 1}),
        ("7", "message", "plain"),
    ]
