"""SRV records of a real DNS server on this machine, and answers that no server gives."""

import socket
import struct
import threading
import time

import pytest
from dnslib import QTYPE, RCODE, RR, SRV, A, DNSRecord
from dnslib.server import DNSHandler, DNSServer
from hypothesis import given
from hypothesis import strategies as st

from cortex_client import dns_srv
from cortex_client.discovery import locate
from cortex_client.dns_srv import (
    TIMEOUT_SECONDS,
    DnsError,
    Service,
    answer,
    chosen,
    lookup,
    name_servers,
    question,
)
from cortex_client.errors import ConfigurationError

ZONE = {
    "_cortex._tcp.one.test.": [SRV(0, 0, 4950, "cortex.one.test.")],
    "_cortex._tcp.two.test.": [
        SRV(10, 0, 1, "backup.two.test."),
        SRV(0, 0, 2, "light.two.test."),
        SRV(0, 30, 3, "heavy.two.test."),
    ],
    "_cortex._tcp.none.test.": [SRV(0, 0, 0, ".")],
    "_cortex._tcp.many.test.": [
        SRV(0, n, n, f"a-rather-long-name-of-host-number-{n}.many.test.")
        for n in range(60)
    ],
}


class Zone:
    """Answers from the zone; counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails = False
        self.silent = False

    def resolve(self, request, handler):
        name = str(request.q.qname)
        self.asked.append(name)
        reply = request.reply()
        if self.silent:
            time.sleep(0.6)
        if self.fails:
            reply.header.rcode = RCODE.SERVFAIL
        elif name not in ZONE:
            reply.header.rcode = RCODE.NXDOMAIN
        else:
            for data in ZONE[name]:
                reply.add_answer(RR(name, QTYPE.SRV, ttl=60, rdata=data))
                reply.add_ar(RR(str(data.target), QTYPE.A, rdata=A("127.0.0.1")))
        return reply


class Small(DNSHandler):
    """Sends no more by UDP than RFC 1035 allows."""

    udplen = 512


class Quiet:
    def __getattr__(self, name):
        return lambda *_: None


@pytest.fixture
def zone(monkeypatch):
    monkeypatch.setattr(dns_srv, "TIMEOUT_SECONDS", 20.0)  # a shared machine may stall
    zone = Zone()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        zone.port = probe.getsockname()[1]
    servers = [
        DNSServer(zone, "127.0.0.1", zone.port, tcp=tcp, logger=Quiet(), handler=Small)
        for tcp in (False, True)
    ]
    threads = [
        threading.Thread(target=server.server.serve_forever, args=(0.01,))
        for server in servers
    ]
    for thread in threads:
        thread.start()
    yield zone
    for server, thread in zip(servers, threads, strict=True):
        server.server.shutdown()
        server.server.server_close()
        thread.join()


def environ(zone, domain, **more):
    return {
        "CORTEX_DISCOVERY_DOMAIN": domain,
        "CORTEX_DISCOVERY_DNS": f"127.0.0.1:{zone.port}",
        **more,
    }


def test_the_record_names_the_server(zone):
    url = locate(None, environ(zone, "one.test"))
    assert url == "http://cortex.one.test:4950"
    secure = environ(zone, "one.test.", CORTEX_DISCOVERY_SCHEME="https")
    assert locate(None, secure) == "https://cortex.one.test:4950"


def test_names_are_one_whatever_their_case(zone):
    zone_name = "_cortex._tcp.one.test."
    ZONE[zone_name.upper()] = ZONE[zone_name]
    assert lookup("_CORTEX._TCP.ONE.TEST", [("127.0.0.1", zone.port)])
    del ZONE[zone_name.upper()]


def test_the_best_priority_is_chosen_by_weight(zone):
    found = {locate(None, environ(zone, "two.test")) for _ in range(40)}
    assert "http://heavy.two.test:3" in found
    assert "http://backup.two.test:1" not in found
    services = lookup("_cortex._tcp.two.test", [("127.0.0.1", zone.port)])
    counts = [chosen(services, lambda _, n=n: n).host for n in range(302)]
    assert counts.count("light.two.test") == 1


def test_an_answer_too_long_for_a_datagram_is_fetched_whole(zone):
    found = lookup("_cortex._tcp.many.test", [("127.0.0.1", zone.port)])
    assert len(found) == 60
    assert len(zone.asked) == 2


@pytest.mark.parametrize("domain", ["none.test", "unknown.test"])
def test_where_there_is_no_record_the_next_place_is_asked(zone, domain):
    kubernetes = {"CORTEX_SERVICE_HOST": "10.0.0.1"}
    assert locate(None, environ(zone, domain)) == "http://127.0.0.1:4949"
    assert locate(None, environ(zone, domain, **kubernetes)) == "http://10.0.0.1:4949"


def test_an_address_that_is_given_asks_nobody(zone):
    for url, variables in (("http://here:1", {}), (None, {"CORTEX_URL": "http://x"})):
        assert locate(url, environ(zone, "one.test", **variables))
    assert zone.asked == []


def test_a_failing_name_server_is_an_error_and_the_next_one_is_asked(zone):
    zone.fails = True
    with pytest.raises(ConfigurationError, match="CORTEX_DISCOVERY_DOMAIN"):
        locate(None, environ(zone, "one.test"))
    zone.fails = False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        dead = probe.getsockname()
    assert lookup("_cortex._tcp.one.test", [dead, ("127.0.0.1", zone.port)])


def test_a_silent_name_server_costs_no_more_than_its_time(zone, monkeypatch):
    assert TIMEOUT_SECONDS == 1.0
    monkeypatch.setattr(dns_srv, "TIMEOUT_SECONDS", 0.2)
    zone.silent = True
    started = time.monotonic()
    with pytest.raises(DnsError, match="timed out"):
        lookup("_cortex._tcp.one.test", [("127.0.0.1", zone.port)])
    assert time.monotonic() - started < 20
    with pytest.raises(DnsError, match="no name server"):
        lookup("_cortex._tcp.one.test", [])


def test_the_systems_name_servers_are_read():
    text = "# comment\nsearch x\nnameserver 10.0.0.1\nnameserver ::1\nnameserver\n"
    assert name_servers(text) == (("10.0.0.1", 53), ("::1", 53))


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64, ".".join(["x" * 60] * 5)])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(DnsError):
        question(name, 1)


def made(**header) -> bytes:
    record = DNSRecord.question("_cortex._tcp.one.test", "SRV").reply()
    record.header.id = header.pop("id", 7)
    record.add_answer(
        RR("_cortex._tcp.one.test", QTYPE.SRV, rdata=SRV(0, 0, 1, "a.one.test"))
    )
    return bytes(record.pack())


def test_an_answer_must_be_to_the_question():
    name = "_cortex._tcp.one.test"
    assert answer(made(), 7, name) == ((Service(0, 0, 1, "a.one.test"),), False)
    for message, number, asked in (
        (made(id=8), 7, name),
        (made(), 7, "_cortex._tcp.two.test"),
        (question(name, 7), 7, name),
    ):
        with pytest.raises(DnsError):
            answer(message, number, asked)


def test_a_name_that_goes_in_circles_ends():
    name = "_cortex._tcp.one.test"
    head = struct.pack("!6H", 7, 0x8000, 1, 1, 0, 0)
    with pytest.raises(DnsError, match="circles"):
        answer(head + b"\xc0\x0c", 7, name)


@given(st.binary(max_size=80), st.integers(0, 120), st.binary(max_size=6))
def test_no_answer_breaks_the_reader(noise, at, patch):
    whole = made()
    changed = whole[:at] + patch + whole[at + len(patch) :]
    for message in (noise, changed, whole[:at]):
        try:
            services, _ = answer(message, 7, "_cortex._tcp.one.test")
        except DnsError:
            continue
        assert all(isinstance(one, Service) for one in services)
