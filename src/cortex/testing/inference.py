"""Fakes of inference: a backend under remote control, and a real embedding server."""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cortex.inference.backends.hashing import HashingText
from cortex.inference.ports import ModelInfo, Vector


class ControlledText:
    """A text backend that fails or hangs when told to; else feature hashing.

    Attributes:
        failures: errors to raise, one a run, before runs succeed again.
        gate: runs wait here while it is clear.
        runs: texts that were asked for, in order.
    """

    def __init__(self) -> None:
        """Start healthy."""
        self._hashing = HashingText()
        self.failures: deque[BaseException] = deque()
        self.gate = threading.Event()
        self.gate.set()
        self.runs: list[str] = []
        self.closed = False

    @property
    def info(self) -> ModelInfo:
        """Return the hashing model's facts."""
        return self._hashing.info

    def embed(self, text: str) -> Vector:
        """Return the hashing vector, once the gate is open."""
        self.runs.append(text)
        self.gate.wait()
        if self.failures:
            raise self.failures.popleft()
        return self._hashing.embed(text)

    def count_tokens(self, text: str) -> int:
        """Return the hashing model's count."""
        return self._hashing.count_tokens(text)

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server says instead of an embedding.

    Attributes:
        status: HTTP status.
        body: raw body.
        headers: more headers.
        delay_seconds: real time to wait first.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0


class EmbeddingServer(ThreadingHTTPServer):
    """Speaks OpenAI's embeddings and Anthropic's token counts on loopback.

    Attributes:
        replies: said instead of the right answers, one a request.
        requests: path, headers (lower case) and JSON body of each request.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.backend = HashingText()
        self.replies: deque[Reply] = deque()
        self.requests: list[tuple[str, dict[str, str], dict[str, object]]] = []

    @property
    def url(self) -> str:
        """Return the address, without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, path: str, body: dict[str, object]) -> dict[str, object]:
        """Return the right answer to a request."""
        if path.endswith("/count_tokens"):
            text = json.dumps(body["messages"])
            return {"input_tokens": len(text.split())}
        vector = self.backend.embed(str(body["input"]))
        row = {"object": "embedding", "index": 0, "embedding": vector.tolist()}
        return {"object": "list", "data": [row], "model": body["model"]}


class _Handler(BaseHTTPRequestHandler):
    server: EmbeddingServer
    protocol_version = "HTTP/1.1"
    # Without this a small answer waits for the client's delayed acknowledgement.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer one request."""
        length = int(self.headers["content-length"])
        body = json.loads(self.rfile.read(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.path, headers, body))
        reply = self.server.replies.popleft() if self.server.replies else None
        if reply is None:
            answer = self.server.answer(self.path, body)
            reply = Reply(body=json.dumps(answer).encode())
        time.sleep(reply.delay_seconds)  # noqa: TID251 - a real server, real time
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def embedding_server() -> Iterator[EmbeddingServer]:
    """Run the server on its own thread while the block lasts."""
    with EmbeddingServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
