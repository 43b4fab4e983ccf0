"""The ledger as the rest of Cortex uses it: record, prove, search, verify."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError
from cortex.foundation.ids import IdSource
from cortex.ledger import store
from cortex.ledger.appender import Appender, AppenderParts, Recorded
from cortex.ledger.archive import Archive
from cortex.ledger.beat import Beat
from cortex.ledger.checkpoint import SignedCheckpoint
from cortex.ledger.errors import KeyUnusable, LedgerTampered, NoteInvalid
from cortex.ledger.keys import KeyFolder, SigningKeys, system_entropy
from cortex.ledger.model import (
    AgentCall,
    ConsistencyProof,
    EntryPage,
    EntryQuery,
    InclusionProof,
    LedgerHealth,
    LedgerStats,
    Receipt,
    SystemEvent,
)
from cortex.ledger.offline import verify_stored
from cortex.ledger.options import LedgerOptions, LedgerPaths
from cortex.ledger.pinned import pinned_from
from cortex.ledger.pins import PinFolder, find_contradiction
from cortex.ledger.publisher import Publisher, PublisherParts
from cortex.ledger.reading import Reading
from cortex.ledger.rotation import KeyRotation
from cortex.ledger.snapshots import SnapshotFolder
from cortex.ledger.subjects import SubjectKeys
from cortex.ledger.tilestore import TileStore
from cortex.ledger.upkeep import Upkeep, UpkeepParts
from cortex.ledger.verdicts import Finding, Reason, Verification
from cortex.ledger.verify import Request, conclude
from cortex.storage.migrations import load_migrations
from cortex.storage.options import DatabaseOptions
from cortex.storage.sqlite import Database
from cortex.telemetry.tracing import span


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
    the application, which also calls ``upkeep.run`` now and then. After a storage
    error it takes no more entries and ``health`` says so; reads go on.

    Attributes:
        paths: where its files lie.
        reading: single entries, their content, and searches.
        upkeep: rotation, archive, restore and snapshots.
        rotation: changing the signing key.
        finding: tampering that a verification found and nobody repaired yet.
    """

    def __init__(
        self, paths: LedgerPaths, options: LedgerOptions, context: LedgerContext
    ) -> None:
        """Put the parts together; ``open`` is the way to get a usable ledger."""
        self.finding: Verification | None = None
        self.paths = paths
        self._told_path = str(paths.root)
        self._options = options
        self._context = context
        folder = KeyFolder(paths.keys, entropy=context.entropy)
        paths.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys = folder.load(options.origin, post_quantum=options.post_quantum)
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
        self.upkeep = Upkeep(
            UpkeepParts(
                self._database,
                tiles,
                self._publisher,
                SnapshotFolder(paths.snapshots, keys.origin),
                context.clock,
                self._appender.finish_cut_short,
                context.archive,
            ),
            options,
        )
        self.reading = Reading(
            self._database, tiles, self.upkeep.stored, self._subjects
        )
        self.rotation = KeyRotation(folder, self._publisher, self._pins, context.ids)
        self._beat = Beat(self._publisher, self._appender, options, context.clock)
        self._appender.on_unheard = self._beat.note_new

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
    def disk_failed(self) -> bool:
        """Return whether a storage error stopped it: opened anew, it may go on."""
        return self._appender.disk_failed

    @property
    def keys(self) -> SigningKeys:
        """Return what the log signs with; a verifier pins its public half."""
        return self._publisher.keys

    async def run(self) -> None:
        """Publish a head a second, or every so many entries, until cancelled."""
        await self._beat.run()

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
        with span("ledger.record"):
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
        return await self._beat.publish()

    async def attach(self, signed: SignedCheckpoint) -> bool:
        """Keep a head's further signatures, and show them if it is still the newest.

        Returns whether it is; else ``reading.cosigned`` gives it.
        """
        return await self._publisher.attach(signed)

    def checkpoint(self) -> SignedCheckpoint:
        """Return the newest signed head.

        Raises:
            EntryNotFound: none was signed yet.
        """
        return self.reading.newest()

    def inclusion_proof(self, index: int) -> InclusionProof:
        """Return the proof that an entry is in the tree of the newest head."""
        return self.reading.inclusion(index)

    def consistency_proof(self, old: int, new: int) -> ConsistencyProof:
        """Return the proof that one tree extends another."""
        return self.reading.consistency(old, new)

    async def entries(self, query: EntryQuery) -> EntryPage:
        """Return a page of matching entries, newest first."""
        return await self.reading.entries(query)

    async def stats(self, tenant: str) -> LedgerStats:
        """Return a tenant's numbers."""
        return await self.upkeep.stats(tenant)

    async def verify(self, request: Request | None = None) -> Verification:
        """Verify everything now, against the pinned head where one is kept."""
        try:
            pinned = None if self._pins is None else self._pins.read()
        except (NoteInvalid, KeyUnusable) as error:
            return conclude([Finding(Reason.PIN_UNUSABLE, None, error.message)])
        if pinned is None:
            pinned = pinned_from(self.keys.verifier_keys, None)
        read, archive = self._database.read_inline, self._context.archive
        return await asyncio.to_thread(
            verify_stored, read, self.paths, pinned, request, archive
        )

    def health(self) -> LedgerHealth:
        """Return whether the ledger takes entries and signs heads."""
        size = self._database.read_inline(store.size)
        head = self._database.read_inline(store.newest_head)
        reason = self._appender.fault or self._beat.fault or _told(self.finding)
        status = "degraded" if reason else "ok"
        return LedgerHealth(status, size, 0 if head is None else head.size, reason)

    async def close(self) -> None:
        """Publish and settle what is there, then close; idempotent."""
        if self._publisher.is_started and not self._appender.fault:
            try:
                await self.publish()
                await self._publisher.settle()
            except (CortexError, OSError) as error:
                # The entries are durable; the next start publishes them.
                self._beat.fault = str(error)
        self._publisher.is_started = False
        await self._database.close()
        self._subjects.close()

    async def _recover(self) -> None:
        await self._database.open()
        contradiction = await asyncio.to_thread(
            find_contradiction, self._pins, self.keys, self._database
        )
        if contradiction:
            self._appender.stop(contradiction)
            return
        self.upkeep.load_snapshot(self.keys)
        await self._appender.finish_forgetting()
        try:
            await self.publish()
        except LedgerTampered:
            # ``health`` tells; what is there can still be read and verified.
            return
        self._publisher.is_started = True
        if self._pins is not None:
            await asyncio.to_thread(self._pins.pin_keys, self.keys.verifier_keys)

    async def _receipt(
        self, recorded: Recorded, run_id: str, *, published: bool
    ) -> Receipt:
        placed = recorded.placed
        self._beat.note_new()
        proof = ""
        if published:
            await self._beat.cover(placed.index)
            proof = self.reading.inclusion(placed.index).receipt
        return Receipt(
            entry_id=recorded.entry_id,
            index=placed.index,
            entry_hash=placed.hash.hex(),
            recorded_at=recorded.time,
            ledger_path=self._told_path,
            run_id=run_id,
            proof=proof,
        )


def _told(finding: Verification | None) -> str:
    if finding is None:
        return ""
    place = "" if finding.index is None else f" from entry {finding.index} on"
    return f"tampered with{place}: {finding.detail}"
