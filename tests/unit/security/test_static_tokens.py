import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.foundation.errors import Unauthenticated, ValidationError
from cortex.foundation.tenancy import Principal
from cortex.security.tokens import Tokens, parse_tokens
from cortex.testing.memory import START, VirtualClock


def test_the_short_form():
    [first, second] = parse_tokens("ci:abc:memory+context, app:def:*:acme")
    assert (first.name, first.scopes, first.tenant) == (
        "ci",
        frozenset({"memory", "context"}),
        "local",
    )
    assert (second.scopes, second.tenant) == (frozenset({"*"}), "acme")
    assert first.digest == hashlib.sha256(b"abc").digest()


def test_the_json_form():
    digest = hashlib.sha256(b"abc").hexdigest()
    [record] = parse_tokens(
        f'{{"ci": {{"sha256": "{digest}", "scopes": ["memory"], "tenant": "acme",'
        ' "namespaces": ["team/*"], "expires_at": "2027-01-01T00:00:00Z"}}'
    )
    assert record.digest.hex() == digest
    assert record.namespaces == ("team/*",)
    assert record.expires_at == 1798761600.0


def test_the_value_is_not_kept():
    [record] = parse_tokens("ci:very-secret-value:memory")
    assert "very-secret-value" not in repr(record)


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_no_text_is_no_tokens(text):
    assert parse_tokens(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "only-a-secret-value",
        "ci:secret-value",
        "ci:secret-value:flying",
        "ci:secret-value:",
        "ci::memory",
        "c i:secret-value:memory",
        "ci:secret-value:memory:acme:more",
        "a:secret-value:memory,b:secret-value:memory",
        "a:secret-value:memory,a:other-value:memory",
        "{not json secret-value",
        '{"ci": "secret-value"}',
        '{"ci": {"token": "secret-value"}}',
        '{"ci": {"token": "secret-value", "scopes": "memory"}}',
        '{"ci": {"token": "secret-value", "scopes": ["memory"], "what": 1}}',
        '{"ci": {"token": "secret-value", "sha256": "00", "scopes": ["memory"]}}',
        '{"ci": {"sha256": "secret-value", "scopes": ["memory"]}}',
        '{"ci": {"token": "secret-value", "scopes": ["memory"], "tenant": 1}}',
        '{"ci": {"token": "secret-value", "scopes": ["memory"], "expires_at": "x"}}',
        '{"ci": {"token": "secret-value", "scopes": ["memory"], "expires_at": true}}',
    ],
)
def test_a_wrong_form_is_refused_without_telling_the_value(text):
    with pytest.raises(ValidationError) as refused:
        parse_tokens(text)
    assert "secret-value" not in str(refused.value)


def test_a_token_finds_its_principal():
    tokens = Tokens(parse_tokens("ci:abc:memory:acme"), VirtualClock())
    expected = Principal("ci", "acme", frozenset({"memory"}), ("*",))
    assert tokens.authenticate("abc") == expected


@given(st.text(max_size=50))
def test_no_other_token_does(text):
    tokens = Tokens(parse_tokens("ci:abc:memory"), VirtualClock())
    if text != "abc":
        with pytest.raises(Unauthenticated):
            tokens.authenticate(text)


@pytest.mark.parametrize("token", ["", "x" * 10_000, "\ud800"])
def test_hostile_tokens_are_just_unknown(token):
    tokens = Tokens(parse_tokens("ci:abc:memory"), VirtualClock())
    with pytest.raises(Unauthenticated):
        tokens.authenticate(token)


def test_a_token_expires():
    clock = VirtualClock()
    text = f'{{"a": {{"token": "abc", "scopes": ["*"], "expires_at": {START + 10}}}}}'
    tokens = Tokens(parse_tokens(text), clock)
    assert tokens.authenticate("abc").subject == "a"
    clock.advance(10)
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.authenticate("abc")


def test_without_a_token_only_an_open_server_lets_in():
    closed = Tokens((), VirtualClock())
    anyone = Principal("anonymous", scopes=frozenset({"*"}))
    with pytest.raises(Unauthenticated):
        closed.authenticate(None)
    assert Tokens((), VirtualClock(), anonymous=anyone).authenticate(None) is anyone


def test_an_unknown_token_is_told_where_none_is_needed():
    anyone = Principal("anonymous", scopes=frozenset({"*"}))
    for anonymous, said in ((anyone, "send none"), (None, "CORTEX_TOKENS")):
        tokens = Tokens((), VirtualClock(), anonymous=anonymous)
        with pytest.raises(Unauthenticated, match="not known") as refused:
            tokens.authenticate("sk-made-up-by-a-client")
        assert said in refused.value.hint


def test_short_tokens_are_weak_and_hashes_are_trusted():
    digest = "0" * 64
    text = (
        '{"a": {"token": "short", "scopes": ["*"]},'
        ' "b": {"token": "long-enough-to-face-a-network", "scopes": ["*"]},'
        f' "c": {{"sha256": "{digest}", "scopes": ["*"]}}}}'
    )
    assert [record.strong for record in parse_tokens(text)] == [False, True, True]
