"""OTLP as the official protobuf definitions read it, and over a real socket."""

import asyncio
import json
import random

import httpx
import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from cortex.telemetry import tracing
from cortex.telemetry.tracing.otlp import OtlpExporter, document
from cortex.telemetry.tracing.sampling import Sampling
from cortex.telemetry.tracing.tracer import Tracer
from cortex.testing.clock import ManualClock

RESOURCE = {"service.name": "cortex"}


def kept():
    clock = ManualClock(1_700_000_000.0)
    tracer = Tracer(clock, random.Random(2).getrandbits, Sampling(ratio=1.0))
    with tracer.root("GET /memory") as root:
        with tracing.span("store.read", rows=3, ratio=0.5, cached=True, file="a.db"):
            clock.advance(0.125)
        root.set(**{"http.request.method": "GET"})
        root.fail("STORAGE_FULL")
    return tracer.take()


def read(body):
    """Return a message; ids in JSON are hexadecimal, not protobuf's own base64."""
    message = Parse(json.dumps(body), ExportTraceServiceRequest())
    (resource,) = message.resource_spans
    (scope,) = resource.scope_spans
    return resource.resource, list(scope.spans)


def test_the_official_definitions_read_it():
    (trace,) = kept()
    resource, (inner, top) = read(document([trace], RESOURCE))
    assert resource.attributes[0].value.string_value == "cortex"
    assert top.kind == Span.SPAN_KIND_SERVER
    assert top.status.code == Status.STATUS_CODE_ERROR
    assert top.status.message == "STORAGE_FULL"
    assert inner.kind == Span.SPAN_KIND_INTERNAL
    assert inner.end_time_unix_nano - inner.start_time_unix_nano == 125_000_000
    values = {one.key: one.value for one in inner.attributes}
    assert values["rows"].int_value == 3
    assert values["ratio"].double_value == 0.5
    assert values["cached"].bool_value is True
    assert values["file"].string_value == "a.db"


def test_ids_are_hexadecimal_as_otlp_wants_in_json():
    (trace,) = kept()
    spans = document([trace], RESOURCE)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert spans[0]["traceId"] == trace.top.trace_id
    assert spans[0]["parentSpanId"] == spans[1]["spanId"] == trace.top.span_id
    assert "parentSpanId" not in spans[1]


@pytest.fixture
async def collector():
    """A listener that takes what is sent and answers with a status."""
    taken, statuses = [], [200]

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(
            line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line
        )
        body = await reader.readexactly(int(fields["content-length"]))
        taken.append((head.split()[1], fields["content-type"], json.loads(body)))
        writer.write(f"HTTP/1.1 {statuses[-1]} X\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", taken, statuses
    server.close()
    await server.wait_closed()


async def test_traces_arrive_or_are_counted_as_dropped(collector):
    url, taken, statuses = collector
    async with httpx.AsyncClient() as client:

        async def post(where, body, headers):
            try:
                return (
                    await client.post(where, content=body, headers=headers)
                ).status_code
            except httpx.HTTPError as error:
                raise ConnectionError from error

        exporter = OtlpExporter(f"{url}/", RESOURCE, post)
        await exporter.send(kept())
        assert (exporter.sent, exporter.dropped) == (2, 0)
        path, kind, body = taken[0]
        assert (path, kind) == ("/v1/traces", "application/json")
        assert len(read(body)[1]) == 2
        statuses.append(503)
        await exporter.send(kept())
        assert (exporter.sent, exporter.dropped) == (2, 2)
        gone = OtlpExporter("http://127.0.0.1:9", RESOURCE, post)
        await gone.send(kept())
        assert gone.dropped == 2
