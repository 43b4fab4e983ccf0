"""The ledger as the rest of Cortex uses it: record, prove, search, verify."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError, Unavailable
from cortex.foundation.ids import IdSource
from cortex.ledger import store
from cortex.ledger.appender import Appender, AppenderParts, Recorded
from cortex.ledger.archive import Archive
from cortex.ledger.checkpoint import SignedCheckpoint
from cortex.ledger.entry import time_text
from cortex.ledger.errors import LedgerTampered, NoteInvalid
from cortex.ledger.keys import KeyFolder, SigningKeys, system_entropy
from cortex.ledger.model import (
    AGENT_CALL,
    KEY_ROTATED,
    AgentCall,
    ConsistencyProof,
    EntryPage,
    EntryQuery,
    EntryView,
    InclusionProof,
    LedgerHealth,
    LedgerStats,
    Receipt,
    SystemEvent,
)
from cortex.ledger.offline import verify_stored
from cortex.ledger.options import LedgerOptions, LedgerPaths
from cortex.ledger.pins import PinFolder, Pinned, pinned_from
from cortex.ledger.publisher import Publisher, PublisherParts
from cortex.ledger.reading import Reading
from cortex.ledger.snapshots import SnapshotFolder
from cortex.ledger.subjects import SubjectKeys
from cortex.ledger.tilestore import TileStore
from cortex.ledger.upkeep import Moved, Upkeep, UpkeepParts
from cortex.ledger.verdicts import Verification
from cortex.ledger.verify import Request
from cortex.storage.migrations import load_migrations
from cortex.storage.options import DatabaseOptions
from cortex.storage.sqlite import Database

RETRY_SECONDS = 1.0
"""Seconds before publishing is tried again after it failed."""


@dataclass(frozen=True, slots=True)
class LedgerContext:
    """What a ledger takes from outside.

    Attributes:
        clock: the time.
        ids: names of entries.
        entropy: random bytes; the system's by default.
        archive: cold storage, if any.
    """

    clock: Clock
    ids: IdSource
    entropy: Callable[[int], bytes] = system_entropy
    archive: Archive | None = None


class Ledger:
    """An append-only log with signed heads, proofs, search and erasure.

    ``open`` makes or recovers it; ``run`` publishes heads and belongs into a task of
    the application; ``maintain`` is called now and then. After a storage error it
    takes no more entries and ``health`` says so; reads go on.
    """

    def __init__(
        self, paths: LedgerPaths, options: LedgerOptions, context: LedgerContext
    ) -> None:
        """Put the parts together; ``open`` is the way to get a usable ledger."""
        self.paths = paths
        self._options = options
        self._context = context
        self._key_folder = KeyFolder(paths.keys, entropy=context.entropy)
        paths.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys = self._key_folder.load(options.origin, post_quantum=options.post_quantum)
        self._database = Database(
            paths.database,
            clock=context.clock,
            options=DatabaseOptions(halt_on_io_error=True),
            migrations=load_migrations("cortex.ledger"),
        )
        tiles = TileStore(paths.tiles)
        self._pins = None if options.pins is None else PinFolder(options.pins)
        self._publisher = Publisher(
            PublisherParts(
                self._database, tiles, paths.lock, context.clock, self._pins
            ),
            keys,
        )
        self._upkeep = Upkeep(
            UpkeepParts(
                self._database,
                tiles,
                self._publisher,
                SnapshotFolder(paths.snapshots, keys.origin),
                context.clock,
                context.archive,
            ),
            options,
        )
        self._subjects = SubjectKeys(paths.subjects, entropy=context.entropy)
        self._appender = Appender(
            AppenderParts(
                self._database,
                self._subjects,
                context.clock,
                context.ids,
                context.entropy,
            )
        )
        self._reading = Reading(
            self._database, tiles, self._upkeep.stored, self._subjects
        )
        self._unpublished = asyncio.Event()
        self._full = asyncio.Event()
        self._new_entries = 0
        self._publish_fault = ""

    @classmethod
    async def open(
        cls, home: Path, context: LedgerContext, options: LedgerOptions | None = None
    ) -> "Ledger":
        """Open the ledger of a ``CORTEX_HOME``, making or recovering it.

        What contradicts a signed head does not keep it from opening: it then takes
        no entries, and ``health`` and ``verify`` say why.

        Raises:
            KeyUnusable: a key file is malformed or open to others.
            StorageError, StorageFull: the file cannot be opened.
        """
        ledger = cls(LedgerPaths.below(home), options or LedgerOptions(), context)
        try:
            await ledger._recover()
        except BaseException:
            await ledger.close()
            raise
        return ledger

    @property
    def keys(self) -> SigningKeys:
        """Return what the log signs with; a verifier pins its public half."""
        return self._publisher.keys

    async def run(self) -> None:
        """Publish a head a second, or every so many entries, until cancelled."""
        while True:
            await self._unpublished.wait()
            await self._wait_until_due()
            try:
                await self.publish()
            except (CortexError, OSError):
                # ``publish`` noted it for ``health``; the entries stay durable.
                await self._context.clock.sleep(RETRY_SECONDS)

    async def record(self, call: AgentCall, *, published: bool = False) -> Receipt:
        """Record an agent call; return when it is durable.

        Args:
            call: what happened.
            published: wait until a checkpoint covers it, and prove that.

        Raises:
            ValidationError: something in it has no canonical form.
            LedgerStopped: the ledger takes no entries.
            StorageFull, Overloaded: it was not recorded; try again later.
        """
        recorded = await self._appender.record(call)
        return await self._receipt(recorded, call.run_id, published=published)

    async def append(self, event: SystemEvent, *, published: bool = False) -> Receipt:
        """Record a system event; the same id again gives the first receipt.

        Raises:
            Conflict: another tenant's entry has that id.
            ValidationError, LedgerStopped, StorageFull, Overloaded: as ``record``.
        """
        recorded = await self._appender.append(event)
        return await self._receipt(recorded, "", published=published)

    async def forget(
        self, tenant: str, subject: str, *, actor: str, correlation_id: str = ""
    ) -> Receipt:
        """Destroy the key to a subject's content and record who asked.

        Raises:
            NotFound: nothing is kept for that subject.
            LedgerStopped, StorageFull, Overloaded: as ``record``.
        """
        recorded = await self._appender.forget(
            tenant, subject, actor=actor, correlation_id=correlation_id
        )
        return await self._receipt(recorded, "", published=False)

    async def publish(self) -> SignedCheckpoint:
        """Sign and show a head over everything durable; return it.

        Raises:
            LedgerTampered: what is stored contradicts a signed head.
            CortexError, OSError: the disk failed.
        """
        self._unpublished.clear()
        self._full.clear()
        self._new_entries = 0
        try:
            signed = await self._publisher.publish()
        except LedgerTampered as error:
            self._publish_fault = str(error)
            self._appender.stop(error.message)
            raise
        except (CortexError, OSError) as error:
            self._publish_fault = str(error)
            self._unpublished.set()
            raise
        self._publish_fault = ""
        return signed

    def checkpoint(self) -> SignedCheckpoint:
        """Return the newest signed head.

        Raises:
            EntryNotFound: none was signed yet.
        """
        return self._reading.newest()

    def inclusion_proof(self, index: int) -> InclusionProof:
        """Return the proof that an entry is in the tree of the newest head."""
        return self._reading.inclusion(index)

    def consistency_proof(self, old: int, new: int) -> ConsistencyProof:
        """Return the proof that one tree extends another."""
        return self._reading.consistency(old, new)

    async def entries(self, query: EntryQuery) -> EntryPage:
        """Return a page of matching entries, newest first."""
        return await self._reading.entries(query)

    async def recent_calls(self, tenant: str, limit: int) -> tuple[EntryView, ...]:
        """Return the newest agent calls."""
        query = EntryQuery(tenant=tenant, kind=AGENT_CALL, limit=limit)
        return (await self._reading.entries(query)).entries

    async def entry(self, index: int, tenant: str) -> EntryView:
        """Return one entry of a tenant."""
        return await self._reading.entry(index, tenant)

    async def content(self, index: int, tenant: str) -> Mapping[str, JsonValue]:
        """Return the personal content of an entry, unless it was forgotten."""
        return await self._reading.content(index, tenant)

    async def stats(self, tenant: str) -> LedgerStats:
        """Return a tenant's numbers."""
        return await self._upkeep.stats(tenant)

    async def verify(self, request: Request | None = None) -> Verification:
        """Verify everything now, against the pinned head where one is kept."""
        pinned = self._pinned()
        read, archive = self._database.read_inline, self._context.archive
        return await asyncio.to_thread(
            verify_stored, read, self.paths, pinned, request, archive
        )

    async def maintain(self) -> Moved:
        """Rotate, archive and take a snapshot where due."""
        return await self._upkeep.run()

    async def restore(self, start: int, stop: int) -> int:
        """Bring entries back from the archive to disk; return how many."""
        return await self._upkeep.restore(start, stop)

    async def rotate_key(self, actor: str) -> Receipt:
        """Let a new key sign beside the present one, and record it.

        The entry is covered by a head that only the old key signed, so that who
        trusts the old key can trust the new one.
        """
        new = self._key_folder.prepare_next()
        old = self.keys.signers[0].verifier_key
        event = SystemEvent(
            id=self._context.ids.new(),
            kind=KEY_ROTATED,
            subject=new.name,
            data={"new": new.encode(), "old": old.encode()},
            actor=actor,
        )
        receipt = await self.append(event, published=True)
        await asyncio.to_thread(self._key_folder.rotate)
        self._reload_keys()
        return receipt

    async def end_overlap(self) -> None:
        """Let only the newest key sign from now on."""
        await asyncio.to_thread(self._key_folder.end_overlap)
        self._reload_keys()

    def health(self) -> LedgerHealth:
        """Return whether the ledger takes entries and signs heads."""
        size = self._database.read_inline(store.size)
        head = self._database.read_inline(store.newest_head)
        reason = self._appender.fault or self._publish_fault
        status = "degraded" if reason else "ok"
        return LedgerHealth(status, size, 0 if head is None else head.size, reason)

    async def close(self) -> None:
        """Publish and settle what is there, then close; idempotent."""
        if self._publisher.is_started and not self._appender.fault:
            try:
                await self.publish()
                await self._publisher.settle()
            except (CortexError, OSError):
                # The entries are durable; the next start publishes them.
                self._publish_fault = self._publish_fault or "closing failed"
        self._publisher.is_started = False
        await self._database.close()
        self._subjects.close()

    async def _recover(self) -> None:
        await self._database.open()
        contradiction = await asyncio.to_thread(self._compare_with_pins)
        if contradiction:
            self._appender.stop(contradiction)
            self._publish_fault = contradiction
            return
        self._upkeep.load_snapshot(self.keys)
        await self._appender.finish_forgetting()
        try:
            await self.publish()
        except LedgerTampered:
            return
        self._publisher.is_started = True
        if self._pins is not None:
            await asyncio.to_thread(self._pins.pin_keys, self.keys.verifier_keys)

    def _compare_with_pins(self) -> str:
        """Return what contradicts the second place: other keys, later heads."""
        if self._pins is None:
            return ""
        try:
            pinned = self._pins.read()
        except (NoteInvalid, CortexError) as error:
            return f"what is pinned cannot be used: {error.message}"
        if pinned is None:
            return ""
        if self.keys.signers[0].verifier_key not in pinned.keys:
            return "the signing key is not the one that is pinned"
        head = self._database.read_inline(store.newest_head)
        signed = 0 if pinned.head is None else pinned.head.size
        if signed > (0 if head is None else head.size):
            return f"{signed} entries were signed, the store knows of fewer"
        return ""

    def _pinned(self) -> Pinned:
        pinned = None if self._pins is None else self._pins.read()
        return pinned or pinned_from(self.keys.verifier_keys, None)

    def _reload_keys(self) -> None:
        self._publisher.keys = self._key_folder.load(
            self.keys.origin, post_quantum=self._options.post_quantum
        )
        if self._pins is not None:
            self._pins.replace_keys(self.keys.verifier_keys)

    async def _receipt(
        self, recorded: Recorded, run_id: str, *, published: bool
    ) -> Receipt:
        placed = recorded.placed
        self._note_new()
        proof = ""
        if published:
            await self._publish_past(placed.index)
            proof = self._reading.inclusion(placed.index).receipt
        return Receipt(
            entry_id=recorded.entry_id,
            index=placed.index,
            entry_hash=placed.hash.hex(),
            recorded_at=time_text(placed.time_us),
            ledger_path=str(self.paths.root),
            run_id=run_id,
            proof=proof,
        )

    def _note_new(self) -> None:
        self._new_entries += 1
        self._unpublished.set()
        if self._new_entries >= self._options.checkpoint_entries:
            self._full.set()

    async def _publish_past(self, index: int) -> None:
        """Wait for a head that covers an entry; those who wait share one."""
        head = self._database.read_inline(store.newest_head)
        if head is None or head.size <= index:
            signed = await self.publish()
            if signed.size <= index:
                message = "no checkpoint could be made over this entry"
                raise Unavailable(message, hint="The entry itself is durable.")

    async def _wait_until_due(self) -> None:
        try:
            async with asyncio.timeout(self._options.checkpoint_seconds):
                await self._full.wait()
        except TimeoutError:
            return
