"""A real store, real recall, and an embedder that a test can turn off."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import Unavailable
from cortex.foundation.tenancy import Namespace
from cortex.inference.ports import ModelInfo, Vector
from cortex.inference.tokens.counters import Counters
from cortex.memory.model import NewMemory, Stored
from cortex.memory.recall import Recall
from cortex.memory.sessions import Sessions
from cortex.memory.shards import Shards
from cortex.memory.terms import TermAnalyser
from cortex.testing.memory import SPACE, MemoryWorld, memory_world, vector_of
from cortex.testing.usecases import MODEL
from cortex.usecases.build_context import BuildContext
from cortex.usecases.catch_up import CatchUp
from cortex.usecases.conversations import Conversations
from cortex.usecases.model import CallContext
from cortex.usecases.preparing import Preparing
from cortex.usecases.remember import Remember
from cortex.usecases.search import Search
from cortex.usecases.transfer import ExportLines, ImportLines

CALL = CallContext("usecases", "tester")


@dataclass
class Switch:
    """An embedder of word vectors; ``down`` or a refused text makes it fail."""

    space: str = SPACE
    down: bool = False
    refused: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def info(self) -> ModelInfo:
        return replace(MODEL, space=self.space, dimensions=32)

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        self.asked += texts
        if self.down:
            raise Unavailable("the embedder is down")
        if self.refused and any(self.refused in text for text in texts):
            error = Unavailable("this text is refused for good")
            error.retryable = False
            raise error
        return [vector_of(text) for text in texts]

    def count_tokens(self, text: str) -> int:
        return len(text.split())


@dataclass
class House:
    """The journeys over one store."""

    world: MemoryWorld
    embedder: Switch
    counters: Counters
    told: list[tuple[str, Mapping[str, JsonValue]]] = field(default_factory=list)

    @property
    def namespace(self) -> Namespace:
        return self.world.namespace

    @property
    def preparing(self) -> Preparing:
        return Preparing(self.embedder, TermAnalyser(), self.embedder.count_tokens)

    @property
    def sessions(self) -> Sessions:
        world = self.world
        return Sessions(world.database, world.store, clock=world.clock, ids=world.ids)

    @property
    def search(self) -> Search:
        shards = Shards(self.world.store, TermAnalyser())
        recall = Recall(
            self.world.store, shards, TermAnalyser(), clock=self.world.clock
        )
        return Search(recall, self.embedder)

    @property
    def build_context(self) -> BuildContext:
        return BuildContext(
            self.search, self.world.store, self.counters, self._announce
        )

    @property
    def conversations(self) -> Conversations:
        return Conversations(self.sessions, self.preparing)

    @property
    def import_lines(self) -> ImportLines:
        return ImportLines(self.world.store, self.sessions, self.preparing)

    @property
    def export_lines(self) -> ExportLines:
        return ExportLines(self.world.store, self.sessions)

    @property
    def catch_up(self) -> CatchUp:
        return CatchUp(self.world.store, self.preparing, self.world.clock)

    async def remember(self, *items: NewMemory | str) -> list[Stored]:
        made = [NewMemory(one) if isinstance(one, str) else one for one in items]
        remember = Remember(self.world.store, self.preparing)
        return await remember(None, self.namespace, made, CALL)

    def _announce(
        self,
        type_: str,
        namespace: Namespace,
        data: Mapping[str, JsonValue],
        context: CallContext,
    ) -> None:
        assert namespace == self.namespace
        told = (context.correlation_id, context.actor)
        assert told == (CALL.correlation_id, CALL.actor)
        self.told.append((type_, data))


@pytest.fixture(scope="session")
def counters() -> Counters:
    # Loading a vocabulary takes up to a second: once is enough.
    from cortex.foundation.clock import SystemClock

    return Counters(SystemClock())


@pytest.fixture
async def house(tmp_path: Path, counters: Counters) -> AsyncIterator[House]:
    async with memory_world(tmp_path) as world:
        yield House(world, Switch(), counters)


@pytest.fixture
def call() -> CallContext:
    return CALL
