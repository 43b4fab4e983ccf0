"""The OpenAI-compatible backend against a real server that can misbehave."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
import stamina

from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import ValidationError
from cortex.foundation.retry import RetryPolicy
from cortex.inference.backends.openai import OpenAiOptions, OpenAiText
from cortex.inference.errors import (
    EmbeddingFailed,
    EmbeddingRefused,
    EmbeddingUnavailable,
)
from cortex.inference.tokens.counters import Counters
from cortex.testing.inference import EmbeddingServer, Reply, embedding_server

KEY = "sk-very-secret"
QUICK = RetryPolicy(wait_initial_seconds=0, wait_max_seconds=0.05, jitter_seconds=0)
COUNTERS = Counters(SystemClock())


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    hooks = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([])
    with embedding_server() as running:
        yield running
    stamina.instrumentation.set_on_retry_hooks(hooks)


@pytest.fixture
def backend(server: EmbeddingServer) -> Iterator[OpenAiText]:
    opened = open_at(server.url)
    yield opened
    opened.close()


def open_at(url: str, model: str = "local-model", dimensions: int = 384) -> OpenAiText:
    options = OpenAiOptions(
        model, url + "/v1", KEY, dimensions, timeout_seconds=0.5, retries=QUICK
    )
    return OpenAiText(options, COUNTERS.for_model(model))


def test_it_sends_what_openai_expects(
    server: EmbeddingServer, backend: OpenAiText
) -> None:
    vector = backend.embed("hello")
    assert np.allclose(vector, server.backend.embed("hello"), atol=1e-6)
    path, headers, body = server.requests[0]
    assert path == "/v1/embeddings"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": "local-model",
        "input": "hello",
        "encoding_format": "float",
    }


def test_a_shorter_vector_is_asked_for_only_of_models_that_have_another(
    server: EmbeddingServer,
) -> None:
    backend = open_at(server.url, "text-embedding-3-small", 384)
    backend.embed("hello")
    assert server.requests[0][2]["dimensions"] == 384
    backend.close()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again(
    server: EmbeddingServer, backend: OpenAiText, status: int
) -> None:
    server.replies.extend([Reply(status), Reply(status)])
    assert backend.embed("hello").shape == (384,)
    assert len(server.requests) == 3


def test_three_failed_tries_are_an_embedding_error(
    server: EmbeddingServer, backend: OpenAiText
) -> None:
    server.replies.extend([Reply(500)] * 3)
    with pytest.raises(EmbeddingFailed) as failed:
        backend.embed("hello")
    assert failed.value.code == "EMBEDDING_ERROR"
    assert failed.value.retryable
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_will_not_pass_is_not_tried_again(
    server: EmbeddingServer, backend: OpenAiText, status: int
) -> None:
    server.replies.append(Reply(status, b'{"error": "bad key sk-very-secret"}'))
    with pytest.raises(EmbeddingRefused) as refused:
        backend.embed("hello")
    assert not refused.value.retryable
    assert len(server.requests) == 1


def test_a_long_wish_to_be_left_alone_reaches_the_caller(
    server: EmbeddingServer, backend: OpenAiText
) -> None:
    server.replies.append(Reply(429, headers={"Retry-After": "30"}))
    with pytest.raises(EmbeddingFailed) as failed:
        backend.embed("hello")
    assert failed.value.retry_after_seconds == 30
    assert len(server.requests) == 1


def test_a_server_that_hangs_is_given_up(
    server: EmbeddingServer, backend: OpenAiText
) -> None:
    server.replies.append(Reply(delay_seconds=1.0))
    assert backend.embed("hello").shape == (384,)
    assert len(server.requests) == 2


def test_no_server_is_an_embedding_error() -> None:
    backend = open_at("http://127.0.0.1:9")
    with pytest.raises(EmbeddingFailed, match="did not answer"):
        backend.embed("hello")
    backend.close()


def row(vector: list[object]) -> bytes:
    return json.dumps({"data": [{"embedding": vector}]}).encode()


BAD_BODIES = {
    "not-json": b"<html>",
    "empty-object": b"{}",
    "no-rows": b'{"data": []}',
    "row-not-object": b'{"data": [1]}',
    "words": row(["a", "b"]),
    "nested": row([[1.0], [2.0]]),
    "zeros": row([0.0] * 384),
    "nan": b'{"data": [{"embedding": [NaN]}]}',
    "null": b'{"data": [{"embedding": null}]}',
    "short": row([1.0, 2.0]),
    "long": row([1.0] * 385),
    "huge": row([1e300] * 384),
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_an_answer_that_is_no_vector_is_refused(
    server: EmbeddingServer, backend: OpenAiText, body: bytes
) -> None:
    server.replies.append(Reply(body=body))
    with pytest.raises(EmbeddingRefused):
        backend.embed("hello")


def test_the_key_is_nowhere_to_be_seen(
    server: EmbeddingServer,
    backend: OpenAiText,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(0)
    server.replies.extend([Reply(401, b"wrong key sk-very-secret")])
    with pytest.raises(EmbeddingRefused) as refused:
        backend.embed("hello")
    shown = [
        str(refused.value),
        repr(refused.value.data),
        repr(OpenAiOptions("m", api_key=KEY)),
        repr(backend.info),
        caplog.text,
    ]
    assert KEY not in "".join(shown)


def test_the_space_does_not_depend_on_the_address(server: EmbeddingServer) -> None:
    here, there = open_at(server.url), open_at("http://127.0.0.1:9")
    assert here.info.space == there.info.space
    here.close()
    there.close()


def test_a_model_of_unknown_length_needs_to_be_told() -> None:
    with pytest.raises(ValidationError, match="not known") as refused:
        OpenAiText(OpenAiOptions("local-model"), COUNTERS.for_model("local-model"))
    assert refused.value.data["field"] == "dimensions"


def test_a_closed_backend_says_so(backend: OpenAiText) -> None:
    backend.close()
    with pytest.raises(EmbeddingUnavailable, match="closed"):
        backend.embed("hello")
