"""What still works while a part fails, that it says so, and that it recovers alone."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from cortex.app import App
from cortex.bootstrap.process import build
from cortex.foundation.tenancy import Principal
from cortex.ledger.model import EntryQuery
from cortex.settings import EmbeddingProvider, OpenAI, Settings
from cortex.testing.clock import ManualClock
from cortex.testing.inference import Reply, embedding_server

PRINCIPAL = Principal("tester", scopes=frozenset({"*"}))
WAIT_SECONDS_MAX = 60.0


def remote_settings(home: Path, url: str) -> Settings:
    return Settings(
        home=home,
        log_level="critical",
        embedding_provider=EmbeddingProvider.OPENAI,
        openai=OpenAI(base_url=f"{url}/v1", api_key="k", dimensions=384),
    )


async def entries_of(app: App, kind: str) -> list[str]:
    page = await app.use_cases.audit.entries(PRINCIPAL, EntryQuery(kind=kind))
    return [entry.subject for entry in page.entries]


async def eventually(clock: ManualClock, done: Callable) -> None:
    """Let time go by until it is so."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await done():
            clock.advance(0.5)
            await asyncio.sleep(0.005)


async def test_of_two_processes_one_tells_the_ledger_that_a_part_fell_and_rose(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    with embedding_server() as remote:
        remote.replies.extend([Reply(status=503)] * 10_000)
        settings = remote_settings(tmp_path, remote.url)
        first, second = build(settings, clock=clock), build(settings, clock=clock)
        async with first.running(), second.running():

            async def fell() -> bool:
                return "embedder" in await entries_of(first, "health.degraded")

            async def rose() -> bool:
                return "embedder" in await entries_of(first, "health.recovered")

            await eventually(clock, fell)
            remote.replies.clear()
            await eventually(clock, rose)
            for kind in ("health.degraded", "health.recovered"):
                assert (await entries_of(second, kind)).count("embedder") == 1
