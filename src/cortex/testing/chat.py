"""A chat service on loopback that speaks both protocols and fails as it is told."""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request.

    Attributes:
        status: HTTP status; 200 answers in a stream.
        headers: more headers.
        body: raw body, with a status or instead of the stream.
        cut_after: events after which the connection is dropped; None for all.
        silent_seconds: real time of silence before the first event.
        garbage: send an event that is not JSON first.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut_after: int | None = None
    silent_seconds: float = 0.0
    garbage: bool = False


class ChatServer(ThreadingHTTPServer):
    """Says the next of its answers, in words as a stream.

    Attributes:
        answers: texts to say, one a request; ``ok`` when there are none left.
        faults: what goes wrong, one a request; nothing when there are none left.
        requests: path, headers (lower case) and JSON body of each request.
        knows_schema: whether a request with a schema is taken; else it is refused.
        tells_usage: whether tokens are counted.
    """

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: deque[str] = deque()
        self.faults: deque[Fault] = deque()
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.knows_schema = True
        self.tells_usage = True

    @property
    def url(self) -> str:
        """Return the address, up to and with the version."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that left."""

    def events(self, path: str) -> list[tuple[str, dict[str, Any] | str]]:
        """Return the events of the next answer: name and data."""
        text = self.answers.popleft() if self.answers else "ok"
        words = [f"{word} " for word in text.split(" ")]
        words[-1] = words[-1][:-1]
        if path.endswith("/messages"):
            return _anthropic(words)
        return _openai(words, usage=self.tells_usage)


def _openai(words: list[str], *, usage: bool) -> list[tuple[str, Any]]:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> tuple[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return "", {"object": "chat.completion.chunk", "choices": [choice]}

    events = [chunk({"role": "assistant", "content": None})]
    events += [chunk({"content": word}) for word in words]
    events.append(chunk({}, "stop"))
    if usage:
        spent = {"prompt_tokens": 7, "completion_tokens": len(words)}
        events.append(("", {"choices": [], "usage": spent}))
    return [*events, ("", "[DONE]")]


def _anthropic(words: list[str]) -> list[tuple[str, Any]]:
    def event(kind: str, **data: Any) -> tuple[str, Any]:
        return kind, {"type": kind, **data}

    return [
        event("message_start", message={"usage": {"input_tokens": 7}}),
        event("content_block_start", index=0, content_block={"type": "text"}),
        event("ping"),
        *(
            event("content_block_delta", delta={"type": "text_delta", "text": word})
            for word in words
        ),
        event("content_block_stop", index=0),
        event(
            "message_delta",
            delta={"stop_reason": "end_turn"},
            usage={"output_tokens": len(words)},
        ),
        event("message_stop"),
    ]


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer one request."""
        length = int(self.headers["content-length"])
        body = json.loads(self.rfile.read(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.path, headers, body))
        faults = self.server.faults
        fault = faults.popleft() if faults else Fault()
        wanted = "response_format" in body or "output_config" in body
        if wanted and not self.server.knows_schema:
            fault = Fault(400, body=b'{"error": "unknown field"}')
        if fault.body is not None:
            self._whole(fault)
        else:
            self._streamed(fault)

    def _whole(self, fault: Fault) -> None:
        body = fault.body or b""
        self.send_response(fault.status)
        self.send_header("content-type", "application/json")
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _streamed(self, fault: Fault) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        self.wfile.flush()
        time.sleep(fault.silent_seconds)  # noqa: TID251 - a real server, real time
        if fault.garbage:
            self.wfile.write(b"data: {not json\n\n")
        for name, data in self.server.events(self.path)[: fault.cut_after]:
            text = data if isinstance(data, str) else json.dumps(data)
            head = f"event: {name}\n" if name else ""
            self.wfile.write(f"{head}data: {text}\n\n".encode())
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """Run the server on its own thread while the block lasts."""
    with ChatServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
