"""The audit ledger for callers, and the place where it may be missing.

A server whose ledger does not open still serves memory: it says so in its health, and
audit calls are refused until it is repaired.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import orjson

from cortex.bus.events import Event
from cortex.bus.registry import EVENT_TEXT_CHARACTERS_MAX
from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import NotFound, Overloaded, Unavailable, ValidationError
from cortex.foundation.tenancy import Principal
from cortex.ledger.checkpoint import SignedCheckpoint
from cortex.ledger.deep import blob_names
from cortex.ledger.errors import EntryNotFound, LedgerTampered
from cortex.ledger.log import Ledger
from cortex.ledger.model import (
    AGENT_CALL,
    AgentCall,
    ConsistencyProof,
    EntryPage,
    EntryQuery,
    EntryView,
    InclusionProof,
    LedgerStats,
    Receipt,
    SystemEvent,
)
from cortex.ledger.stored import StoredLedger
from cortex.ledger.verdicts import Verification
from cortex.ledger.verify import Request
from cortex.ledger.walk import BodyMissing
from cortex.usecases.model import CallContext
from cortex.usecases.published import published_file

LEDGER_RETRY_SECONDS = 30.0
"""How long a caller should wait for a ledger that did not open or stopped."""

VERIFY_RETRY_SECONDS = 5.0
"""How long a caller should wait while another verification runs: about a million
entries a wait."""

CONTENT_READ = "audit.content_read"
"""Kind of the entry that says who read the sealed content of another."""

RECORDED = "audit.recorded"
ROTATED = "audit.rotated"
OWN_EVENTS = frozenset((RECORDED,))
"""Events that tell of an entry: to record them would never end. A rotation tells of a
whole bundle at least, so its one entry calls for no other."""

Tell = Callable[[str, tuple[str, str], Mapping[str, JsonValue], CallContext], None]
"""Announces an event of a tenant about a subject; returns at once."""

_MALFORMED = "an entry that is stored cannot be read"
_VERIFY_HINT = "Run: cortex ledger verify"


class LedgerRoom:
    """Holds the open ledger, or why there is none."""

    def __init__(self) -> None:
        """Begin without a ledger."""
        self._ledger: Ledger | None = None
        self.fault = "the ledger is not open"
        self.verifying = asyncio.Lock()

    def opened(self, ledger: Ledger) -> None:
        """Take the open ledger."""
        self._ledger, self.fault = ledger, ""

    def failed(self, reason: str) -> None:
        """Remember why it did not open."""
        self._ledger, self.fault = None, reason

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
class ProvenEntry:
    """A proof of inclusion, and the entry where the caller may see it.

    Attributes:
        proof: the path, which says nothing of what other tenants recorded.
        entry: the exact bytes that were hashed; None for another tenant's entry.
    """

    proof: InclusionProof
    entry: bytes | None


@dataclass(frozen=True, slots=True)
class Audit:
    """Record, search, prove and verify; each caller within its tenant.

    Attributes:
        room: where the ledger is.
        tell: announces what was recorded; nobody hears of it without.
    """

    room: LedgerRoom
    tell: Tell | None = None

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
        ledger = self.room.ledger
        receipt = await ledger.record(owned, published=published)
        self._announce(owned, receipt, context)
        # Where the data folder lies on this machine is nobody's business.
        return replace(receipt, ledger_path=ledger.paths.root.name)

    async def calls(self, principal: Principal, limit: int, /) -> EntryPage:
        """Return the newest agent calls."""
        return await self.entries(principal, EntryQuery(kind=AGENT_CALL, limit=limit))

    async def entries(self, principal: Principal, query: EntryQuery, /) -> EntryPage:
        """Return a page of the tenant's entries, newest first."""
        owned = replace(query, tenant=principal.tenant)
        with _readable():
            return await self.room.ledger.entries(owned)

    async def entry(self, principal: Principal, index: int, /) -> EntryView:
        """Return one entry of the tenant, with data too long for the log itself."""
        ledger = self.room.ledger
        with _readable():
            view = await ledger.reading.entry(index, principal.tenant)
            return await asyncio.to_thread(_whole, ledger.upkeep.stored, view)

    async def content(
        self, principal: Principal, index: int, context: CallContext, /
    ) -> Mapping[str, JsonValue]:
        """Return the sealed content of an entry; that it was read is recorded first.

        Raises:
            EntryNotFound: there is no such entry of the tenant, or it has no content.
            ContentForgotten: its key was destroyed.
        """
        ledger = self.room.ledger
        with _readable():
            found = await ledger.reading.content(index, principal.tenant)
            view = await ledger.reading.entry(index, principal.tenant)
        await ledger.append(
            SystemEvent(
                id=f"{view.entry_id}/read/{context.correlation_id}",
                kind=CONTENT_READ,
                subject=view.entry_id,
                data={"index": index},
                correlation_id=context.correlation_id,
                actor=principal.subject,
                tenant=principal.tenant,
            )
        )
        return found

    async def stats(self, principal: Principal, /) -> LedgerStats:
        """Return the tenant's numbers."""
        return await self.room.ledger.stats(principal.tenant)

    async def checkpoint(self, *, cosigned: bool = False) -> SignedCheckpoint:
        """Return the newest signed head; ``NotFound`` before the first.

        ``cosigned``: the newest that a witness cosigned.
        """
        ledger = self.room.ledger
        return ledger.reading.cosigned() if cosigned else ledger.checkpoint()

    async def inclusion(self, principal: Principal, index: int, /) -> ProvenEntry:
        """Return the proof that an entry is in the newest tree."""
        ledger = self.room.ledger
        proof = ledger.inclusion_proof(index)
        with _readable():
            try:
                await ledger.reading.entry(index, principal.tenant)
                leaf = ledger.upkeep.stored.leaf
                return ProvenEntry(proof, await asyncio.to_thread(leaf, index))
            except (EntryNotFound, BodyMissing):
                # Another tenant's, or in an archive out of reach: the path alone.
                return ProvenEntry(proof, None)

    async def consistency(self, old: int, new: int | None, /) -> ConsistencyProof:
        """Return the proof that one tree extends another; None is the newest."""
        ledger = self.room.ledger
        end = ledger.checkpoint().size if new is None else new
        return ledger.consistency_proof(old, end)

    async def verify(self, *, deep: bool = False) -> Verification:
        """Verify everything now; one at a time, for it reads the whole log.

        Raises:
            Overloaded: another verification is running.
        """
        ledger, turn = self.room.ledger, self.room.verifying
        if turn.locked():
            raise Overloaded(
                "a verification is running already",
                hint="Wait as long as Retry-After says.",
                retry_after_seconds=VERIFY_RETRY_SECONDS,
            )
        async with turn:
            return await ledger.verify(Request(deep=deep))

    async def published(self, path: str) -> bytes:
        """Return a file of the published log (c2sp.org/tlog-tiles).

        Raises:
            EntryNotFound: there is no such file.
        """
        root = self.room.ledger.paths.tiles
        return await asyncio.to_thread(published_file, root, path)

    async def keep(self, event: Event) -> None:
        """Record an event of the outbox; the same one twice counts once.

        What the ledger says of itself is passed over: it is about an entry already.
        """
        if event.type in OWN_EVENTS:
            return
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

    def _announce(
        self, call: AgentCall, receipt: Receipt, context: CallContext
    ) -> None:
        if self.tell is None:
            return
        data: dict[str, JsonValue] = {
            "entry_id": receipt.entry_id,
            "index": receipt.index,
            "entry_hash": receipt.entry_hash,
            "run_id": call.run_id[:EVENT_TEXT_CHARACTERS_MAX],
            "agent_name": call.agent_name[:EVENT_TEXT_CHARACTERS_MAX],
        }
        about = (call.tenant, receipt.entry_id)
        told = replace(context, correlation_id=call.correlation_id)
        self.tell(RECORDED, about, data, told)

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


def _whole(stored: StoredLedger, view: EntryView) -> EntryView:
    """Return an entry with its data, from beside the log where it was too long."""
    name = next(iter(blob_names({"data": {"blob": view.data.get("blob")}})), None)
    if name is None:
        return view
    try:
        for _, found, body in stored.blobs(view.index, view.index + 1):
            if found == name:
                data: Mapping[str, JsonValue] = orjson.loads(body)
                return replace(view, data=data)
    except (BodyMissing, orjson.JSONDecodeError):
        # In an archive out of reach, or damaged: the entry names what is missing.
        return view
    return view


@contextmanager
def _readable() -> Iterator[None]:
    """Tell what is stored and cannot be read apart from what was asked wrongly."""
    try:
        yield
    except ValidationError as error:
        raise LedgerTampered(_MALFORMED, hint=_VERIFY_HINT) from error
