"""Figures that are counted in files, brought to the metrics from time to time."""

from dataclasses import dataclass

from cortex.bootstrap.stores import Stores
from cortex.bootstrap.trust import Trust
from cortex.foundation.clock import Clock
from cortex.memory.census import by_tier
from cortex.telemetry.metrics import Metrics

FIGURES_SECONDS = 10.0
"""Between two looks; as often as history takes a sample."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Memories by tier, and how far the ledger is behind."""

    metrics: Metrics
    stores: Stores
    trust: Trust
    clock: Clock

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await self.clock.sleep(FIGURES_SECONDS)

    async def look(self) -> None:
        """Count once."""
        for tier, (memories, size) in (await by_tier(self.stores.database)).items():
            self.metrics.memories.labels(tier).set(memories)
            self.metrics.memories_bytes.labels(tier).set(size)
        behind, unpublished = await self.trust.lag()
        self.metrics.ledger_lag.set(behind)
        self.metrics.ledger_unpublished.set(unpublished)
