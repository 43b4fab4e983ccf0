"""A small real HTTP server that answers by script and misbehaves on demand."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted answer; ``drop`` closes the connection without one."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


class Script:
    """Answers in order; after the last scripted one, ``usual`` decides."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.usual: Callable[[Seen], Reply] = lambda _: Reply(
            404, {"error": {"code": "NOT_FOUND", "message": "nothing scripted"}}
        )
        self._replies: deque[Reply] = deque()
        self.url = ""

    def then(self, *replies: Reply) -> None:
        self._replies.extend(replies)

    def answer(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        return self._replies.popleft() if self._replies else self.usual(seen)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        script: Script = self.server.script  # type: ignore[attr-defined]
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, parts.path, parse_qs(parts.query), headers, raw)
        reply = script.answer(seen)
        if reply.delay_seconds:
            time.sleep(reply.delay_seconds)
        if reply.drop:
            self.close_connection = True
            return
        body = reply.body
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        if reply.status == 204:
            payload = b""
        try:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@pytest.fixture
def server() -> Iterator[Script]:
    script = Script()
    listener = _Listener(("127.0.0.1", 0), _Handler)
    listener.script = script  # type: ignore[attr-defined]
    script.url = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield script
    listener.shutdown()
    listener.server_close()
    thread.join()


def memory(content: str = "tea", **more: Any) -> dict[str, Any]:
    """Return a memory as the server tells it."""
    return {
        "id": "m1",
        "namespace": "default",
        "content": content,
        "author": "Ana",
        "kind": "message",
        "session_id": None,
        "agent_id": None,
        "user_id": "ana",
        "importance": 0.5,
        "tags": [],
        "metadata": {},
        "occurred_at": 1_700_000_000.0,
        "valid_from": None,
        "valid_to": None,
        "expires_at": None,
        "created_at": 1_700_000_000.0,
        "updated_at": 1_700_000_000.0,
        "accessed_at": 1_700_000_000.0,
        "access_count": 0,
        "tier": "hot",
        "modality": "text",
        "embedding": "ready",
        "space": "s",
        "content_sha256": "ab",
        **more,
    }


def hit(content: str = "tea", **more: Any) -> dict[str, Any]:
    """Return a hit as the server tells it."""
    found = memory(content, score=1.5, confidence=0.8, excerpts=[[0, 3]])
    return {**found, **more}


@pytest.fixture(name="memory")
def _memory() -> Callable[..., dict[str, Any]]:
    return memory


@pytest.fixture(name="hit")
def _hit() -> Callable[..., dict[str, Any]]:
    return hit


@pytest.fixture
def reply() -> type[Reply]:
    return Reply
