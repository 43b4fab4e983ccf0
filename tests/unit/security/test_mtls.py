"""Real certificates, real handshakes over loopback, and whom they stand for."""

import asyncio
import contextlib
import datetime as dt
import importlib.util
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from cortex.foundation.errors import Unauthenticated, ValidationError
from cortex.foundation.tenancy import Principal
from cortex.security.errors import TlsInvalid
from cortex.security.mtls import (
    CertificateIdentities,
    CertificateRule,
    NameKind,
    TlsFiles,
    client_context,
    expires_at,
    server_context,
)

CUT_OFF = (ssl.SSLError, ConnectionError)
MEMORY = frozenset({"memory"})
SPIFFE = CertificateRule(
    NameKind.URI,
    "spiffe://example.org/tenant/{tenant}/agent/{subject}",
    "agents",
    MEMORY,
    namespaces=("team/*",),
)


_SPEC = importlib.util.spec_from_file_location(
    "mtls_authority", Path(__file__).with_name("authority.py")
)
local = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(local)
Authority, uri = local.Authority, local.uri


@pytest.fixture
def real_now() -> dt.datetime:
    """TLS itself reads the machine's clock, so certificates are made for today."""
    today = dt.datetime.now(dt.UTC)
    return today.replace(microsecond=0) - dt.timedelta(hours=1)


@pytest.fixture
def authority(tmp_path, real_now):
    return Authority(tmp_path, "authority", real_now)


@pytest.fixture
def server(authority):
    return authority.issue(
        "server", [x509.DNSName("localhost")], usage=ExtendedKeyUsageOID.SERVER_AUTH
    )


@pytest.fixture
def agent(authority):
    return authority.issue(
        "agent", [uri("spiffe://example.org/tenant/acme/agent/planner")]
    )


@pytest.fixture
def identities(clock, real_now):
    clock.wall = real_now.timestamp() + 60
    return CertificateIdentities([SPIFFE], clock=clock)


async def ask(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> bytes | None:
    """Shake hands over loopback; return the certificate that the server saw."""
    seen: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        tls = writer.get_extra_info("ssl_object")
        await reader.read(1)
        seen.set_result(tls.getpeercert(binary_form=True))
        writer.write(b"k")
        with contextlib.suppress(OSError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_tls)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_tls, server_hostname="localhost"
        )
        try:
            writer.write(b"q")
            await writer.drain()
            # TLS 1.3 tells a refused certificate with the first read.
            if not await reader.read(1):
                raise ConnectionResetError
            return await seen
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def test_a_handshake_tells_who_calls(authority, server, agent, identities):
    server_tls = server_context(TlsFiles(server.file, server.key, authority.file))
    client_tls = client_context(authority.file, agent.file, agent.key)
    der = await ask(server_tls, client_tls)
    assert identities.authenticate(der) == Principal(
        "agents:planner", "acme", MEMORY, ("team/*",)
    )
    assert server_tls.minimum_version is ssl.TLSVersion.TLSv1_2


async def test_strangers_and_callers_without_a_certificate_are_cut_off(
    tmp_path, authority, server, real_now
):
    stranger = Authority(tmp_path, "stranger", real_now).issue(
        "eve", [uri("spiffe://example.org/tenant/acme/agent/planner")]
    )
    server_tls = server_context(TlsFiles(server.file, server.key, authority.file))
    for client in (
        client_context(authority.file, stranger.file, stranger.key),
        client_context(authority.file),
    ):
        with pytest.raises(CUT_OFF):
            await ask(server_tls, client)


async def test_expired_and_wrong_purpose_certificates_are_cut_off(authority, server):
    name = [uri("spiffe://example.org/tenant/acme/agent/planner")]
    expired = authority.issue("expired", name, days=(-10, -1))
    wrong = authority.issue("wrong", name, usage=ExtendedKeyUsageOID.SERVER_AUTH)
    server_tls = server_context(TlsFiles(server.file, server.key, authority.file))
    for identity in (expired, wrong):
        client = client_context(authority.file, identity.file, identity.key)
        with pytest.raises(CUT_OFF):
            await ask(server_tls, client)


async def test_a_revoked_certificate_is_cut_off(authority, server, agent):
    other = authority.issue("other", [uri("spiffe://example.org/x")])
    revoked = authority.revoke(agent)
    server_tls = server_context(
        TlsFiles(server.file, server.key, authority.file, revocations=revoked)
    )
    assert await ask(server_tls, client_context(authority.file, other.file, other.key))
    with pytest.raises(CUT_OFF):
        await ask(server_tls, client_context(authority.file, agent.file, agent.key))


async def test_certificates_can_be_left_to_the_caller(authority, server):
    files = TlsFiles(server.file, server.key, authority.file, clients_required=False)
    assert await ask(server_context(files), client_context(authority.file)) is None
    plain = TlsFiles(server.file, server.key)
    assert await ask(server_context(plain), client_context(authority.file)) is None


async def test_the_client_does_not_talk_to_an_impostor(
    tmp_path, authority, server, real_now
):
    stranger = Authority(tmp_path, "stranger", real_now)
    impostor = stranger.issue(
        "impostor", [x509.DNSName("localhost")], usage=ExtendedKeyUsageOID.SERVER_AUTH
    )
    server_tls = server_context(TlsFiles(impostor.file, impostor.key))
    with pytest.raises(ssl.SSLError):
        await ask(server_tls, client_context(authority.file))


def test_a_connection_does_not_outlive_its_certificate(identities, agent, clock):
    assert identities.authenticate(agent.der)
    clock.advance(10 * 86_400)
    with pytest.raises(Unauthenticated, match="expired"):
        identities.authenticate(agent.der)


@pytest.mark.parametrize(
    ("rule", "names", "common", "subject"),
    [
        (("dns", "{subject}.agents.example"), ["A1.agents.EXAMPLE"], (), "r:a1"),
        (("dns", "{subject}.agents.example"), ["x.a1.agents.example"], (), None),
        (("dns", "ci.example"), ["ci.example"], (), "r:ci.example"),
        (("cn", "{subject}"), [], ("robot",), "r:robot"),
        (("cn", "robot"), [], ("robot", "root"), None),
        (("cn", "robot"), ["robot.example"], ("robot",), None),
        (("cn", "robot"), [], ("robots",), None),
        (("uri", "spiffe://e/{tenant}/{subject}"), ["uri:spiffe://e/t/s"], (), "r:s"),
        (("uri", "spiffe://e/{tenant}/{subject}"), ["uri:spiffe://e/t/s/x"], (), None),
        (("uri", "spiffe://e/{tenant}/{subject}"), ["uri:spiffe://e//s"], (), None),
        (("uri", "spiffe://e/x"), ["uri:spiffe://eVx"], (), None),
        (("dns", "ci.example"), ["ciXexample"], (), None),
    ],
)
def test_names_and_rules(authority, clock, real_now, rule, names, common, subject):
    clock.wall = real_now.timestamp() + 60
    kind, pattern = rule
    found = CertificateIdentities(
        [CertificateRule(NameKind(kind), pattern, "r", MEMORY)], clock=clock
    )
    general = [
        uri(n.removeprefix("uri:")) if n.startswith("uri:") else x509.DNSName(n)
        for n in names
    ]
    identity = authority.issue("it", general, common=common)
    if subject is None:
        with pytest.raises(Unauthenticated, match="no name"):
            found.authenticate(identity.der)
    else:
        assert found.authenticate(identity.der).subject == subject


def test_what_is_no_client_certificate(identities, server, authority, clock):
    with pytest.raises(Unauthenticated, match="not for clients"):
        identities.authenticate(server.der)
    with pytest.raises(Unauthenticated, match="cannot be read"):
        identities.authenticate(b"junk")
    with pytest.raises(Unauthenticated, match="too large"):
        identities.authenticate(b"x" * 70_000)
    later = authority.issue("later", [uri("spiffe://example.org/x")], days=(5, 9))
    with pytest.raises(Unauthenticated, match="not valid yet"):
        identities.authenticate(later.der)


@pytest.mark.parametrize("pattern", ["", "{subject}/{subject}", "x{user}", "a*"])
def test_patterns_that_cannot_work(pattern):
    with pytest.raises(ValidationError):
        CertificateRule(NameKind.URI, pattern, "r", MEMORY)


def test_files_that_cannot_be_used(tmp_path, authority, server, agent):
    good = TlsFiles(server.file, server.key, authority.file)
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    junk.chmod(0o600)
    gone = tmp_path / "gone.pem"
    for files in (
        TlsFiles(gone, server.key),
        TlsFiles(server.file, gone),
        TlsFiles(junk, server.key),
        TlsFiles(server.file, junk),
        TlsFiles(server.file, agent.key),
        TlsFiles(server.file, server.key, junk),
        TlsFiles(server.file, server.key, None, revocations=gone),
    ):
        with pytest.raises(TlsInvalid):
            server_context(files)
    server.key.chmod(0o644)
    with pytest.raises(TlsInvalid, match="read by others") as caught:
        server_context(good)
    assert "chmod 600" in caught.value.hint
    with pytest.raises(TlsInvalid):
        client_context(gone)
    with pytest.raises(TlsInvalid):
        expires_at(junk)


def test_when_a_certificate_ends(server, real_now):
    assert expires_at(server.file) == real_now + dt.timedelta(days=10)
