"""Traces to a real OpenTelemetry collector (Rotel): what it makes of them.

It takes what a server sends and hands it on as protobuf, which the official definitions
read here.
"""

import gzip
import http.server
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

WAIT_SECONDS_MAX = 60.0
CALLER = "b7ad6b7169203331"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Taken:
    """What the collector handed on."""

    def __init__(self) -> None:
        self.spans: list[tuple[Resource, Span]] = []

    def take(self, body: bytes) -> None:
        for one in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in one.scope_spans:
                self.spans += [(one.resource, span) for span in scope.spans]

    def of(self, trace_id: str) -> list[Span]:
        return [span for _, span in self.spans if span.trace_id.hex() == trace_id]


@pytest.fixture
def backend() -> Iterator[tuple[Taken, int]]:
    taken = Taken()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            is_packed = self.headers["content-encoding"] == "gzip"
            taken.take(gzip.decompress(body) if is_packed else body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield taken, server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def collector(port: int, backend: int) -> Iterator[None]:
    """Run the collector until left."""
    command = [
        str(files("rotel") / "rotel-agent"), "start",
        f"--otlp-http-endpoint=127.0.0.1:{port}",
        f"--otlp-grpc-endpoint=127.0.0.1:{free_port()}",
        "--exporter=otlp", "--otlp-exporter-protocol=http",
        "--batch-timeout=200ms",
        f"--otlp-exporter-endpoint=http://127.0.0.1:{backend}",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def eventually(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return value


def plain(attributes: Any) -> dict[str, Any]:
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes
    }


def ended(taken: Taken, trace_id: str, ask: Callable[[dict[str, str]], Any]) -> Span:
    """Ask for something in a trace; return the span of the request, once it is there."""
    ask({"traceparent": f"00-{trace_id}-{CALLER}-01"}).raise_for_status()
    tops = eventually(
        lambda: [s for s in taken.of(trace_id) if s.kind == Span.SPAN_KIND_SERVER]
    )
    assert len(tops) == 1
    return tops[0]


def test_a_collector_has_our_spans_with_parents_names_and_attributes(
    serve: Any, backend: tuple[Taken, int]
) -> None:
    taken, behind = backend
    port = free_port()
    with collector(port, behind):
        server = serve(CORTEX_TRACE__OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
        items = {"items": [{"content": "tea in the harbour"}]}
        trace_id = "0af7651916cd43dd8448eb211c80319c"
        top = ended(
            taken,
            trace_id,
            lambda sent: server.client.post("/memory", json=items, headers=sent),
        )
    assert (top.name, top.parent_span_id.hex()) == ("POST /memory", CALLER)
    told = plain(top.attributes)
    assert told["http.request.method"] == "POST"
    assert told["http.route"] == "/memory"
    assert told["http.response.status_code"] == 200
    spans = taken.of(trace_id)
    by_name = {span.name: span for span in spans}
    assert {"usecase.remember", "embed", "store.write"} <= set(by_name)
    ids = {span.span_id for span in spans}
    assert len(ids) == len(spans)
    for span in spans:
        assert span is top or span.parent_span_id in ids, span.name
        assert top.start_time_unix_nano <= span.start_time_unix_nano
        assert span.start_time_unix_nano <= span.end_time_unix_nano
    assert by_name["usecase.remember"].parent_span_id == top.span_id
    assert plain(by_name["store.write"].attributes)["file"] == "cortex.db"
    resource = plain(taken.spans[0][0].attributes)
    assert resource["service.name"] == "cortex"
    assert resource["service.instance.id"] == str(server.process.pid)


def test_a_collector_that_was_away_gets_what_it_missed(
    serve: Any, backend: tuple[Taken, int]
) -> None:
    taken, behind = backend
    port = free_port()
    server = serve(CORTEX_TRACE__OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
    trace_id = "1bf7651916cd43dd8448eb211c80319c"
    sent = {"traceparent": f"00-{trace_id}-{CALLER}-01"}
    server.client.get("/memory/stats", headers=sent).raise_for_status()
    assert eventually(lambda: "traces not sent" in server.log.read_text())
    with collector(port, behind):
        assert eventually(lambda: taken.of(trace_id))
        exported = 'cortex_spans_exported_total{outcome="sent"}'
        assert eventually(lambda: exported in server.client.get("/metrics").text)
    assert len(taken.of(trace_id)) == len({s.span_id for s in taken.of(trace_id)})
