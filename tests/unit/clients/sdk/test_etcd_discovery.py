"""etcd's JSON gateway, served here as its documentation describes it.

The same client meets a real etcd in ``tests/peers/test_etcd.py``.
"""

import base64
import json

import pytest

from cortex_client import etcd
from cortex_client.discovery import locate
from cortex_client.errors import ConfigurationError

PREFIX = "/services/cortex/"


def coded(text):
    return base64.b64encode(text.encode()).decode()


def pair(value, key="a"):
    """Return one key as etcd tells it: an empty value is left out."""
    told = {"key": coded(PREFIX + key), "create_revision": "2", "version": "1"}
    return {**told, "value": coded(value)} if value else told


def answer(*pairs):
    told = {"header": {"cluster_id": "1", "member_id": "2", "revision": "3"}}
    return {**told, "kvs": list(pairs), "count": str(len(pairs))} if pairs else told


@pytest.fixture
def member(server, monkeypatch):
    monkeypatch.setattr(etcd, "TIMEOUT_SECONDS", 20.0)  # a shared machine may stall
    reply = type(server.usual(None))
    server.say = lambda body, status=200, **more: server.then(
        reply(status, body, **more)
    )
    server.environ = {
        "CORTEX_ETCD_PREFIX": PREFIX,
        "ETCDCTL_ENDPOINTS": server.url.removeprefix("http://"),
    }
    return server


def test_an_instance_below_the_prefix_is_found(member):
    member.say(answer(pair("http://10.0.0.1:4949")))
    assert locate(None, member.environ) == "http://10.0.0.1:4949"
    (seen,) = member.seen
    assert (seen.method, seen.path) == ("POST", "/v3/kv/range")
    assert seen.body == {
        "key": coded("/services/cortex/"),
        "range_end": coded("/services/cortex0"),
        "limit": "64",
    }
    assert "authorization" not in seen.headers


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("10.0.0.1:4949", "http://10.0.0.1:4949"),
        ("[fd00::1]:4949\n", "http://[fd00::1]:4949"),
        ("https://cortex.example/", "https://cortex.example"),
        (json.dumps({"Op": 0, "Addr": "10.0.0.2:80"}), "http://10.0.0.2:80"),
    ],
)
def test_a_value_may_be_written_in_three_ways(member, value, url):
    member.say(answer(pair(value)))
    assert locate(None, member.environ) == url


def test_a_user_gets_a_token_first(member):
    member.say({"token": "kzsM.12"})
    member.say(answer(pair("a:1")))
    environ = {**member.environ, "ETCDCTL_USER": "reader:secret:with:colons"}
    assert locate(None, environ) == "http://a:1"
    first, second = member.seen
    assert first.path == "/v3/auth/authenticate"
    assert first.body == {"name": "reader", "password": "secret:with:colons"}
    assert second.headers["authorization"] == "kzsM.12"


def test_the_next_member_is_asked_when_one_is_gone_or_has_no_leader(member):
    gone = {**member.environ, "ETCDCTL_ENDPOINTS": f"127.0.0.1:9, {member.url}/"}
    member.say(answer(pair("a:1")))
    assert locate(None, gone) == "http://a:1"
    twice = {**member.environ, "ETCDCTL_ENDPOINTS": f"{member.url},{member.url}"}
    member.say({"message": "etcdserver: no leader", "code": 14}, 503)
    member.say(answer(pair("b:1")))
    assert locate(None, twice) == "http://b:1"


def test_any_of_several_instances_may_be_chosen(member):
    for _ in range(40):
        member.say(answer(pair("a:1"), pair("a:2", "b")))
    found = {locate(None, member.environ) for _ in range(40)}
    assert found == {"http://a:1", "http://a:2"}


def test_without_instances_the_next_place_is_asked(member):
    member.say(answer())
    kubernetes = {**member.environ, "CORTEX_SERVICE_HOST": "10.0.0.1"}
    assert locate(None, kubernetes) == "http://10.0.0.1:4949"


def test_an_address_that_is_given_asks_nobody(member):
    assert locate("http://here:1", member.environ) == "http://here:1"
    assert locate(None, {**member.environ, "CORTEX_URL": "http://x"}) == "http://x"
    assert locate(None, {"ETCDCTL_ENDPOINTS": member.url}) == "http://127.0.0.1:4949"
    assert member.seen == []
    assert etcd.cluster_of({}).urls == ("http://127.0.0.1:2379",)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, {"message": "etcdserver: user name is empty"}, "user name is empty"),
        (404, b"404 page not found", "404"),
        (503, {"message": "etcdserver: no leader"}, "503"),
        (200, b"not json", "etcd at"),
        (200, ["a list"], "not an object"),
        (200, {"kvs": "text"}, "no list"),
        (200, {"kvs": ["text"]}, "lacks a key"),
        (200, {"kvs": [{"key": "?", "value": "?"}]}, "base64"),
        (200, answer(pair("")), "/services/cortex/a.* is no address"),
        (200, answer(pair("no-port")), "no address"),
        (200, answer(pair("a:70000")), "etcd at"),
        (200, answer(pair("{}")), "lacks a text"),
        (200, b"{" + b" " * 1_000_001 + b"}", "too long"),
    ],
    ids=range(13),
)
def test_a_wrong_answer_is_an_error_that_says_what_to_do(member, status, body, said):
    member.say(body, status)
    with pytest.raises(ConfigurationError, match=said) as told:
        locate(None, member.environ)
    assert "CORTEX_ETCD_PREFIX" in str(told.value)


def test_members_that_are_not_there_are_named(member):
    gone = {**member.environ, "ETCDCTL_ENDPOINTS": "127.0.0.1:9,127.0.0.1:10"}
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:9.*127\.0\.0\.1:10"):
        locate(None, gone)


@pytest.mark.parametrize(
    ("prefix", "end"), [(b"a/", b"a0"), (b"a\xff\xff", b"b"), (b"\xff", b"\0")]
)
def test_the_end_of_a_prefix_is_what_etcd_documents(prefix, end):
    assert etcd._end(prefix) == end
