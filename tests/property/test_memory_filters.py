"""Filters: any JSON is either refused by name or judged without raising."""

from hypothesis import given
from hypothesis import strategies as st

from cortex.foundation.canonical import JsonValue
from cortex.memory.errors import InvalidFilter
from cortex.memory.filters import compile_filter

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "a.b"]), inner, max_size=3)
    ),
    max_leaves=8,
)
words = st.sampled_from(
    [
        "a",
        "b",
        "a.b",
        "and",
        "or",
        "not",
        "$and",
        "eq",
        "ne",
        "in",
        "gt",
        "gte",
        "lt",
        "lte",
        "contains",
        "$in",
        "$x",
        "",
    ]
)
filters = st.dictionaries(
    words,
    st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=3,
)
objects = st.dictionaries(st.sampled_from(["a", "b", "a.b"]), values, max_size=3)


@given(filters, objects)
def test_refused_or_judged(
    where: dict[str, JsonValue], metadata: dict[str, JsonValue]
) -> None:
    try:
        passes = compile_filter(where)
    except InvalidFilter as error:
        refused = error
    else:
        assert passes(metadata) in (True, False)
        return
    assert str(refused.data["field"]).startswith("where")


@given(objects, objects)
def test_not_is_the_opposite(
    where: dict[str, JsonValue], metadata: dict[str, JsonValue]
) -> None:
    plain = {name: value for name, value in where.items() if _is_scalar(value)}
    passes = compile_filter(plain)
    assert compile_filter({"not": plain})(metadata) is not passes(metadata)
    assert compile_filter({"and": [plain, {}]})(metadata) is passes(metadata)
    assert compile_filter({"or": [plain, {}]})(metadata)


def _is_scalar(value: JsonValue) -> bool:
    return not isinstance(value, dict | list)


@given(scalars, objects)
def test_ne_is_not_eq(value: JsonValue, metadata: dict[str, JsonValue]) -> None:
    equal = compile_filter({"a": {"eq": value}})(metadata)
    assert compile_filter({"a": {"ne": value}})(metadata) is not equal
    assert compile_filter({"a": {"in": [value]}})(metadata) is equal


@given(st.floats(allow_nan=False) | st.integers(), st.integers())
def test_order_of_numbers(found: float, wanted: int) -> None:
    metadata: dict[str, JsonValue] = {"a": found}
    judged = {
        word: compile_filter({"a": {word: wanted}})(metadata)
        for word in ("lt", "lte", "gt", "gte")
    }
    assert judged == {
        "lt": found < wanted,
        "lte": found <= wanted,
        "gt": found > wanted,
        "gte": found >= wanted,
    }
