"""The audit ledger for callers, and the place where it may be missing.

A server whose ledger does not open still serves memory: it says so in its health, and
audit calls are refused until it is repaired.
"""

from dataclasses import dataclass, replace

from cortex.bus.events import Event
from cortex.foundation.errors import NotFound, Unavailable
from cortex.foundation.tenancy import Principal
from cortex.ledger.checkpoint import SignedCheckpoint
from cortex.ledger.log import Ledger
from cortex.ledger.model import (
    AgentCall,
    ConsistencyProof,
    EntryPage,
    EntryQuery,
    InclusionProof,
    LedgerStats,
    Receipt,
    SystemEvent,
)
from cortex.ledger.verdicts import Verification
from cortex.usecases.model import CallContext

LEDGER_RETRY_SECONDS = 30.0
"""How long a caller should wait for a ledger that did not open or stopped."""


class LedgerRoom:
    """Holds the open ledger, or why there is none."""

    def __init__(self) -> None:
        """Begin without a ledger."""
        self._ledger: Ledger | None = None
        self.fault = "the ledger is not open"

    def opened(self, ledger: Ledger) -> None:
        """Take the open ledger."""
        self._ledger, self.fault = ledger, ""

    def failed(self, reason: str) -> None:
        """Remember why it did not open."""
        self.fault = reason

    @property
    def ledger(self) -> Ledger:
        """Return the open ledger.

        Raises:
            Unavailable: it did not open; the message says why.
        """
        if self._ledger is None:
            raise Unavailable(
                f"the audit ledger is not available: {self.fault}",
                hint="See 'cortex ledger verify'.",
                retry_after_seconds=LEDGER_RETRY_SECONDS,
            )
        return self._ledger


@dataclass(frozen=True, slots=True)
class Audit:
    """Record, search, prove and verify; each caller within its tenant."""

    room: LedgerRoom

    async def record(
        self,
        principal: Principal,
        call: AgentCall,
        context: CallContext,
        /,
        *,
        published: bool = False,
    ) -> Receipt:
        """Record an agent call; durable when returned.

        ``published`` waits until a signed checkpoint covers it.
        """
        owned = replace(
            call,
            tenant=principal.tenant,
            actor=principal.subject,
            correlation_id=call.correlation_id or context.correlation_id,
        )
        return await self.room.ledger.record(owned, published=published)

    async def entries(self, principal: Principal, query: EntryQuery, /) -> EntryPage:
        """Return a page of the tenant's entries, newest first."""
        owned = replace(query, tenant=principal.tenant)
        return await self.room.ledger.entries(owned)

    async def stats(self, principal: Principal, /) -> LedgerStats:
        """Return the tenant's numbers."""
        return await self.room.ledger.stats(principal.tenant)

    async def checkpoint(self) -> SignedCheckpoint:
        """Return the newest signed head; ``NotFound`` before the first."""
        return self.room.ledger.checkpoint()

    async def inclusion(self, index: int, /) -> InclusionProof:
        """Return the proof that an entry is in the newest tree."""
        return self.room.ledger.inclusion_proof(index)

    async def consistency(self, old: int, new: int, /) -> ConsistencyProof:
        """Return the proof that one tree extends another."""
        return self.room.ledger.consistency_proof(old, new)

    async def verify(self) -> Verification:
        """Verify everything now."""
        return await self.room.ledger.verify()

    async def keep(self, event: Event) -> None:
        """Record an event of the outbox; the same one twice counts once."""
        actor = event.data.get("actor")
        await self.room.ledger.append(
            SystemEvent(
                id=event.id,
                kind=event.type,
                subject=event.subject,
                data=event.data,
                correlation_id=event.correlation_id,
                actor=actor if isinstance(actor, str) else "",
                tenant=event.tenant,
            )
        )

    async def shred(self, tenant: str, subject: str, context: CallContext) -> None:
        """Destroy the key to a person's recorded content, if any was recorded."""
        try:
            await self.room.ledger.forget(
                tenant,
                subject,
                actor=context.actor,
                correlation_id=context.correlation_id,
            )
        except NotFound:
            return
