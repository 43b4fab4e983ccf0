"""What a caller is told of a body that is refused."""

from typing import Annotated, Literal

import pytest
from pydantic import Field
from pydantic import ValidationError as PydanticError

from cortex.service.faults import invalid_input
from cortex.service.fields import Wire


class Inner(Wire):
    content: str = "x"


class Body(Wire):
    notes: Annotated[dict[str, int], Field(max_length=1)]
    texts: Annotated[list[str], Field(min_length=1, max_length=2)]
    inner: Inner = Inner()
    size: int = 1
    share: float = 0.5
    deep: bool = False
    mode: Literal["a", "b"] = "a"


VALID = {"notes": {}, "texts": ["x"]}


def told(given):
    with pytest.raises(PydanticError) as refused:
        Body.model_validate({**VALID, **given} if isinstance(given, dict) else given)
    return invalid_input(refused.value.errors(include_input=False))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "request must be an object"),
        ({"inner": 5}, "inner must be an object"),
        ({"inner": {"content": 5}}, "inner.content must be text"),
        ({"notes": []}, "notes must be an object"),
        ({"notes": {"a": 1, "b": 2}}, "notes must have at most 1 item, not "),
        ({"texts": "x"}, "texts must be a list"),
        ({"texts": []}, "texts must have at least 1 item, not 0"),
        ({"texts": ["x", 2]}, "texts[1] must be text"),
        ({"size": "many"}, "size must be a whole number"),
        ({"size": 1.5}, "size must be a whole number"),
        ({"share": None}, "share must be a number"),
        ({"deep": "perhaps"}, "deep must be true or false"),
        ({"mode": "c"}, "mode must be 'a' or 'b'"),
        ({"more": 1}, "more is not a known field"),
    ],
)
def test_a_refusal_is_told_in_words_of_json(given, said):
    error = told(given)
    assert str(error).startswith(said)
    assert "Body" not in str(error.data)
    assert "Inner" not in str(error.data)


def test_the_message_names_three_findings_and_counts_the_rest():
    two = told({"size": "a", "more": 1})
    assert str(two) == "size must be a whole number; more is not a known field"
    assert [one["field"] for one in two.data["errors"]] == ["size", "more"]
    five = told({"inner": 1, "notes": 1, "texts": 1, "size": "a", "share": "a"})
    assert str(five) == (
        "notes must be an object; texts must be a list; inner must be an object "
        "(and 2 more)"
    )
    assert five.data["field"] == "notes"
