"""Long work ends when the client that asked for it goes away."""

import asyncio
import json
from dataclasses import replace

import pytest

from cortex.service.http.app import create_app
from cortex.service.http.options import HttpOptions

WAIT_SECONDS_MAX = 60.0
TOKEN = b"Bearer admin-token-0123456789"
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="modality"\r\n\r\nTEXT\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nsome words\r\n--x--\r\n"
)
JSON = b"application/json"
OUTPUT = json.dumps({"output": {"content": "It rained."}}).encode()


class Endless:
    """A use case that never ends by itself."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled = False

    async def __call__(self, *_given: object) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    file = __call__


@pytest.mark.parametrize(
    ("path", "case", "content_type", "body"),
    [
        ("/agents/plan", "plan", JSON, b'{"goal": "Write a report"}'),
        ("/agents/reflect", "reflect", JSON, OUTPUT),
        ("/embed/multimodal", "embed_media", b"multipart/form-data; boundary=x", FORM),
    ],
)
async def test_what_it_asked_for_is_cancelled(served, path, case, content_type, body):
    endless = Endless()
    cases = replace(served.edge.use_cases, **{case: endless})
    edge = replace(served.edge, use_cases=cases)
    app = create_app(edge, HttpOptions(brand="brAInwav", version="0.1.0"))
    sent: list[dict] = []
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        await endless.begun.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    headers = [
        (b"authorization", TOKEN),
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"host", b"127.0.0.1:4949"),
    ]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    scope |= {"query_string": b"", "client": ("127.0.0.1", 1), "http_version": "1.1"}
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        await app(scope, receive, send)
    assert endless.cancelled
    assert sent[0]["status"] == 499
