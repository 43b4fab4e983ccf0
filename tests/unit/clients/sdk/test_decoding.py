"""Answers into values: tolerant to more, strict about what is needed."""

import pytest

from cortex_client.decoding import decode
from cortex_client.errors import ServerError
from cortex_client.wire import Memory, MemoryStats, Recalled, StateEntry


def test_unknown_fields_are_kept_aside() -> None:
    found = decode(Memory, {"id": "1", "content": "x", "mood": "calm"})
    assert found.extra == {"mood": "calm"}
    assert found.author == ""


def test_nested_values_are_built() -> None:
    body = {"hits": [{"id": "1", "content": "x", "score": 1, "signals": {"bm25": 2}}]}
    found = decode(Recalled, body)
    assert found.hits[0].score == 1.0
    assert found.hits[0].signals == {"bm25": 2.0}


def test_any_json_is_a_state_value() -> None:
    assert decode(StateEntry, {"key": "k", "value": [1, {"a": None}]}).value == [
        1,
        {"a": None},
    ]


def test_json_has_one_kind_of_number() -> None:
    assert decode(MemoryStats, {"total": 120.0}).total == 120


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"total": 1.5}, "answer.total"),
        ({"total": 1, "by_tier": {"hot": "3"}}, "answer.by_tier.hot"),
        ({"total": True}, "answer.total"),
        ({"total": 1, "by_tier": []}, "answer.by_tier"),
        ({}, "answer.total"),
        ([], "answer"),
        (None, "answer"),
    ],
)
def test_a_wrong_answer_names_the_place(body: object, place: str) -> None:
    with pytest.raises(ServerError, match=place) as caught:
        decode(MemoryStats, body)
    assert caught.value.code == "ANSWER_NOT_UNDERSTOOD"


def test_a_list_is_not_an_object() -> None:
    with pytest.raises(ServerError, match=r"answer\.hits"):
        decode(Recalled, {"hits": {}})
