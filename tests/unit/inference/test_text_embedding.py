"""The embedding service: cache, single flight, order, load and shutdown."""

import asyncio
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest

from cortex.foundation.breaker import Breaker, Phase
from cortex.foundation.cache import Cache
from cortex.foundation.errors import Overloaded
from cortex.inference.errors import (
    EmbeddingFailed,
    EmbeddingRefused,
    EmbeddingUnavailable,
)
from cortex.inference.ports import Embedder, Vector
from cortex.inference.text import EmbeddingOptions, TextEmbedding
from cortex.testing.inference import ControlledText
from cortex.testing.memory import VirtualClock

OPTIONS = EmbeddingOptions(threads=2, waiting_max=10, close_grace_seconds=2)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def backend() -> ControlledText:
    return ControlledText()


def service(
    backend: ControlledText, clock: VirtualClock, options: EmbeddingOptions = OPTIONS
) -> TextEmbedding:
    cache: Cache[bytes, Vector] = Cache(100)
    return TextEmbedding(
        backend, cache=cache, breaker=Breaker(clock), clock=clock, options=options
    )


@pytest.fixture
async def embedding(
    backend: ControlledText, clock: VirtualClock
) -> AsyncIterator[TextEmbedding]:
    opened = service(backend, clock)
    yield opened
    backend.gate.set()
    await opened.close()


async def settled(embedding: TextEmbedding, runs: int, backend: ControlledText) -> None:
    """Wait, really, until the threads have started so many runs."""
    async with asyncio.timeout(5):
        while len(backend.runs) < runs:
            await asyncio.sleep(0.001)


async def test_it_is_an_embedder(embedding: TextEmbedding) -> None:
    port: Embedder = embedding
    assert port.info.dimensions == 384


async def test_vectors_come_in_the_order_of_the_texts(
    embedding: TextEmbedding, backend: ControlledText
) -> None:
    texts = [f"text number {n}" for n in range(9)] + ["text number 3"]
    vectors = await embedding.embed(texts)
    for text, vector in zip(texts, vectors, strict=True):
        assert np.array_equal(vector, backend.embed(text))


async def test_no_text_is_no_work(embedding: TextEmbedding) -> None:
    assert await embedding.embed([]) == []


async def test_a_text_is_computed_once(
    embedding: TextEmbedding, backend: ControlledText
) -> None:
    await embedding.embed(["a", "b", "a"])
    await embedding.embed(["b"])
    assert sorted(backend.runs) == ["a", "b"]
    stats = embedding.stats()
    assert (stats.hits, stats.misses, stats.runs, stats.cached) == (2, 2, 2, 2)


async def test_cached_vectors_cannot_be_changed_by_a_caller(
    embedding: TextEmbedding,
) -> None:
    vector = (await embedding.embed(["a"]))[0]
    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 1


async def test_callers_of_one_text_share_one_run(
    embedding: TextEmbedding, backend: ControlledText
) -> None:
    backend.gate.clear()
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(embedding.embed(["same"]))
        await settled(embedding, 1, backend)
        backend.gate.set()
    assert backend.runs == ["same"]
    assert embedding.stats().shared == 4


async def test_a_caller_that_leaves_does_not_take_the_run_with_it(
    embedding: TextEmbedding, backend: ControlledText
) -> None:
    backend.gate.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(embedding.embed(["same"]))
        await settled(embedding, 1, backend)
        second = group.create_task(embedding.embed(["same"]))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        backend.gate.set()
        assert len(await second) == 1
    assert backend.runs == ["same"]
    assert embedding.stats().waiting == 0


async def test_a_big_import_does_not_stand_before_a_query(
    backend: ControlledText, clock: VirtualClock
) -> None:
    embedding = service(backend, clock, EmbeddingOptions(threads=1))
    backend.gate.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(embedding.embed([f"import {n}" for n in range(50)]))
        await settled(embedding, 1, backend)
        group.create_task(embedding.embed(["query"]))
        await asyncio.sleep(0)
        backend.gate.set()
    await embedding.close()
    assert backend.runs.index("query") <= 3


async def test_a_full_queue_is_refused_with_a_time(
    embedding: TextEmbedding, backend: ControlledText
) -> None:
    backend.gate.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(embedding.embed([str(n) for n in range(8)]))
        await settled(embedding, 1, backend)
        with pytest.raises(Overloaded) as refused:
            await embedding.embed(["x", "y", "z"])
        backend.gate.set()
    assert refused.value.retry_after_seconds
    assert refused.value.retry_after_seconds > 0
    assert len(await embedding.embed(["x", "y", "z"])) == 3


async def test_one_big_call_is_taken_when_nobody_waits(
    embedding: TextEmbedding,
) -> None:
    assert len(await embedding.embed([str(n) for n in range(50)])) == 50


async def test_an_unexpected_error_is_an_embedding_error(
    embedding: TextEmbedding, backend: ControlledText
) -> None:
    backend.failures.append(ZeroDivisionError("inside"))
    with pytest.raises(EmbeddingFailed, match="ZeroDivisionError") as failed:
        await embedding.embed(["a"])
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    assert len(await embedding.embed(["a"])) == 1
    assert embedding.stats().failures == 1


async def test_three_failures_open_the_breaker_and_a_probe_closes_it(
    embedding: TextEmbedding, backend: ControlledText, clock: VirtualClock
) -> None:
    for n in range(3):
        backend.failures.append(EmbeddingFailed("down"))
        with pytest.raises(EmbeddingFailed):
            await embedding.embed([f"text {n}"])
    with pytest.raises(EmbeddingUnavailable) as refused:
        await embedding.embed(["another"])
    assert refused.value.code == "MODEL_UNAVAILABLE"
    assert refused.value.retry_after_seconds == 60
    assert len(backend.runs) == 3
    clock.advance(60)
    assert len(await embedding.embed([f"more {n}" for n in range(20)])) == 20
    assert embedding.breaker.state.phase is Phase.CLOSED


async def test_cached_texts_are_served_while_the_breaker_is_open(
    embedding: TextEmbedding, backend: ControlledText
) -> None:
    await embedding.embed(["known"])
    backend.failures.extend(EmbeddingFailed("down") for _ in range(3))
    for n in range(3):
        with pytest.raises(EmbeddingFailed):
            await embedding.embed([str(n)])
    assert len(await embedding.embed(["known"])) == 1


async def test_a_text_that_is_refused_does_not_open_the_breaker(
    embedding: TextEmbedding, backend: ControlledText
) -> None:
    for n in range(5):
        backend.failures.append(EmbeddingRefused("bad text"))
        with pytest.raises(EmbeddingRefused):
            await embedding.embed([str(n)])
    assert embedding.breaker.state.phase is Phase.CLOSED


async def test_warming_runs_the_model_once(
    embedding: TextEmbedding, backend: ControlledText
) -> None:
    assert await embedding.warm() >= 0
    await embedding.warm()
    assert len(backend.runs) == 1


async def test_after_closing_there_is_a_clear_error(
    backend: ControlledText, clock: VirtualClock
) -> None:
    embedding = service(backend, clock)
    await embedding.embed(["a"])
    await embedding.close()
    await embedding.close()
    assert backend.closed
    with pytest.raises(EmbeddingUnavailable, match="closed"):
        await embedding.embed(["b"])


async def test_fifty_lives_leave_no_thread_behind(clock: VirtualClock) -> None:
    for n in range(50):
        embedding = service(ControlledText(), clock)
        await embedding.embed([str(n)])
        await embedding.close()
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("embed-")]


async def test_tokens_are_the_backends(embedding: TextEmbedding) -> None:
    assert embedding.count_tokens("one two three") == 3
