"""A real server's insides in this process, with a home folder of its own."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.memory.datasets import Conversation
from cortex.app import App
from cortex.bootstrap.process import build
from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.ranking import RankingConfig
from cortex.settings import Settings
from cortex.usecases.model import CallContext

PRINCIPAL = Principal("benchmark", "bench", frozenset({"*"}))
CALL = CallContext("benchmark", "benchmark")
BATCH_ITEMS = 100


@dataclass(frozen=True, slots=True)
class Remembered:
    """A conversation in its own namespace, and which memory each key became."""

    conversation: Conversation
    namespace: Namespace
    key_of: dict[str, str]


@asynccontextmanager
async def running(
    home: Path | None = None, ranking: RankingConfig | None = None
) -> AsyncIterator[App]:
    """Start the whole, in a fresh home unless one is named."""
    async with AsyncExitStack() as stack:
        if home is None:
            fresh = tempfile.TemporaryDirectory(prefix="cortex-bench-")
            home = Path(stack.enter_context(fresh))
        settings = Settings(home=home, log_level="error")
        application = build(settings, ranking=ranking or RankingConfig())
        yield await stack.enter_async_context(application.running())


async def remember(app: App, conversation: Conversation) -> Remembered:
    """Store a conversation through the product's own journey."""
    namespace = PRINCIPAL.namespace(conversation.name)
    key_of: dict[str, str] = {}
    for start in range(0, len(conversation.items), BATCH_ITEMS):
        batch = conversation.items[start : start + BATCH_ITEMS]
        stored = await app.use_cases.remember(PRINCIPAL, namespace, batch, CALL)
        keys = conversation.keys[start : start + BATCH_ITEMS]
        key_of.update((s.id, key) for s, key in zip(stored, keys, strict=True))
    return Remembered(conversation, namespace, key_of)
