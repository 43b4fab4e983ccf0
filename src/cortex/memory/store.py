"""The SQLite store of memories: the truth that everything else in the room follows."""

from collections.abc import Sequence
from typing import Final

from cortex.foundation.clock import Clock
from cortex.foundation.errors import Conflict
from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import Namespace
from cortex.memory import listing, reads, writes
from cortex.memory.access import AccessBuffer, Use
from cortex.memory.errors import MemoryNotFound
from cortex.memory.events import EventMaker
from cortex.memory.filters import compile_filter
from cortex.memory.forget import Forgetting
from cortex.memory.hotset import HotRecords
from cortex.memory.model import (
    Forgotten,
    Memory,
    MemoryPatch,
    MemoryStats,
    Page,
    Quarantined,
    Selection,
    Stored,
)
from cortex.memory.numbers import Numbers
from cortex.memory.ports import (
    Changes,
    Embedded,
    Exported,
    Found,
    Head,
    Pending,
    Prepared,
    WriteContext,
)
from cortex.memory.quarantine import Quarantining
from cortex.memory.rows import (
    RecordRow,
    encode_vectors,
    new_row,
    patched,
    patched_fields,
    renewed_dedupe,
    to_memory,
)
from cortex.memory.sealing import Seals
from cortex.storage import outbox
from cortex.storage.sqlite import Connection, Database

IDS_PER_EVENT: Final = 500
"""Memories told of in one event: what one request may store."""


class SqliteMemoryStore:
    """`MemoryStore` over one SQLite file; see there for what each method promises."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        ids: IdSource,
        seals: Seals | None = None,
    ) -> None:
        """Use an open database whose migrations include those of ``cortex.memory``.

        ``seals`` encrypt what is stored; without them it lies there as it came.
        """
        self._database = database
        self._clock = clock
        self._ids = ids
        self._events = EventMaker(clock, ids)
        self._numbers = Numbers(database, seals)
        self.seals = self._numbers.seals
        self.forgetting = Forgetting(database, self._numbers, self._events, clock)
        self._quarantining = Quarantining(database, self._numbers, self._events, clock)
        self._accesses = AccessBuffer()
        self._hot = HotRecords()

    async def add(
        self, ns: Namespace, prepared: Sequence[Prepared], *, context: WriteContext
    ) -> list[Stored]:
        """Store memories in one transaction and return their ids, in order."""
        now = self._clock.now()
        rows = [
            new_row(one, memory_id=self._ids.new(), now=now, writer=context.actor)
            for one in prepared
        ]
        spaces = {row.space for row in rows if row.space is not None}

        def unit(connection: Connection) -> list[Stored]:
            place = self._numbers.place(connection, ns, spaces, now)
            stored = writes.insert(connection, place, rows)
            created = [one.id for one in stored if one.created]
            for at in range(0, len(created), IDS_PER_EVENT):
                ids = created[at : at + IDS_PER_EVENT]
                outbox.append(connection, self._events.stored(ns, ids, context))
            self._tell_quarantined(connection, ns, stored, context)
            return stored

        stored = await self._database.write(unit)
        self._numbers.learn(ns, spaces)
        return stored

    async def get(self, ns: Namespace, memory_id: str) -> Memory:
        """Return one memory."""
        ns_id = self._numbers.namespace(ns)
        now = self._clock.now()

        def query(connection: Connection) -> Found | None:
            if ns_id is None:
                return None
            self._hot.refresh(connection, ns_id)
            held = self._hot.by_id(ns_id, memory_id)
            seal = self.seals.reading(connection, ns.tenant)
            return held or reads.found_by_id(connection, ns, ns_id, memory_id, seal)

        found = self._database.read_inline(query)
        if found is None or ns_id is None or _expired(found.memory, now):
            raise _missing(memory_id)
        self._hot.offer(ns_id, (found,))
        self._accesses.note(ns_id, (found.seq,), now)
        return found.memory

    async def update(
        self,
        ns: Namespace,
        memory_id: str,
        patch: MemoryPatch,
        *,
        prepared: Prepared | None,
        context: WriteContext,
    ) -> Memory:
        """Change fields of one memory and return it as it is now.

        Raises:
            MemoryNotFound: no such memory here.
            Conflict: it was rewritten since its new terms and vectors were made.
        """
        if prepared is None and (patch.content, patch.author) != (None, None):
            message = "a new content or author needs its terms and vectors"
            raise ValueError(message)
        now = self._clock.now()
        content = None
        if prepared is not None:
            content = new_row(
                prepared, memory_id=memory_id, now=now, writer=context.actor
            )
        spaces = {content.space} - {None} if content else set()
        names = patched_fields(patch)

        def unit(connection: Connection) -> RecordRow:
            place = self._numbers.place(connection, ns, filter(None, spaces), now)
            row = reads.record(connection, place.ns_id, memory_id, place.seal)
            if row is None or _expired(row, now):
                raise _missing(memory_id)
            values = patched(row, patch, now)
            if content is not None and prepared is not None:
                _check_unchanged(to_memory(row, ns), patch, prepared)
                key = renewed_dedupe(row.dedupe, to_memory(row, ns), patch)
                values["dedupe"] = writes.free_key(connection, place, row.seq, key)
            writes.update(connection, place, row.seq, values, content)
            changed = reads.record(connection, place.ns_id, memory_id, place.seal)
            if changed is None:
                raise _missing(memory_id)
            digest = changed.content_sha256.hex()
            event = self._events.updated(ns, memory_id, digest, names, context)
            outbox.append(connection, event)
            if changed.quarantined_at is not None and row.quarantined_at is None:
                why = changed.quarantine_reason
                event = self._events.quarantined(ns, [memory_id], why, context)
                outbox.append(connection, event)
            return changed

        return to_memory(await self._database.write(unit), ns)

    async def list(
        self,
        ns: Namespace,
        selection: Selection,
        *,
        cursor: str | None,
        limit: int,
        oldest_first: bool = False,
    ) -> Page:
        """Return one page of the selected memories in the order of storing."""
        listing.check_limit(limit)
        passes = None if selection.where is None else compile_filter(selection.where)
        position = listing.decode_cursor(cursor, selection, oldest_first=oldest_first)
        query = listing.query_name(selection, oldest_first=oldest_first)
        ns_id = self._numbers.namespace(ns)
        if ns_id is None:
            return Page((), None)
        values = {
            **listing.parameters(selection),
            "ns_id": ns_id,
            "before": position,
            "after": position,
            "now": self._clock.now(),
        }

        def read(connection: Connection) -> Page:
            seal = self.seals.reading(connection, ns.tenant)
            rows, more = reads.list_page(connection, query, values, limit, passes, seal)
            following = None
            if more is not None:
                following = listing.encode_cursor(
                    more, selection, oldest_first=oldest_first
                )
            return Page(tuple(to_memory(row, ns) for row in rows), following)

        return await self._database.read(read)

    async def forget(
        self, ns: Namespace, what: Sequence[str] | Selection, *, context: WriteContext
    ) -> Forgotten:
        """Remove memories by id or by selection, from every file."""
        if isinstance(what, Selection):
            return await self.forgetting.by_selection(ns, what, context)
        return await self.forgetting.by_ids(ns, what, context)

    async def quarantine(
        self,
        ns: Namespace,
        what: Sequence[str] | Selection,
        *,
        reason: str,
        context: WriteContext,
    ) -> Quarantined:
        """Keep memories out of answers, by id or by selection."""
        return await self._quarantining.take(ns, what, reason, context)

    async def release(
        self, ns: Namespace, memory_id: str, *, context: WriteContext
    ) -> Memory:
        """End a quarantine and return the memory."""
        row = await self._quarantining.release(ns, memory_id, context)
        if row is None or _expired(row, self._clock.now()):
            raise _missing(memory_id)
        return to_memory(row, ns)

    async def stats(self, tenant: str, ns: Namespace | None = None) -> MemoryStats:
        """Return counts and bytes, of one namespace or of all the tenant's.

        Raises:
            ValueError: the namespace is another tenant's.
        """
        if ns is not None and ns.tenant != tenant:
            message = "the namespace belongs to another tenant"
            raise ValueError(message)
        name = None if ns is None else ns.name
        return await self._database.read(lambda c: reads.stats(c, tenant, name))

    async def namespaces(self, tenant: str) -> tuple[str, ...]:
        """Return the names of the tenant's namespaces, sorted."""
        return await self._database.read(lambda c: reads.namespaces(c, tenant))

    async def pending(
        self, space: str, *, after: int = 0, limit: int = 64
    ) -> tuple[Pending, ...]:
        """Return memories without a vector in ``space``, by row number after one."""
        return await self._database.read(
            lambda c: reads.pending(c, space, after, limit, self.seals)
        )

    async def set_vectors(
        self, ns: Namespace, space: str, embedded: Sequence[Embedded]
    ) -> int:
        """Give rows their vectors and return how many took them."""
        now = self._clock.now()
        rows = [
            writes.VectorRow(
                one.seq,
                bytes.fromhex(one.content_sha256),
                *encode_vectors(one.vectors),
            )
            for one in embedded
        ]

        def unit(connection: Connection) -> int:
            place = self._numbers.place(connection, ns, (space,), now)
            return writes.set_vectors(connection, place, space, rows)

        taken = await self._database.write(unit)
        self._numbers.learn(ns, (space,))
        return taken

    async def head(self, ns: Namespace) -> Head:
        """Return how far the namespace has come; a cheap call."""
        ns_id = self._numbers.namespace(ns)
        if ns_id is None:
            return Head()
        return self._database.read_inline(lambda c: reads.head(c, ns_id))

    async def changes(self, ns: Namespace, since: Head, *, limit: int) -> Changes:
        """Return what happened after ``since``, at most ``limit`` of each kind."""
        ns_id = self._numbers.namespace(ns)
        if ns_id is None:
            return Changes((), (), since)
        return await self._database.read(
            lambda c: reads.changes(
                c, ns_id, since, limit, self.seals.reading(c, ns.tenant)
            )
        )

    async def found(self, ns: Namespace, seqs: Sequence[int]) -> tuple[Found, ...]:
        """Return rows by number, in any order; the missing ones are left out."""
        ns_id = self._numbers.namespace(ns)
        if ns_id is None or not seqs:
            return ()

        def query(connection: Connection) -> tuple[Found, ...]:
            self._hot.refresh(connection, ns_id)
            held = [self._hot.by_seq(ns_id, seq) for seq in seqs]
            known = tuple(one for one in held if one is not None)
            wanted = [seq for seq, one in zip(seqs, held, strict=True) if one is None]
            seal = self.seals.reading(connection, ns.tenant) if wanted else None
            return known + reads.found(connection, ns, ns_id, wanted, seal)

        found = self._database.read_inline(query)
        self._hot.offer(ns_id, found)
        return found

    async def exported(
        self, ns: Namespace, *, after: int, limit: int, quarantined: bool = False
    ) -> Sequence[Exported]:
        """Return live memories in the order of storing, after a row number."""
        ns_id = self._numbers.namespace(ns)
        if ns_id is None:
            return ()
        now = self._clock.now()
        where = (ns_id, after, now, limit, quarantined)
        return await self._database.read(
            lambda c: reads.exported(c, ns, where, self.seals.reading(c, ns.tenant))
        )

    def touch(self, ns: Namespace, seqs: Sequence[int]) -> None:
        """Note that rows were used; written later, never in the caller's way."""
        ns_id = self._numbers.namespace(ns)
        if ns_id is not None:
            self._accesses.note(ns_id, seqs, self._clock.now())

    def _tell_quarantined(
        self,
        connection: Connection,
        ns: Namespace,
        stored: Sequence[Stored],
        context: WriteContext,
    ) -> None:
        """Say which new memories the rules kept out of answers, rule by rule."""
        caught = [one for one in stored if one.created and one.quarantined]
        for reason in sorted({one.quarantined for one in caught}):
            ids = [one.id for one in caught if one.quarantined == reason]
            for at in range(0, len(ids), IDS_PER_EVENT):
                part = ids[at : at + IDS_PER_EVENT]
                event = self._events.quarantined(ns, part, reason, context)
                outbox.append(connection, event)

    def take_uses(self) -> Sequence[Use]:
        """Return the noted uses, for upkeep to write."""
        return self._accesses.take()


def _expired(row: RecordRow | Memory, now: float) -> bool:
    return row.expires_at is not None and row.expires_at <= now


def _check_unchanged(now: Memory, patch: MemoryPatch, prepared: Prepared) -> None:
    """Raise ``Conflict`` if what was prepared holds words that were rewritten since."""
    if patch.content is None and prepared.item.content != now.content:
        raise Conflict(
            "this memory was changed meanwhile",
            hint="Send the change once more.",
            id=now.id,
        )


def _missing(memory_id: str) -> MemoryNotFound:
    return MemoryNotFound(
        "no memory with this id in this namespace",
        hint="It may have been forgotten, or belong to another namespace.",
        id=memory_id,
    )
