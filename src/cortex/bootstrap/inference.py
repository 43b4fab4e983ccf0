"""Which models there are and where they run, from the settings."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

from cortex.bootstrap.tools import Tools
from cortex.foundation.breaker import Breaker
from cortex.foundation.cache import Cache
from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import ValidationError
from cortex.inference.backends.openai import OpenAiOptions
from cortex.inference.engine import Engine, EngineOptions, ModelStatus
from cortex.inference.errors import ModelUnusable
from cortex.inference.lanes import ThreadLanes
from cortex.inference.pool import PoolHooks, WorkerPool
from cortex.inference.ports import TextBackend, TokenCounters, Vector
from cortex.inference.power import SAVING_COST, PowerControl, read_power
from cortex.inference.processes import WorkerSpec
from cortex.inference.providers import (
    Provider,
    TextModelOptions,
    open_text_backend,
    shipped_entries,
    threads_for,
)
from cortex.inference.queries import QueryEmbedding
from cortex.inference.registry import ModelEntry, Registry
from cortex.inference.revival import Revival
from cortex.inference.text import EmbeddingOptions, TextEmbedding
from cortex.settings import EmbeddingProvider, Settings
from cortex.telemetry.model_metrics import InferenceSample, ModelSample

EMBEDDING_CACHE_BYTES = 16 * 1024 * 1024
"""Vectors kept by content hash: about 10 000 of 384 dimensions."""

QUERY_CACHE_BYTES = 1024 * 1024
"""Vectors of queries made while power is saved: about 650."""

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class InferenceRoom:
    """Everything of one process that runs models.

    Attributes:
        embedding: texts to vectors, by the active model.
        queries: the same for what is searched for; quicker while power is saved.
        engine: loads every other model when it is asked for.
        pool: threads and worker processes of the active model.
        power: whether power is saved.
        revival: notices that a failing model works again.
    """

    embedding: TextEmbedding
    queries: QueryEmbedding
    engine: Engine
    pool: WorkerPool
    power: PowerControl
    revival: Revival

    def sample(self, media: Iterable[ModelStatus] = ()) -> InferenceSample:
        """Return the numbers that the metrics tell, those of ``media`` models too."""
        pool = self.pool.status()
        active, runs = self.embedding.info.name, self.embedding.stats().runs
        models = (
            ModelSample(
                row.info.name,
                row.loaded,
                row.info.memory_bytes,
                row.hits + (runs if row.info.name == active else 0),
                row.misses,
                row.evictions,
                row.load_seconds,
            )
            for row in (*self.engine.status(), *media)
        )
        return InferenceSample(
            models=tuple(models),
            workers_ready=sum(worker.state == "ready" for worker in pool.workers),
            workers_wanted=pool.wanted,
            losses=pool.losses,
            retries=pool.retries,
            low_power=self.power.low,
        )

    async def close(self) -> None:
        """End every thread and let go of every model."""
        await self.embedding.close()
        await self.engine.close()


def open_inference(
    settings: Settings, counters: TokenCounters, tools: Tools
) -> InferenceRoom:
    """Return the room; loads the active model, under a second."""
    # ONNX Runtime reports home unless this is set before it is imported.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 - see above
    options = model_options(settings)
    started = tools.clock.monotonic()
    backend = open_text_backend(options, counters)
    loaded_in = tools.clock.monotonic() - started
    engine = Engine(
        Registry(),
        clock=tools.clock,
        options=EngineOptions(settings.inference.memory_mb * MEGABYTE),
    )
    engine.adopt(ModelEntry(backend.info, lambda: backend), backend, loaded_in)
    for entry in shipped_entries():
        if entry.info.name != backend.info.name:
            engine.registry.add(entry)
    lanes = ThreadLanes(backend, clock=tools.clock, threads=threads_for(options))
    pool = WorkerPool(
        lanes,
        worker_spec(options, backend),
        workers=_workers(settings, options),
        workers_max=max(settings.inference.workers, 2 * (os.cpu_count() or 2)),
        clock=tools.clock,
        hooks=PoolHooks(
            lost=lambda name, why: tools.log.warning(
                "worker process lost", worker=name, reason=why
            )
        ),
    )
    return _room(settings, tools, engine, pool, backend)


def _room(
    settings: Settings,
    tools: Tools,
    engine: Engine,
    pool: WorkerPool,
    backend: TextBackend,
) -> InferenceRoom:
    breaker = Breaker(tools.clock)
    embedding = TextEmbedding(
        backend,
        cache=_cache(EMBEDDING_CACHE_BYTES),
        breaker=breaker,
        clock=tools.clock,
        options=EmbeddingOptions(observe=tools.metrics.embedding_seconds.observe),
        lanes=pool,
    )
    quick = _quick_entry(engine)
    alike = quick is not None and quick.info.space == backend.info.space
    power = PowerControl(
        *read_power(settings.inference.power),
        clock=tools.clock,
        savers=(pool.save_power,),
        cost=SAVING_COST if alike else None,
    )
    queries = QueryEmbedding(
        embedding,
        engine,
        quick,
        cache=_cache(QUERY_CACHE_BYTES),
        saving=lambda: power.low,
    )
    revival = Revival(pool, breaker, tools.clock)
    room = InferenceRoom(embedding, queries, engine, pool, power, revival)
    tools.metrics.watch_embeddings(partial(_sources, embedding))
    tools.metrics.models.read = room.sample
    return room


def _cache(bytes_max: int) -> Cache[bytes, Vector]:
    return Cache(bytes_max, weigh=lambda vector: int(vector.nbytes))


def _quick_entry(engine: Engine) -> ModelEntry[TextBackend] | None:
    """Return the quicker model for queries, if it can be loaded here."""
    try:
        early = import_module("cortex.inference.backends.early")
        entry: ModelEntry[TextBackend] = early.entry()
    except (ImportError, ModelUnusable):
        return None
    engine.registry.add(entry)
    return entry


def _workers(settings: Settings, options: TextModelOptions) -> int:
    wanted = settings.inference.workers
    if wanted and options.provider is Provider.OPENAI:
        message = "worker processes cannot help: the model runs elsewhere"
        hint = "Unset CORTEX_INFERENCE__WORKERS."
        raise ValidationError(message, hint=hint, field="inference.workers")
    return wanted


def worker_spec(options: TextModelOptions, backend: TextBackend) -> WorkerSpec:
    """Return what a worker process is told to run: the same as this process runs."""
    provider = "hashing" if backend.info.runtime == "hashing" else options.provider
    facts: dict[str, JsonValue] = {"provider": str(provider)}
    if options.folder is not None:
        facts["folder"] = str(options.folder)
    if options.max_tokens is not None:
        facts["max_tokens"] = options.max_tokens
    info = backend.info
    return WorkerSpec(info.name, info.space, facts, _environment())


def _environment() -> Mapping[str, str]:
    """Return this process's variables without our own: some of them are secrets."""
    own = os.environ.items()  # noqa: TID251 - handed on, not read
    return {name: value for name, value in own if not name.startswith("CORTEX_")}


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
    known = [entry.info.name for entry in shipped_entries()]
    if named and named not in known:
        message = f"no bundled model is named {named!r}; there is {', '.join(known)}"
        hint = "For a model of your own set CORTEX_EMBEDDING_PROVIDER=huggingface."
        raise ValidationError(message, hint=hint, field="embedding_model")
