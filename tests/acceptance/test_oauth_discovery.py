"""The official MCP client finds its authorization server by itself and gets in."""

import base64
import hashlib
import importlib.util
import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

SECURITY = Path(__file__).resolve().parents[1] / "unit" / "security"
WELL_KNOWN = "/.well-known/oauth-protected-resource"


def issuers():
    spec = importlib.util.spec_from_file_location("issuer", SECURITY / "issuer.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class AuthorizationServer:
    """OAuth 2.1 over real HTTP: metadata, registration, codes with PKCE, tokens."""

    def __init__(self) -> None:
        self.signer = issuers().Signer("k1", "EdDSA")
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.codes: dict[str, dict[str, str]] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(parts.query))
                server.asked.append((parts.path, query))
                if parts.path == "/authorize":
                    self._redirect(server.authorize(query))
                else:
                    self._answer(server.document(parts.path))

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if self.path == "/register":
                    asked = json.loads(raw)
                    self._answer({**asked, "client_id": "mcp-test"}, 201)
                    return
                form = dict(urllib.parse.parse_qsl(raw))
                server.asked.append((self.path, form))
                self._answer(server.token(form))

            def _redirect(self, place: str) -> None:
                self.send_response(302)
                self.send_header("Location", place)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _answer(
                self, tree: dict[str, object] | None, status: int = 200
            ) -> None:
                body = json.dumps(tree or {}).encode()
                self.send_response(404 if tree is None else status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self.thread.start()

    def document(self, path: str) -> dict[str, object] | None:
        if path == "/keys":
            return {"keys": [self.signer.jwk()]}
        if not path.startswith("/.well-known/o"):
            return None
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "registration_endpoint": f"{self.url}/register",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "code_challenge_methods_supported": ["S256"],
        }

    def authorize(self, query: dict[str, str]) -> str:
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        back = urllib.parse.urlencode({"code": code, "state": query["state"]})
        return f"{query['redirect_uri']}?{back}"

    def token(self, form: dict[str, str]) -> dict[str, object]:
        query = self.codes.pop(form["code"])
        proof = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
        assert challenge == query["code_challenge"]
        claims = {
            "iss": self.url, "sub": "ana", "aud": query["resource"],
            "scope": query["scope"], "iat": time.time(), "exp": time.time() + 600,
        }  # fmt: skip
        return {
            "access_token": self.signer.token(claims), "token_type": "Bearer",
            "expires_in": 600, "scope": query["scope"],
        }  # fmt: skip

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Storage:
    """Keeps what the client is given, in memory."""

    def __init__(self) -> None:
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens) -> None:
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client) -> None:
        self.client = client


@pytest.fixture
def authorities():
    running = AuthorizationServer()
    yield running
    running.close()


@pytest.fixture
def server(serve, port, authorities):
    url = f"http://127.0.0.1:{port}"
    issuer = {
        "issuer": authorities.url, "audiences": [f"{url}/mcp"], "tenant": "acme",
        "keys_url": f"{authorities.url}/keys",
    }  # fmt: skip
    return serve(port=port, CORTEX_ISSUERS=json.dumps({"corp": issuer}))


def test_a_refusal_leads_to_the_document(server, authorities):
    for path, resource in (("/mcp", "/mcp"), ("/memory", "")):
        refused = server.client.request("POST", path, json={})
        assert refused.status_code == 401
        challenge = refused.headers["www-authenticate"]
        assert challenge == (
            f'Bearer resource_metadata="{server.url}{WELL_KNOWN}{resource}"'
        )
        bad = {"Authorization": "Bearer junk"}
        refused = server.client.request("POST", path, json={}, headers=bad)
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
        document = server.client.get(f"{WELL_KNOWN}{resource}")
        assert document.status_code == 200
        told = document.json()
        assert told["resource"] == f"{server.url}{resource}"
        assert told["authorization_servers"] == [authorities.url]
        assert "memory" in told["scopes_supported"]
    assert server.client.get(f"{WELL_KNOWN}/other").status_code == 404


def test_a_scope_that_is_missing_is_named(server, authorities):
    claims = {
        "iss": authorities.url, "sub": "bo", "aud": f"{server.url}/mcp",
        "scope": "memory", "iat": time.time(), "exp": time.time() + 600,
    }  # fmt: skip
    bo = {"Authorization": f"Bearer {authorities.signer.token(claims)}"}
    refused = server.client.get("/db/list", headers=bo)
    assert refused.status_code == 403
    challenge = refused.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="insufficient_scope", scope="database"')


def test_without_issuers_there_is_no_document(serve):
    server = serve(CORTEX_TOKENS="ci:a-token-0123456789:memory")
    assert server.client.get(WELL_KNOWN).status_code == 404
    refused = server.client.get("/memory")
    assert refused.headers["www-authenticate"] == 'Bearer realm="cortex"'


async def test_the_official_client_gets_a_token_and_works(server, authorities):
    place: list[str] = []

    async def open_browser(url: str) -> None:
        async with httpx2.AsyncClient() as browser:
            answer = await browser.get(url)
        place.append(answer.headers["location"])

    async def come_back() -> AuthorizationCodeResult:
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(place[-1]).query))
        return AuthorizationCodeResult(code=query["code"], state=query["state"])

    auth = OAuthClientProvider(
        server_url=f"{server.url}/mcp",
        client_metadata=OAuthClientMetadata(
            redirect_uris=["http://127.0.0.1:1/callback"], client_name="test",
            token_endpoint_auth_method="none",
        ),
        storage=Storage(),
        redirect_handler=open_browser,
        callback_handler=come_back,
    )  # fmt: skip
    async with httpx2.AsyncClient(auth=auth, timeout=30) as http:
        transport = streamable_http_client(f"{server.url}/mcp", http_client=http)
        async with Client(transport, cache=None) as client:
            kept = await client.call_tool("memory.store", {"content": "Ana likes tea."})
            assert not kept.is_error, kept
            found = await client.call_tool("memory.search", {"query": "tea"})
    hits = found.structured_content["hits"]
    assert [hit["content"] for hit in hits] == ["Ana likes tea."]
    asked = dict(authorities.asked)
    assert asked["/authorize"]["resource"] == f"{server.url}/mcp"
    assert asked["/token"]["resource"] == f"{server.url}/mcp"
