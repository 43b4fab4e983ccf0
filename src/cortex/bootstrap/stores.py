"""The files and what keeps things in them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from cortex.app import nothing, opened
from cortex.bootstrap.encryption import encryption_of
from cortex.bootstrap.tools import Tools
from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError
from cortex.foundation.ids import IdSource
from cortex.foundation.lifecycle import Component
from cortex.memory.faiss_vectors import FaissVectors
from cortex.memory.ranking import RankingConfig
from cortex.memory.recall import Recall, RecallOptions
from cortex.memory.sessions import Sessions
from cortex.memory.shards import ShardOptions, Shards
from cortex.memory.store import SqliteMemoryStore
from cortex.memory.terms import TermAnalyser
from cortex.memory.upkeep import Upkeep
from cortex.memory.vectors import VectorIndex
from cortex.settings import Settings, VectorBackend
from cortex.storage.keyvalue import KeyValue
from cortex.storage.keyvalue_sqlite import SqliteKeyValue
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database

_REFUSED: Final = {
    VectorBackend.CHROMA: "its files keep the vectors of what was forgotten, after "
    "deleting, VACUUM and even dropping the collection (benchmarks/memory/backends.py)",
    VectorBackend.PGVECTOR: "memories are not kept in PostgreSQL",
}
"""Why a backend that others have is not one here."""


@dataclass(frozen=True, slots=True)
class Stores:
    """One process's stores over one database file."""

    database: Database
    memories: SqliteMemoryStore
    sessions: Sessions
    analyser: TermAnalyser
    shards: Shards
    recall: Recall
    upkeep: Upkeep
    durable_values: KeyValue
    values: KeyValue
    components: tuple[Component, ...]


def open_stores(settings: Settings, tools: Tools, ranking: RankingConfig) -> Stores:
    """Return the stores; their files are opened when the components start."""
    clock, ids = tools.clock, tools.ids
    rooms = (
        "cortex.storage",
        "cortex.memory",
        "cortex.security",
        "cortex.operations",
    )
    migrations = tuple(step for room in rooms for step in load_migrations(room))
    database = Database(settings.database_file, clock=clock, migrations=migrations)
    encryption = encryption_of(settings, database, clock)
    seals = encryption.seals
    memories = SqliteMemoryStore(database, clock=clock, ids=ids, seals=seals)
    analyser = TermAnalyser()
    shards = Shards(memories, analyser, _shard_options(settings))
    durable = SqliteKeyValue(database, clock=clock, ids=ids)
    values, components = _hot_values(settings, durable, clock, ids)
    return Stores(
        database=database,
        memories=memories,
        sessions=Sessions(database, memories, clock=clock, ids=ids, seals=seals),
        analyser=analyser,
        shards=shards,
        recall=Recall(
            memories,
            shards,
            analyser,
            clock=clock,
            options=RecallOptions(weights=ranking),
        ),
        upkeep=Upkeep(database, memories, clock=clock, ids=ids),
        durable_values=encryption.values(durable),
        values=encryption.values(values),
        components=(
            opened("database", database.open, database.close),
            opened(
                "encryption", partial(encryption.begin, tools.log, durable), nothing
            ),
            *components,
        ),
    )


def _shard_options(settings: Settings) -> ShardOptions:
    backend = settings.vector_backend
    if backend is VectorBackend.MEMORY:
        return ShardOptions()
    if backend is VectorBackend.FAISS:
        return ShardOptions(vectors=FaissVectors)
    if backend is VectorBackend.USEARCH:
        return ShardOptions(vectors=_usearch())
    raise ValidationError(
        f"the vector backend {backend.value!r} is refused: {_REFUSED[backend]}",
        hint="Use memory (exact, quantised with faiss when large), faiss or usearch.",
        field="vector_backend",
    )


def _usearch() -> Callable[[int], VectorIndex]:
    try:
        from cortex.memory.usearch_vectors import UsearchVectors  # noqa: PLC0415
    except ImportError as error:
        message = "CORTEX_VECTOR_BACKEND is usearch, but that extra is not installed"
        hint = "Install it with: pip install 'cortex-context[usearch]'"
        raise ValidationError(message, hint=hint, field="vector_backend") from error
    return UsearchVectors


def _hot_values(
    settings: Settings, durable: SqliteKeyValue, clock: Clock, ids: IdSource
) -> tuple[KeyValue, tuple[Component, ...]]:
    """Return where hot state is kept: in Redis when one is named, else in the file."""
    if settings.redis_url is None:
        return durable, ()
    try:
        from cortex.storage.keyvalue_redis import RedisKeyValue  # noqa: PLC0415
    except ImportError as error:
        message = "CORTEX_REDIS_URL is set, but the redis extra is not installed"
        hint = "Install it with: pip install 'cortex-context[redis]'"
        raise ValidationError(message, hint=hint, field="redis_url") from error
    redis = RedisKeyValue.from_url(
        settings.redis_url.get_secret_value(), clock=clock, ids=ids
    )
    return redis, (opened("redis", redis.ping, redis.close),)
