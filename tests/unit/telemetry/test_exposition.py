import asyncio
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from cortex.telemetry.exposition import Exposition, decode, encode, merge
from cortex.telemetry.metrics import Metrics, RequestSample
from cortex.telemetry.workers import Workers

TRACE = "a" * 32
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def made():
    return Metrics(brand="b", version="1")


def request(metrics, seconds=0.02, trace_id="", route="/memory"):
    metrics.request(RequestSample(route, "GET", 200, seconds), trace_id)


def value(families, name, **labels):
    found = [
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert len(found) == 1, (name, found)
    return found[0]


async def test_openmetrics_shows_a_trace_beside_its_bucket():
    metrics = made()
    request(metrics, trace_id=TRACE)
    exposition = Exposition(metrics.registry)
    body, content_type = await exposition.render(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    exemplars = [
        sample.exemplar
        for family in parse_openmetrics(body.decode())
        for sample in family.samples
        if sample.exemplar is not None
    ]
    assert [one.labels for one in exemplars] == [{"trace_id": TRACE}]
    assert exemplars[0].value == 0.02


async def test_plain_text_is_the_default():
    metrics = made()
    request(metrics, trace_id=TRACE)
    body, content_type = await Exposition(metrics.registry).render("*/*")
    assert content_type.startswith("text/plain")
    assert TRACE not in body.decode()
    assert value(parse_text(body.decode()), "cortex_http_requests_total") == 1


def test_a_snapshot_is_read_as_it_was_written():
    metrics = made()
    request(metrics, trace_id=TRACE)
    written = encode(metrics.registry.collect())
    assert encode(decode(written)) == written


def test_counts_of_dead_workers_stay_and_their_gauges_go():
    one, two, dead = made(), made(), made()
    for metrics, times in ((one, 1), (two, 2), (dead, 4)):
        for _ in range(times):
            request(metrics, trace_id=TRACE)
        metrics.requests_in_flight.set(times)
        metrics.memories.labels("hot").set(7)
    merged = merge(
        [
            (list(metrics.registry.collect()), metrics is not dead)
            for metrics in (one, two, dead)
        ]
    )
    assert value(merged, "cortex_http_requests_total") == 7
    assert value(merged, "cortex_http_request_seconds_bucket", le="0.025") == 7
    assert value(merged, "cortex_http_requests_in_flight") == 3
    assert value(merged, "cortex_memories", tier="hot") == 7
    assert value(merged, "cortex_build_info") == 1
    assert [m.name for m in merged].count("cortex_http_requests") == 1


@pytest.fixture
def folder():
    # Names of sockets are short: the tests' own folder would be too long.
    path = Path(tempfile.mkdtemp(prefix="cw-"))
    yield path
    shutil.rmtree(path)


async def worker(folder, name):
    metrics = made()
    workers = Workers(folder, lambda: encode(metrics.registry.collect()), name)
    await workers.open()
    return metrics, workers, Exposition(metrics.registry, workers.others)


async def test_any_worker_tells_the_counts_of_all(folder):
    fleet = [await worker(folder, str(n)) for n in range(3)]
    for metrics, _, _ in fleet:
        request(metrics)
    for _, _, exposition in fleet:
        found = await exposition.collect()
        assert value(found, "cortex_http_requests_total") == 3
    for _, workers, _ in fleet:
        await workers.close()


async def test_no_count_that_was_told_is_lost_whoever_dies(folder):
    """Workers die at any moment; a sum that was seen never falls."""
    draw = random.Random(11)
    fleet = {str(n): await worker(folder, str(n)) for n in range(3)}
    seen, counted, born = 0.0, 0, 3
    for _ in range(60):
        name = draw.choice(sorted(fleet))
        metrics, workers, exposition = fleet[name]
        for _ in range(draw.randrange(3)):
            request(metrics)
            counted += 1
        if draw.random() < 0.7:
            now = value(await exposition.collect(), "cortex_http_requests_total")
            assert now >= seen
            seen = now
        elif len(fleet) > 1:
            # As when killed: its socket stays and nobody answers.
            workers._server.close()
            await workers._server.wait_closed()
            del fleet[name]
            fleet[str(born)] = await worker(folder, str(born))
            request(fleet[str(born)][0])
            counted += 1
            born += 1
    assert 0 < seen <= counted
    for _, workers, _ in fleet.values():
        await workers.close()


async def test_a_worker_that_ends_in_order_loses_nothing(folder):
    one, gone = await worker(folder, "1"), await worker(folder, "2")
    request(gone[0])
    await gone[1].close()
    found = await one[2].collect()
    assert value(found, "cortex_http_requests_total") == 1
    await one[1].close()


async def test_a_worker_that_hangs_is_told_as_it_was_last_seen(folder, monkeypatch):
    monkeypatch.setattr("cortex.telemetry.workers.ANSWER_SECONDS", 0.05)
    one = await worker(folder, "1")
    hung = made()
    request(hung)
    (folder / "2.told").write_bytes(encode(hung.registry.collect()))
    stop = asyncio.Event()

    async def silent(_reader, writer):
        await stop.wait()
        writer.close()

    server = await asyncio.start_unix_server(silent, folder / "2.sock")
    found = await one[2].collect()
    assert value(found, "cortex_http_requests_total") == 1
    assert value(found, "cortex_http_requests_in_flight") == 0
    stop.set()
    server.close()
    await one[1].close()
