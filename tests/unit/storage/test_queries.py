"""Query files are split by name; mistakes in them are found when they are loaded."""

import pytest

from cortex.storage.errors import StorageError
from cortex.storage.queries import Queries, parse


def test_sections_become_queries() -> None:
    text = "-- a file\n\n-- name: one\n-- why\nSELECT 1;\n\n-- name: two\nSELECT\n  2\n"
    assert parse(text, "x") == {"one": "SELECT 1", "two": "SELECT\n  2"}


@pytest.mark.parametrize(
    "text", ["-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;", "-- name: a\n-- only this"]
)
def test_mistakes_are_refused(text: str) -> None:
    with pytest.raises(StorageError, match="'a'"):
        parse(text, "x")


def test_loading_from_a_package() -> None:
    queries = Queries.load("cortex.storage", "outbox")
    assert "append" in queries
    assert len(queries) == len(list(queries))
    with pytest.raises(StorageError, match="no query named 'nothing'"):
        queries["nothing"]
    with pytest.raises(StorageError, match="not in the package"):
        Queries.load("cortex.storage", "no_such_file")
