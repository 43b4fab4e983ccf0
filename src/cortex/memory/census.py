"""How many memories there are, over all tenants: for the operator's figures."""

from collections.abc import Mapping

from cortex.memory.model import Tier
from cortex.storage.queries import Queries
from cortex.storage.sqlite import Database

_SQL = Queries.load("cortex.memory", "census")


async def by_tier(database: Database) -> Mapping[str, tuple[int, int]]:
    """Return tier → memories, bytes of content; every tier is there."""
    rows = await database.read(lambda c: c.execute(_SQL["by_tier"]).fetchall())
    found = {tier: (int(items), int(size)) for tier, items, size in rows}
    return {tier.value: found.get(tier.value, (0, 0)) for tier in Tier}
