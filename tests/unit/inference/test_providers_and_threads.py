"""Choosing who turns text into vectors, and the threads that do it."""

import threading

import pytest

from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import ValidationError
from cortex.inference.backends.openai import OpenAiOptions
from cortex.inference.providers import (
    REMOTE_THREADS,
    Provider,
    TextModelOptions,
    open_text_backend,
    threads_for,
)
from cortex.inference.threads import Threads
from cortex.inference.tokens.counters import Counters

COUNTERS = Counters(SystemClock())


def test_each_provider_opens_its_own_runtime() -> None:
    hashing = open_text_backend(TextModelOptions(Provider.HASHING), COUNTERS)
    assert (hashing.info.runtime, hashing.info.degraded) == ("hashing", False)
    remote = TextModelOptions(
        Provider.OPENAI, openai=OpenAiOptions("text-embedding-3-small")
    )
    opened = open_text_backend(remote, COUNTERS)
    assert opened.info.dimensions == 1536
    opened.close()
    assert threads_for(remote) == REMOTE_THREADS
    assert threads_for(TextModelOptions()) == 0


def test_huggingface_means_a_folder_with_an_exported_model() -> None:
    assert Provider("huggingface") is Provider.ONNX
    with pytest.raises(ValueError, match="other"):
        Provider("other")


@pytest.mark.parametrize("provider", [Provider.ONNX, Provider.OPENAI])
def test_half_of_the_options_is_refused(provider: Provider) -> None:
    with pytest.raises(ValidationError) as refused:
        open_text_backend(TextModelOptions(provider), COUNTERS)
    assert refused.value.hint


def test_a_pool_that_never_worked_closes_and_takes_nothing_more() -> None:
    pool: Threads[int] = Threads(2, "test")
    assert pool.close(1)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(lambda: 1)


def test_a_pool_cancels_what_waits_and_ends_what_runs() -> None:
    pool: Threads[int] = Threads(1, "test")
    started, gate = threading.Event(), threading.Event()

    def slow() -> int:
        started.set()
        gate.wait()
        return 1

    running, waiting = pool.submit(slow), pool.submit(lambda: 2)
    started.wait()
    assert not pool.close(0.01)
    gate.set()
    assert running.result(5) == 1
    assert waiting.cancelled()
    assert pool.close(5) or not pool.close(0)
