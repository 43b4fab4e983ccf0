"""The filter language, operator by operator, and its limits."""

import pytest

from cortex.foundation.canonical import JsonValue
from cortex.memory.errors import InvalidFilter
from cortex.memory.filters import (
    FILTER_CONDITIONS_MAX,
    FILTER_DEPTH_MAX,
    FILTER_TEXT_CHARACTERS_MAX,
    FILTER_VALUES_MAX,
    compile_filter,
)

METADATA: dict[str, JsonValue] = {
    "topic": "tea",
    "score": 4,
    "draft": False,
    "tags": ["a", 1, None],
    "address": {"city": "Oslo"},
    "a.b": "dotted",
    "none": None,
}

CASES: list[tuple[dict[str, JsonValue], bool]] = [
    ({}, True),
    ({"topic": "tea"}, True),
    ({"topic": {"eq": "tea"}, "score": 4}, True),
    ({"topic": "tea", "score": 5}, False),
    ({"topic": {"$ne": "tea"}}, False),
    ({"topic": {"in": ["x", "tea"]}}, True),
    ({"topic": {"in": []}}, False),
    ({"score": {"gt": 3, "lt": 5}}, True),
    ({"score": {"gte": 4, "lte": 4}}, True),
    ({"score": {"gt": "3"}}, False),
    ({"topic": {"gt": "sea"}}, True),
    ({"draft": False}, True),
    ({"draft": 0}, False),
    ({"score": {"eq": True}}, False),
    ({"tags": {"contains": "a"}}, True),
    ({"tags": {"contains": None}}, True),
    ({"tags": {"contains": True}}, False),
    ({"topic": {"contains": "ea"}}, True),
    ({"score": {"contains": 4}}, False),
    ({"address.city": "Oslo"}, True),
    ({"address.city.x": "Oslo"}, False),
    ({"a.b": "dotted"}, True),
    ({"missing": None}, True),
    ({"none": None}, True),
    ({"missing": {"ne": 1}}, True),
    ({"missing": {"lt": 1}}, False),
    ({"or": [{"topic": "x"}, {"score": 4}]}, True),
    ({"$and": [{"topic": "tea"}, {"score": 4}]}, True),
    ({"or": []}, False),
    ({"and": []}, True),
    ({"not": {"topic": "tea"}}, False),
    ({"not": {"or": [{"topic": "x"}, {"topic": "y"}]}}, True),
]


@pytest.mark.parametrize(("where", "wanted"), CASES)
def test_judgement(where: dict[str, JsonValue], wanted: bool) -> None:
    assert compile_filter(where)(METADATA) is wanted


def nested(depth: int) -> JsonValue:
    inner: JsonValue = {"a": 1}
    for _ in range(depth):
        inner = {"not": inner}
    return inner


REFUSED: list[tuple[JsonValue, str]] = [
    ({"a": {"like": 1}}, "where.a"),
    ({"a": {}}, "where.a"),
    ({"a": {"gt": None}}, "where.a.gt"),
    ({"a": {"gt": True}}, "where.a.gt"),
    ({"a": {"eq": [1]}}, "where.a.eq"),
    ({"a": [1]}, "where.a.eq"),
    ({"a": {"in": "x"}}, "where.a.in"),
    ({"a": {"in": [[1]]}}, "where.a.in[0]"),
    ({"a": {"in": [1] * (FILTER_VALUES_MAX + 1)}}, "where.a.in"),
    ({"a": "x" * (FILTER_TEXT_CHARACTERS_MAX + 1)}, "where.a.eq"),
    ({"": 1}, "where."),
    ({"and": {"a": 1}}, "where.and"),
    ({"or": ["x"]}, "where.or[0]"),
    ({"not": [1]}, "where.not"),
    ({"$where": "1"}, "where.$where"),
    ({f"f{n}": 1 for n in range(FILTER_CONDITIONS_MAX + 1)}, "where.f64"),
    (nested(FILTER_DEPTH_MAX), "where" + ".not" * FILTER_DEPTH_MAX),
]


@pytest.mark.parametrize(("where", "field"), REFUSED)
def test_refusal_names_the_place(where: dict[str, JsonValue], field: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        compile_filter(where)
    assert caught.value.data["field"] == field
