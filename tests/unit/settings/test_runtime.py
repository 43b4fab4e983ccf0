"""Settings by dotted name: read, limited, and set together."""

import pytest
from pydantic import ValidationError

from cortex.settings import Settings
from cortex.settings.runtime import (
    flat,
    is_given,
    is_secret,
    limits_of,
    names,
    value_of,
    with_values,
)

SETTINGS = Settings(tokens="a:b:*", trace={"slow_ms": 100})


def test_every_setting_can_be_read_by_its_name() -> None:
    assert {"log_level", "trace.ratio", "issuers", "tokens"} <= names()
    assert "trace" not in names()
    for name in names():
        value_of(SETTINGS, name)
        limits_of(SETTINGS, name)


def test_only_secrets_keep_their_value() -> None:
    secret = {name for name in names() if is_secret(SETTINGS, name)}
    assert {"tokens", "signing_key", "llm.api_key", "encryption.older_keys"} <= secret
    assert "log_level" not in secret
    assert {value_of(SETTINGS, name) for name in secret} == {None}
    assert is_given(SETTINGS, "tokens")
    assert not is_given(SETTINGS, "signing_key")


def test_values_lie_above_and_leave_the_rest() -> None:
    values = dict(flat({"trace": {"ratio": 0.5}, "log_level": "debug"}))
    made = with_values(SETTINGS, values)
    assert (made.trace.ratio, made.trace.slow_ms) == (0.5, 100)
    assert value_of(made, "log_level") == "debug"
    assert made.tokens == SETTINGS.tokens
    assert SETTINGS.trace.ratio == 0.1


def test_two_values_of_one_table_are_both_set() -> None:
    made = with_values(SETTINGS, {"quotas.tokens": 5, "quotas.bytes": 6})
    assert (made.quotas.tokens, made.quotas.bytes) == (5, 6)


def test_what_is_wrong_anywhere_refuses_all() -> None:
    with pytest.raises(ValidationError) as refused:
        with_values(SETTINGS, {"trace.ratio": 9, "log_level": "loud", "port": 1})
    places = {error["loc"] for error in refused.value.errors()}
    assert places == {("trace", "ratio"), ("log_level",)}
