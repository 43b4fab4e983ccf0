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
from cortex.telemetry.tracing import export
from cortex.telemetry.tracing.export import Answer, ExportQueue, Outcome
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


def posting(client):
    async def post(where, body, headers):
        try:
            answer = await client.post(where, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise ConnectionError(type(error).__name__) from error
        return answer.status_code, answer.headers.get("retry-after", "")

    return post


async def test_traces_arrive_or_it_is_known_why_not(collector):
    url, taken, statuses = collector
    async with httpx.AsyncClient() as client:
        exporter = OtlpExporter(f"{url}/", RESOURCE, posting(client))
        assert (await exporter.send(kept())).outcome is Outcome.SENT
        path, kind, body = taken[0]
        assert (path, kind) == ("/v1/traces", "application/json")
        assert len(read(body)[1]) == 2
        for status, outcome in ((503, Outcome.LATER), (404, Outcome.REFUSED)):
            statuses.append(status)
            answer = await exporter.send(kept())
            assert answer.outcome is outcome
            assert str(status) in answer.reason
        gone = OtlpExporter("http://127.0.0.1:9", RESOURCE, posting(client))
        answer = await gone.send(kept())
        assert (answer.outcome, answer.reason) == (
            Outcome.LATER,
            "no answer: ConnectError",
        )


class Scripted:
    """A collector that answers as told, and what the operator hears of it."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.taken: list[str] = []
        self.counts: dict[str, int] = {}
        self.troubles: list[str] = []

    async def send(self, traces):
        answer = self.answers.pop(0) if self.answers else Answer(Outcome.SENT)
        if answer.outcome is Outcome.SENT:
            self.taken += [trace.top.name for trace in traces]
        return answer

    def spans(self, outcome, count):
        self.counts[outcome] = self.counts.get(outcome, 0) + count

    def trouble(self, reason):
        self.troubles.append(reason)


def named(*names: str):
    clock = ManualClock(1_700_000_000.0)
    tracer = Tracer(clock, random.Random(2).getrandbits, Sampling(ratio=1.0))
    for name in names:
        with tracer.root(name):
            pass
    return tracer.take()


async def test_what_a_collector_cannot_take_now_it_gets_later_in_order():
    away = Answer(Outcome.LATER, "no answer: ConnectError", retry_after=7)
    collector, clock = Scripted(away, away), ManualClock()
    queue = ExportQueue(collector, collector, clock)
    queue.offer(named("a", "b"))
    await queue.flush()
    queue.offer(named("c"))
    await queue.flush()  # too early
    clock.advance(6.9)
    await queue.flush()
    assert len(collector.answers) == 1
    clock.advance(0.2)
    await queue.flush()
    clock.advance(7)
    await queue.flush()
    assert collector.taken == ["a", "b", "c"]
    assert collector.counts == {"sent": 3}
    assert collector.troubles == ["no answer: ConnectError", ""]


async def test_what_a_collector_refuses_is_dropped_and_told_once():
    no = Answer(Outcome.REFUSED, "answers 404")
    collector = Scripted(no, no)
    queue = ExportQueue(collector, collector, ManualClock())
    for name in "abc":
        queue.offer(named(name))
        await queue.flush()
    assert collector.taken == ["c"]
    assert collector.counts == {"dropped": 2, "sent": 1}
    assert collector.troubles == ["answers 404", ""]


async def test_few_wait_for_a_collector_that_is_away(monkeypatch):
    monkeypatch.setattr(export, "SPANS_WAITING_MAX", 3)
    collector = Scripted(Answer(Outcome.LATER, "answers 503"))
    queue = ExportQueue(collector, collector, ManualClock())
    queue.offer(named("a", "b"))
    await queue.flush()
    queue.offer(named("c", "d", "e"))
    assert collector.counts == {"dropped": 2}


async def test_large_batches_are_sent_in_parts(monkeypatch):
    monkeypatch.setattr(export, "SPANS_AT_ONCE_MAX", 2)
    refuses = Answer(Outcome.REFUSED, "answers 413")
    collector = Scripted(Answer(Outcome.SENT), refuses)
    queue = ExportQueue(collector, collector, ManualClock())
    queue.offer(named(*"abcde"))
    await queue.flush()
    assert collector.taken == ["a", "b", "e"]


async def test_a_stop_in_the_middle_leaves_them_for_the_last_try():
    begun = asyncio.Event()

    class Slow(Scripted):
        async def send(self, traces):
            if not begun.is_set():
                begun.set()
                await asyncio.Event().wait()
            return await super().send(traces)

    collector = Slow()
    queue = ExportQueue(collector, collector, ManualClock())
    queue.offer(named("a"))
    sending = asyncio.create_task(queue.flush())
    await begun.wait()
    sending.cancel()
    await asyncio.wait([sending])
    await queue.flush()
    assert collector.taken == ["a"]
