"""The upkeep of a store: uses written, tiers moved, expired memories forgotten.

All of it is bounded work off every request's path. The decisions are those of
`cortex.memory.tiering`; this module carries them out.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cortex.foundation.clock import Clock
from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import Namespace
from cortex.memory import tiering, writes
from cortex.memory.access import Use
from cortex.memory.events import EventMaker
from cortex.memory.model import Tier
from cortex.memory.ports import WriteContext
from cortex.memory.store import SqliteMemoryStore
from cortex.memory.tiering import TierPolicy, Usage
from cortex.memory.writes import SQL
from cortex.storage import outbox
from cortex.storage.sqlite import Connection, Database

INTERVAL_SECONDS: Final = 5.0
"""Seconds between two rounds: how late a use may count."""

ROWS_PER_ROUND: Final = 2_000
"""Rows judged in one round: 100 000 memories are seen every four minutes."""

MOVES_PER_UNIT: Final = 100
"""Rows moved in one transaction: compressing them takes some 5 ms of the writer."""

USES_PER_UNIT: Final = 500
"""Rows whose use is written in one transaction."""

EXPIRED_PER_ROUND: Final = 500
"""Expired memories forgotten in one round."""

CHANGES_KEPT: Final = 100_000
"""Entries of the change log that stay; a projection further behind loads afresh."""


@dataclass(frozen=True, slots=True)
class UpkeepOptions:
    """How the upkeep works; see the constants of this module."""

    policy: TierPolicy = field(default_factory=TierPolicy)
    interval_seconds: float = INTERVAL_SECONDS
    rows_per_round: int = ROWS_PER_ROUND
    changes_kept: int = CHANGES_KEPT


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did."""

    uses: int
    promoted: int
    demoted: int
    expired: int


@dataclass(frozen=True, slots=True)
class _Move:
    ns_id: int
    namespace: Namespace
    seq: int
    id: str
    source: Tier
    target: Tier


class Upkeep:
    """Looks after one store; run by the application, one round at a time."""

    def __init__(
        self,
        database: Database,
        store: SqliteMemoryStore,
        *,
        clock: Clock,
        ids: IdSource,
        options: UpkeepOptions | None = None,
    ) -> None:
        """Look after this store in this database."""
        self._database = database
        self._store = store
        self._clock = clock
        self._ids = ids
        self._events = EventMaker(clock, ids)
        self._options = options or UpkeepOptions()
        self._judged = 0

    async def run(self) -> None:
        """Do a round every few seconds, until cancelled."""
        while True:
            await self._clock.sleep(self._options.interval_seconds)
            await self.round()

    async def round(self) -> Round:
        """Write uses, move tiers, forget what expired, prune the change log.

        Finishes forgetting whose caller left before the files were clear.
        """
        uses = await self.flush()
        expired = await self._expire()
        promoted, demoted = await self._judge()
        kept = self._options.changes_kept
        await self._database.write(
            lambda c: c.execute(SQL["prune_changes"], (kept,)).rowcount
        )
        await self._store.forgetting.finish()
        return Round(uses, promoted, demoted, expired)

    async def flush(self) -> int:
        """Write the noted uses, promote what they made warm; return how many rows."""
        uses = self._store.take_uses()
        for at in range(0, len(uses), USES_PER_UNIT):
            batch = uses[at : at + USES_PER_UNIT]
            moves = await self._database.write(
                lambda c, batch=batch: self._write_uses(c, batch)  # type: ignore[misc]
            )
            await self._carry_out(moves)
        return len(uses)

    def _write_uses(
        self, connection: Connection, uses: Sequence[Use]
    ) -> Sequence[_Move]:
        moves = []
        for one in uses:
            key = (one.ns_id, one.seq)
            row = connection.execute(SQL["usage"], key).fetchone()
            if row is None:
                continue
            tenant, name, memory_id, tier, importance, since, count, heat = row
            before = Usage(heat, since, importance)
            after = tiering.use(
                self._options.policy, before, count=one.count, now=one.last_at
            )
            values = (one.seq, after.accessed_at, count + one.count, after.heat)
            connection.execute(SQL["insert_usage"], values)
            target = tiering.tier_for(
                self._options.policy, Tier(tier), after, one.last_at
            )
            if target != tier:
                ns = Namespace(tenant, name)
                moves.append(
                    _Move(one.ns_id, ns, one.seq, memory_id, Tier(tier), target)
                )
        return moves

    async def _judge(self) -> tuple[int, int]:
        """Judge the next rows in turn; return how many went up and down."""
        limit = self._options.rows_per_round
        after = self._judged
        rows = await self._database.read(
            lambda c: c.execute(SQL["usage_after"], (after, limit)).fetchall()
        )
        self._judged = rows[-1][0] if len(rows) == limit else 0
        now = self._clock.now()
        moves = []
        for seq, ns_id, tenant, name, memory_id, tier, importance, since, heat in rows:
            usage = Usage(heat, since, importance)
            target = tiering.tier_for(self._options.policy, Tier(tier), usage, now)
            if target != tier:
                ns = Namespace(tenant, name)
                moves.append(_Move(ns_id, ns, seq, memory_id, Tier(tier), target))
        return await self._carry_out(moves)

    async def _carry_out(self, moves: Iterable[_Move]) -> tuple[int, int]:
        """Move rows in batches of one namespace and direction, with their events."""
        groups: dict[tuple[int, Tier, Tier], list[_Move]] = defaultdict(list)
        for move in moves:
            groups[move.ns_id, move.source, move.target].append(move)
        promoted = demoted = 0
        for (_, _, target), group in groups.items():
            for at in range(0, len(group), MOVES_PER_UNIT):
                batch = group[at : at + MOVES_PER_UNIT]
                moved = await self._database.write(
                    lambda c, batch=batch: self._move(c, batch)  # type: ignore[misc]
                )
                up = target is Tier.HOT or group[0].source is Tier.COLD
                promoted += moved if up else 0
                demoted += 0 if up else moved
        return promoted, demoted

    def _move(self, connection: Connection, batch: Sequence[_Move]) -> int:
        first = batch[0]
        seal = self._store.seals.writing(connection, first.namespace.tenant)
        moved = [
            move.id
            for move in batch
            if writes.move_tier(connection, (move.ns_id, move.seq), move.target, seal)
        ]
        if moved:
            tiers = (first.source, first.target)
            event = self._events.moved(first.namespace, moved, tiers, self._context())
            outbox.append(connection, event)
        return len(moved)

    async def _expire(self) -> int:
        now = self._clock.now()
        rows = await self._database.read(
            lambda c: c.execute(SQL["expired"], (now, EXPIRED_PER_ROUND)).fetchall()
        )
        by_namespace: dict[Namespace, list[str]] = defaultdict(list)
        for tenant, name, memory_id in rows:
            by_namespace[Namespace(tenant, name)].append(memory_id)
        for ns, ids in by_namespace.items():
            await self._store.forget(ns, ids, context=self._context())
        return len(rows)

    def _context(self) -> WriteContext:
        return WriteContext(correlation_id=self._ids.new(), actor="upkeep")
