"""A real uvicorn over real TLS tells the application whose certificate came."""

import asyncio
import datetime as dt
import importlib.util
from pathlib import Path

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import CortexError
from cortex.security.doors import Credentials, Doors
from cortex.security.intrusion import Watch
from cortex.security.mtls import (
    CertificateIdentities,
    CertificateRule,
    NameKind,
    TlsFiles,
    client_context,
    server_context,
)
from cortex.security.tokens import Tokens
from cortex.service.http.client_certificates import (
    CertificateProtocol,
    certificate_of,
)

_SPEC = importlib.util.spec_from_file_location(
    "service_authority",
    Path(__file__).parents[1] / "security" / "authority.py",
)
local = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(local)

RULE = CertificateRule(
    NameKind.URI, "spiffe://example.org/{tenant}/{subject}", "x", frozenset({"memory"})
)


@pytest.fixture
def authority(tmp_path):
    now = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(hours=1)
    return local.Authority(tmp_path, "authority", now)


@pytest.fixture
async def address(authority):
    """Serve an application that answers with the name of its caller."""
    clock = SystemClock()
    identities = CertificateIdentities([RULE], clock=clock)
    doors = Doors(Tokens([], clock), Watch(clock), certificates=identities)

    async def app(scope, receive, send):
        found = Credentials(None, scope["client"][0], certificate_of(scope))
        try:
            principal = await doors.authenticate(found)
            status, body = 200, f"{principal.tenant} {principal.subject}".encode()
        except CortexError as error:
            status, body = 401, str(error).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send(
            {"type": "http.response.start", "status": status, "headers": headers}
        )
        await send({"type": "http.response.body", "body": body})

    own = authority.issue(
        "server", [x509.DNSName("localhost")], usage=ExtendedKeyUsageOID.SERVER_AUTH
    )
    files = TlsFiles(own.file, own.key, authority.file, clients_required=False)
    config = uvicorn.Config(
        app,
        port=0,
        lifespan="off",
        log_config=None,
        http=CertificateProtocol,
        ssl_context_factory=lambda _config, _default: server_context(files),
    )
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"https://localhost:{port}"
    server.should_exit = True
    await serving


async def test_the_caller_is_known_by_its_certificate(authority, address):
    agent = authority.issue("agent", [local.uri("spiffe://example.org/acme/planner")])
    tls = client_context(authority.file, agent.file, agent.key)
    async with httpx.AsyncClient(verify=tls) as client:
        for _ in range(2):  # the second request uses the same connection
            answer = await client.get(address)
            assert (answer.status_code, answer.text) == (200, "acme x:planner")


async def test_without_a_certificate_another_credential_is_needed(authority, address):
    async with httpx.AsyncClient(verify=client_context(authority.file)) as client:
        headers = {"cortex.client_certificate": "forged"}
        answer = await client.get(address, headers=headers)
        assert answer.status_code == 401
        assert "no token" in answer.text
