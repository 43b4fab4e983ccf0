import re
from pathlib import Path

import pytest

from cortex.foundation.errors import (
    NotFound,
    RateLimited,
    Unavailable,
    ValidationError,
)
from cortex.service import problems

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/reference/errors.md"
SOURCE = ROOT / "src/cortex"


def raised_codes():
    """Return the code of every error class in the source."""
    pattern = re.compile(
        r'^    code(?:: ClassVar\[str\])? = "([A-Z_]+)"$', re.MULTILINE
    )
    return {
        code
        for path in SOURCE.rglob("*.py")
        for code in pattern.findall(path.read_text(encoding="utf-8"))
    }


def test_every_code_has_a_line_in_the_table():
    assert raised_codes() - set(problems.MEANINGS) == set()


def test_the_table_names_no_code_that_nobody_raises():
    assert set(problems.MEANINGS) - raised_codes() == set()


def test_the_page_says_what_the_table_says():
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| (\d+) \| (\d+) \| \S.* \|$", PAGE.read_text(), re.MULTILINE
    )
    told = {code: (int(status), int(leave)) for code, status, leave in rows}
    table = {
        code: (meaning.status, meaning.exit_code)
        for code, meaning in problems.MEANINGS.items()
    }
    assert told == table
    assert len(rows) == len(told)


def test_an_unlisted_leaf_means_what_its_parent_means():
    leaf = type("TeapotNotFound", (NotFound,), {"code": "TEAPOT_NOT_FOUND"})
    body = problems.body_of(leaf("no teapot"), "c")
    assert body["status"] == 404
    assert body["error"]["code"] == "TEAPOT_NOT_FOUND"


def test_the_body_is_the_contracts():
    error = ValidationError("x is wrong", hint="Send y.", field="x", limit=3)
    assert problems.body_of(error, "abc") == {
        "type": "urn:cortex:error:validation-error",
        "title": "Invalid input",
        "status": 422,
        "detail": "x is wrong. Send y.",
        "error": {
            "code": "VALIDATION_ERROR",
            "message": "x is wrong",
            "hint": "Send y.",
            "field": "x",
            "limit": 3,
        },
        "correlation_id": "abc",
    }


def test_facts_cannot_replace_the_code_or_the_message():
    error = ValidationError("real")
    error.data.update(code="FORGED", message="forged")
    told = problems.body_of(error, "c")["error"]
    assert told == {"code": "VALIDATION_ERROR", "message": "real"}


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (RateLimited("x", retry_after_seconds=0.2), 1),
        (RateLimited("x", retry_after_seconds=1.2), 2),
        (Unavailable("x"), 1),
        (NotFound("x", retry_after_seconds=9), None),
    ],
)
def test_retry_after_is_whole_seconds_where_waiting_helps(error, seconds):
    assert problems.retry_after(error) == seconds
    assert problems.body_of(error, "c").get("retry_after") == seconds
