"""The signature of a ContextPack: change one thing, expect refusal."""

import copy
import hashlib
import hmac
from typing import Any

import pytest
import rfc8785

from cortex_client.errors import SignatureError
from cortex_client.signature import sign, verify

KEY = "a key of enough bytes"


def pack() -> dict[str, Any]:
    value: dict[str, Any] = {
        "generated_at": "2026-11-21T08:00:00Z",
        "ttl_seconds": 120,
        "summary": {"memories": 3},
        "resources": [{"id": "r", "name": "ünïcode"}],
        "hot_facts": [{"content": "x", "score": 0.5}],
        "token_count": 7,
        "freshness": "fresh",
        "signature": "",
    }
    value["signature"] = sign(value, KEY)
    return value


def test_it_is_plain_hmac_over_canonical_json() -> None:
    value = pack()
    unsigned = {k: v for k, v in value.items() if k != "signature"}
    expected = hmac.new(KEY.encode(), rfc8785.dumps(unsigned), hashlib.sha256)
    assert value["signature"] == expected.hexdigest()
    verify(value, KEY)
    verify(value, KEY.encode())


@pytest.mark.parametrize(
    "path",
    [
        ("generated_at",),
        ("ttl_seconds",),
        ("summary", "memories"),
        ("resources", 0, "name"),
        ("hot_facts", 0, "score"),
        ("freshness",),
        ("signature",),
    ],
)
def test_any_change_is_found(path: tuple[Any, ...]) -> None:
    value = copy.deepcopy(pack())
    place: Any = value
    for step in path[:-1]:
        place = place[step]
    old = place[path[-1]]
    place[path[-1]] = old + 1 if isinstance(old, int | float) else f"{old}0"
    with pytest.raises(SignatureError, match="does not match"):
        verify(value, KEY)


def test_additions_and_removals_are_found() -> None:
    with pytest.raises(SignatureError):
        verify({**pack(), "more": 1}, KEY)
    less = pack()
    del less["hot_facts"]
    with pytest.raises(SignatureError):
        verify(less, KEY)


def test_an_unsigned_answer_is_refused() -> None:
    value = pack()
    value["signature"] = None
    with pytest.raises(SignatureError, match="not signed"):
        verify(value, KEY)
    with pytest.raises(SignatureError):
        verify([], KEY)


def test_another_key_is_refused() -> None:
    with pytest.raises(SignatureError):
        verify(pack(), "another key")
