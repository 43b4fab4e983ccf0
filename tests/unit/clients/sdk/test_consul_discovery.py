"""Consul's health endpoint, served here as its documentation describes it.

No Consul is to be had from a package index, so the answers are written down from the
documentation of ``GET /v1/health/service/:service``.
"""

import time

import pytest

from cortex_client import consul
from cortex_client.consul import TIMEOUT_SECONDS as PATIENCE
from cortex_client.discovery import locate
from cortex_client.errors import ConfigurationError


def entry(address="10.1.10.12", port=4949, node="10.1.10.1", **service):
    """Return one instance as the documentation shows it."""
    return {
        "Node": {
            "ID": "40e4a748-2192-161a-0510-9bf59fe950b5",
            "Node": "foobar",
            "Address": node,
            "Datacenter": "dc1",
            "TaggedAddresses": {"lan": node, "wan": node},
            "Meta": {"instance_type": "t2.medium"},
        },
        "Service": {
            "ID": "cortex",
            "Service": "cortex",
            "Tags": ["primary"],
            "Address": address,
            "TaggedAddresses": {"lan": {"address": address, "port": port}},
            "Meta": {},
            "Port": port,
            "Weights": {"Passing": 10, "Warning": 1},
            "Namespace": "default",
            **service,
        },
        "Checks": [{"CheckID": "service:cortex", "Status": "passing"}],
    }


@pytest.fixture
def agent(server, monkeypatch):
    monkeypatch.setattr(consul, "TIMEOUT_SECONDS", 20.0)  # a shared machine may stall
    reply = type(server.usual(None))
    server.say = lambda body, status=200, **more: server.then(
        reply(status, body, **more)
    )
    server.environ = {
        "CORTEX_CONSUL_SERVICE": "cortex",
        "CONSUL_HTTP_ADDR": server.url.removeprefix("http://"),
    }
    return server


def test_a_healthy_instance_is_found(agent):
    agent.say([entry()])
    assert locate(None, agent.environ) == "http://10.1.10.12:4949"
    (seen,) = agent.seen
    assert (seen.method, seen.path) == ("GET", "/v1/health/service/cortex")
    assert seen.query == {"passing": ["true"]}


def test_consuls_own_variables_are_read(agent):
    agent.say([entry()])
    locate(
        None,
        {
            "CORTEX_CONSUL_SERVICE": "team/cortex",
            "CONSUL_HTTP_ADDR": agent.url,
            "CONSUL_HTTP_TOKEN": "acl-token",
            "CONSUL_DATACENTER": "dc2",
        },
    )
    (seen,) = agent.seen
    assert seen.path == "/v1/health/service/team%2Fcortex"
    assert seen.headers["x-consul-token"] == "acl-token"
    assert seen.query["dc"] == ["dc2"]
    assert consul.agent_of({}).url == "http://127.0.0.1:8500"
    secure = {"CONSUL_HTTP_ADDR": "consul:8501", "CONSUL_HTTP_SSL": "true"}
    assert consul.agent_of(secure).url == "https://consul:8501"


@pytest.mark.parametrize(
    ("instance", "url"),
    [
        (entry(address=""), "http://10.1.10.1:4949"),
        (entry(address="fd00::1"), "http://[fd00::1]:4949"),
        (entry(Meta={"scheme": "https"}), "https://10.1.10.12:4949"),
        (entry(Meta=None), "http://10.1.10.12:4949"),
    ],
)
def test_addresses_are_read_as_consul_means_them(agent, instance, url):
    agent.say([instance])
    assert locate(None, agent.environ) == url


def test_any_of_several_instances_may_be_chosen(agent):
    many = [entry(port=port) for port in (1, 2)]
    for _ in range(40):
        agent.say(many)
    found = {locate(None, agent.environ) for _ in range(40)}
    assert found == {"http://10.1.10.12:1", "http://10.1.10.12:2"}


def test_without_instances_the_next_place_is_asked(agent):
    agent.say([])
    kubernetes = {**agent.environ, "CORTEX_SERVICE_HOST": "10.0.0.1"}
    assert locate(None, kubernetes) == "http://10.0.0.1:4949"


def test_an_address_that_is_given_asks_nobody(agent):
    assert locate("http://here:1", agent.environ) == "http://here:1"
    assert locate(None, {**agent.environ, "CORTEX_URL": "http://x"}) == "http://x"
    assert locate(None, {"CONSUL_HTTP_ADDR": agent.url}) == "http://127.0.0.1:4949"
    assert agent.seen == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, b"Permission denied"),
        (500, b"No cluster leader"),
        (200, b"not json"),
        (200, {"not": "a list"}),
        (200, [{"Service": {}}]),
        (200, ["text"]),
        (200, [entry(port=None)]),
        (200, b"[" + b" " * 1_000_001 + b"]"),
    ],
    ids=range(8),
)
def test_a_wrong_answer_is_an_error_that_says_what_to_do(agent, status, body):
    agent.say(body, status)
    with pytest.raises(ConfigurationError, match="CORTEX_CONSUL_SERVICE"):
        locate(None, agent.environ)


def test_a_silent_agent_costs_no_more_than_its_time(agent, monkeypatch):
    assert PATIENCE == 1.0
    monkeypatch.setattr(consul, "TIMEOUT_SECONDS", 0.2)
    agent.say([entry()], delay_seconds=0.6)
    started = time.monotonic()
    with pytest.raises(ConfigurationError):
        locate(None, agent.environ)
    assert time.monotonic() - started < 20


def test_an_agent_that_is_not_there_is_an_error(agent):
    gone = {**agent.environ, "CONSUL_HTTP_ADDR": "127.0.0.1:9"}
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:9"):
        locate(None, gone)
