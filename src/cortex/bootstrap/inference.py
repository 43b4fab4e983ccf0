"""Which model embeds, from the settings."""

import os
from functools import partial
from pathlib import Path

from cortex.foundation.breaker import Breaker
from cortex.foundation.cache import Cache
from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError
from cortex.inference.backends.openai import OpenAiOptions
from cortex.inference.ports import TokenCounters, Vector
from cortex.inference.providers import (
    Provider,
    TextModelOptions,
    open_text_backend,
    threads_for,
)
from cortex.inference.registry import shipped_models
from cortex.inference.text import EmbeddingOptions, TextEmbedding
from cortex.settings import EmbeddingProvider, Settings
from cortex.telemetry.metrics import Metrics

EMBEDDING_CACHE_BYTES = 16 * 1024 * 1024
"""Vectors kept by content hash: about 10 000 of 384 dimensions."""


def open_embedding(
    settings: Settings, counters: TokenCounters, clock: Clock, metrics: Metrics
) -> TextEmbedding:
    """Return the embedding service; loads the model, under a second."""
    # ONNX Runtime reports home unless this is set before it is imported.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 - see above
    options = model_options(settings)
    cache: Cache[bytes, Vector] = Cache(
        EMBEDDING_CACHE_BYTES, weigh=lambda vector: int(vector.nbytes)
    )
    embedding = TextEmbedding(
        open_text_backend(options, counters),
        cache=cache,
        breaker=Breaker(clock),
        clock=clock,
        options=EmbeddingOptions(
            threads=threads_for(options), observe=metrics.embedding_seconds.observe
        ),
    )
    metrics.watch_embeddings(partial(_sources, embedding))
    return embedding


def _sources(embedding: TextEmbedding) -> dict[str, float]:
    """Count texts by where their vectors came from; a shared run counts once."""
    stats = embedding.stats()
    return {"cache": stats.hits + stats.shared, "model": stats.runs}


def model_options(settings: Settings) -> TextModelOptions:
    """Return which model the settings name."""
    if settings.fast_test:
        return TextModelOptions(Provider.HASHING)
    named = settings.embedding_model
    if settings.embedding_provider is EmbeddingProvider.OPENAI:
        key = settings.openai.api_key
        remote = OpenAiOptions(
            model=named or "text-embedding-3-small",
            base_url=settings.openai.base_url,
            api_key=key.get_secret_value() if key else "",
            dimensions=settings.openai.dimensions,
        )
        return TextModelOptions(Provider.OPENAI, openai=remote)
    if settings.embedding_provider is EmbeddingProvider.HUGGINGFACE:
        folder = Path(named).expanduser() if named else None
        return TextModelOptions(Provider.ONNX, folder=folder)
    _check_bundled_name(named)
    return TextModelOptions(Provider.BUNDLED)


def _check_bundled_name(named: str) -> None:
    known = [model.name for model in shipped_models()]
    if named and named not in known:
        message = f"no bundled model is named {named!r}; there is {', '.join(known)}"
        hint = "For a model of your own set CORTEX_EMBEDDING_PROVIDER=huggingface."
        raise ValidationError(message, hint=hint, field="embedding_model")
