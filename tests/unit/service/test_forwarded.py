"""Whose word on a client's address is taken."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.foundation.errors import ValidationError
from cortex.service.http.forwarded import FORWARDED, HOPS_MAX, Proxies

OURS = Proxies.of(["10.0.0.0/8", "192.0.2.7", "fd00::/8"])
RFC = Proxies.of(["10.0.0.0/8"], FORWARDED)


def xff(*lines: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-forwarded-for", line.encode()) for line in lines]


def fwd(*lines: str) -> list[tuple[bytes, bytes]]:
    return [(b"forwarded", line.encode()) for line in lines]


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        ("203.0.113.5", xff("1.1.1.1"), "203.0.113.5"),  # a stranger says so
        ("10.1.2.3", xff(), "10.1.2.3"),
        ("10.1.2.3", xff("203.0.113.5"), "203.0.113.5"),
        ("10.1.2.3", xff("6.6.6.6, 203.0.113.5"), "203.0.113.5"),  # 6.6.6.6 made up
        ("10.1.2.3", xff("6.6.6.6", "203.0.113.5"), "203.0.113.5"),  # two lines
        ("10.1.2.3", xff("6.6.6.6, 203.0.113.5, 10.9.9.9"), "203.0.113.5"),
        ("10.1.2.3", xff("10.2.2.2, 10.9.9.9"), "10.2.2.2"),  # all are ours
        ("10.1.2.3", xff("203.0.113.5, unknown"), "10.1.2.3"),
        ("10.1.2.3", xff("203.0.113.5, "), "10.1.2.3"),
        ("10.1.2.3", xff("203.0.113.5:4711"), "203.0.113.5"),
        ("10.1.2.3", xff("[2001:db8::1]:4711"), "2001:db8::1"),
        ("10.1.2.3", xff("2001:db8::1"), "2001:db8::1"),
        ("10.1.2.3", xff("::ffff:203.0.113.5"), "203.0.113.5"),
        ("::ffff:10.1.2.3", xff("203.0.113.5"), "203.0.113.5"),
        ("fd00::1%eth0", xff("203.0.113.5"), "203.0.113.5"),
        ("192.0.2.7", xff("203.0.113.5"), "203.0.113.5"),
        ("192.0.2.8", xff("203.0.113.5"), "192.0.2.8"),
        ("10.1.2.3", xff("999.1.1.1"), "10.1.2.3"),
        ("10.1.2.3", fwd("for=6.6.6.6"), "10.1.2.3"),  # not the header ours write
        ("10.1.2.3", xff("203.0.113.5:x"), "10.1.2.3"),
        ("", xff("203.0.113.5"), ""),
    ],
)
def test_x_forwarded_for(peer, headers, client):
    assert OURS.client(peer, headers) == client


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=203.0.113.5", "203.0.113.5"),
        ('For="203.0.113.5:80";proto=https;by=10.0.0.1', "203.0.113.5"),
        ('proto=https; for="[2001:db8::1]:80"', "2001:db8::1"),
        ("for=6.6.6.6, for=203.0.113.5", "203.0.113.5"),
        ("for=_hidden", "10.1.2.3"),
        ("for=unknown", "10.1.2.3"),
        ("proto=https", "10.1.2.3"),
        ("xfor=6.6.6.6", "10.1.2.3"),
    ],
)
def test_forwarded(value, client):
    assert RFC.client("10.1.2.3", fwd(value)) == client
    assert RFC.client("10.1.2.3", xff("6.6.6.6")) == "10.1.2.3"


def test_without_proxies_no_header_is_read():
    assert Proxies().client("127.0.0.1", xff("6.6.6.6")) == "127.0.0.1"


def test_an_endless_chain_is_cut():
    chain = xff(", ".join(["203.0.113.5"] + ["10.0.0.1"] * HOPS_MAX))
    assert OURS.client("10.1.2.3", chain) == "10.0.0.1"


def test_what_is_no_network_is_refused():
    with pytest.raises(ValidationError, match="neither an address nor a network"):
        Proxies.of(["example.com"])


@given(
    st.text(alphabet=st.characters(max_codepoint=255), max_size=60), st.ip_addresses()
)
def test_a_strangers_header_changes_nothing(header, peer):
    raw = [(b"x-forwarded-for", header.encode("latin-1"))]
    stranger = not any(
        ipaddress.ip_address(str(peer)) in n
        for n in OURS.networks
        if n.version == peer.version
    )
    found = OURS.client(str(peer), raw)
    if stranger and getattr(peer, "ipv4_mapped", None) is None:
        assert found == str(peer)
