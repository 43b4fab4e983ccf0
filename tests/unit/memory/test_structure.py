import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.memory.structure import slim

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
PYTHON = '''#!/usr/bin/env python
import os  # for the path


def home() -> str:
    """Return it: # is no comment here."""
    # The usual place.
    return os.environ["HOME"] + "/#cortex"
'''
GO = """package main

// Says hello.
func main() {
    /* to all
       of you */
    println("http://a//b") // now
}
"""


@given(JSON.filter(lambda value: isinstance(value, list | dict)))
def test_json_means_the_same(value):
    found = slim(json.dumps(value, indent=3))
    assert json.loads(found.text) == value
    assert not found.lossy
    assert len(found.text) <= len(json.dumps(value, separators=(",", ":")))


def test_numbers_and_repeated_names_stay_as_they_are_written():
    assert slim('{ "a": 1.50e3, "a": 10000000000000000000000.1 }').text == (
        '{"a":1.50e3,"a":10000000000000000000000.1}'
    )


@pytest.mark.parametrize("fenced", [False, True])
def test_code_loses_comments_and_blank_lines(fenced):
    found = slim(f"Look:\n```python\n{PYTHON}```\n" if fenced else PYTHON)
    assert found.lossy
    assert "usual place" not in found.text
    assert "for the path" not in found.text
    assert "\n\n" not in found.text
    for kept in ("#!/usr/bin", "# is no comment here", '"/#cortex"', "import os"):
        assert kept in found.text


def test_code_of_the_other_family():
    found = slim(f"```go\n{GO}```")
    assert found.text == (
        '```go\npackage main\nfunc main() {\n    println("http://a//b")\n}\n```'
    )


def test_a_log_keeps_the_first_of_lines_that_are_alike():
    lines = [f"2026-01-02T03:04:{n:02}Z INFO request {n} took 5 ms" for n in range(20)]
    lines.insert(10, "2026-01-02T03:04:10Z ERROR the disk is full")
    found = slim("\n".join(lines))
    assert found.lossy
    assert found.text.splitlines() == [
        lines[0],
        "(9 more lines like it)",
        lines[10],
        lines[11],
        "(9 more lines like it)",
    ]


def test_equal_lines_are_counted_and_prose_stays():
    assert slim("tick\n" * 4 + "tock") == ("tick\n(the same line 4 times)\ntock", False)
    prose = "Ann came at 9. # one\nBob came at 10. // two\n\nThey left; at noon.\n"
    assert slim(prose) == (prose, False)
    table = "1, 2\n3, 4\n5, 6\n7, 8"
    assert slim(table) == (table, False)


@pytest.mark.parametrize(
    "piece", ['\\"', "/*", '"""', "'", "```py\n", "[", "{", "# ", " ", '\\"\\\n']
)
def test_hostile_texts_are_read_once(piece):
    text = "return x;\n" * 9 + '"' + piece * 20_000
    assert slim(text).text.startswith("return x;")
