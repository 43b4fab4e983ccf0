"""The writing end: gives entries their place, durably, and stops at the first doubt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.errors import (
    Conflict,
    CortexError,
    NotFound,
    Unavailable,
    ValidationError,
)
from cortex.foundation.ids import IdSource
from cortex.ledger import store
from cortex.ledger.entry import Commitments, Draft, call_draft, event_draft, time_text
from cortex.ledger.errors import LedgerStopped
from cortex.ledger.gathering import Gatherer
from cortex.ledger.model import SUBJECT_FORGOTTEN, AgentCall, SystemEvent
from cortex.ledger.sealing import Sealer
from cortex.ledger.store import Placed
from cortex.ledger.subjects import SubjectKeys
from cortex.storage.sqlite import Connection, Database

T = TypeVar("T")

_CERTAIN = (Unavailable, ValidationError, Conflict, NotFound)
"""What says for certain that nothing was written; anything else is a doubt."""

Owner: TypeAlias = tuple[str, str]
"""Tenant and subject whose content it is."""

OwnersKey: TypeAlias = tuple[int, bytes]
"""Number of a subject's key, and the key."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry that is durable.

    Attributes:
        entry_id: its id.
        placed: where it lies.
        time: when it was recorded, RFC 3339 in UTC.
    """

    entry_id: str
    placed: Placed
    time: str


@dataclass(frozen=True, slots=True)
class AppenderParts:
    """What the writing end works with.

    Attributes:
        database: the hot store.
        keys: the subjects' keys.
        clock: stamps entries.
        ids: names entries.
        entropy: random bytes for nonces and salts.
    """

    database: Database
    keys: SubjectKeys
    clock: Clock
    ids: IdSource
    entropy: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class _Call:
    """An agent call that was given its id."""

    call: AgentCall
    entry_id: str


@dataclass(slots=True)
class _Group:
    """Entries that get their places together.

    Attributes:
        keys: the subjects' keys that were looked up for it.
        drafts: what is to be appended.
        results: for each request its outcome, or the number of its draft.
    """

    keys: dict[Owner, OwnersKey] = field(default_factory=dict)
    drafts: list[Draft] = field(default_factory=list)
    results: list[Recorded | CortexError | int] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def add(self, draft: Draft) -> None:
        """Append a draft."""
        self.results.append(len(self.drafts))
        self.drafts.append(draft)

    def add_once(self, connection: Connection, draft: Draft) -> None:
        """Append a draft unless an entry of its id exists; that one stands for it.

        Raises:
            Conflict: that entry is another tenant's.
        """
        number = self._numbers.get(draft.id)
        if number is not None:
            _check_owner(draft, self.drafts[number].tenant)
            self.results.append(number)
            return
        found = store.find(connection, draft.id)
        if found is not None:
            _check_owner(draft, found[1])
            placed = found[0]
            time = time_text(placed.time_us)
            self.results.append(Recorded(draft.id, placed, time))
            return
        self._numbers[draft.id] = len(self.drafts)
        self.add(draft)

    def append(
        self, connection: Connection, now_us: int
    ) -> list[Recorded | CortexError]:
        """Write the drafts; return what became of each request."""
        placed = store.append(connection, self.drafts, now_us)
        # All of a group have one time.
        time = time_text(placed[0].time_us) if placed else ""
        return [
            Recorded(self.drafts[result].id, placed[result], time)
            if isinstance(result, int)
            else result
            for result in self.results
        ]


class Appender:
    """Appends entries; after a storage error it takes no more until restarted.

    Attributes:
        fault: why it takes no more; empty while it does.
        disk_failed: whether that was a storage error.
        on_unheard: told of each entry that is durable although its caller gave up.
    """

    def __init__(self, parts: AppenderParts) -> None:
        """Take the parts."""
        self._parts = parts
        self._sealer = Sealer(parts.entropy)
        self._gatherer = Gatherer(parts.database, self._place, self._tell_unheard)
        self.on_unheard: Callable[[], None] | None = None
        self.fault: str = ""
        self.disk_failed = False

    async def record(self, call: AgentCall) -> Recorded:
        """Append an agent call; its content is sealed in the same transaction.

        Raises:
            ValidationError: something in it has no canonical form.
            LedgerStopped: the writer met an error, now or earlier.
            StorageFull, Overloaded: it was not recorded; try again later.
        """
        entry_id = self._parts.ids.new()
        weight = len(call.prompt) + len(call.raw_output)
        return await self._gather(_Call(call, entry_id), weight)

    async def append(self, event: SystemEvent) -> Recorded:
        """Append a system event; the same id again gives the first entry.

        Raises:
            Conflict: another tenant's entry has that id.
            ValidationError, LedgerStopped, StorageFull, Overloaded: as ``record``.
        """
        return await self._gather(event_draft(event))

    async def forget(
        self, tenant: str, subject: str, *, actor: str, correlation_id: str = ""
    ) -> Recorded:
        """Destroy a subject's key and record who asked.

        The entry comes first, so that what a crash, a failure or a caller that gave up
        leaves in between is finished at the next start, by the next call, or by upkeep.
        Afterwards no file holds the key or the subject's name.

        Raises:
            NotFound: nothing is kept for that subject.
            LedgerStopped, StorageFull, Overloaded: as ``record``.
        """
        entry_id = self._parts.ids.new()

        def unit(connection: Connection) -> Recorded:
            slot = store.subject_slot(connection, tenant, subject)
            if slot is None:
                raise NotFound("nothing is kept for that subject")
            event = SystemEvent(
                id=entry_id,
                kind=SUBJECT_FORGOTTEN,
                subject=f"key:{slot}",
                data={"key": slot},
                correlation_id=correlation_id,
                actor=actor,
                tenant=tenant,
            )
            store.release_slot(connection, slot, self._now_us())
            drafts = [event_draft(event)]
            (placed,) = store.append(connection, drafts, self._now_us())
            return Recorded(entry_id, placed, time_text(placed.time_us))

        try:
            recorded = await self._write(unit)
        except NotFound:
            # The call that is repeated here may have been cut short behind its entry.
            await self.finish_forgetting()
            raise
        await self.finish_forgetting()
        return recorded

    async def finish_forgetting(self) -> None:
        """Destroy the keys that were given up, and every trace of their names."""
        database = self._parts.database
        slots = await database.read(store.undestroyed)
        for slot in slots:
            self._parts.keys.destroy(slot)
        if slots:
            await database.scrub()
            await self._write(lambda connection: _mark_destroyed(connection, slots))

    async def finish_cut_short(self) -> None:
        """Finish what a ``forget`` began whose caller or process went away meanwhile.

        Any process may call it at any time; where nothing waits it only reads.

        Raises:
            StorageBusy: readers hold old pages; try again later.
        """
        if not self.fault:
            await self.finish_forgetting()

    def stop(self, why: str) -> None:
        """Take no more entries, and say why."""
        self.fault = self.fault or why

    async def _gather(self, request: "_Call | Draft", weight: int = 0) -> Recorded:
        if self.fault:
            raise self._stopped()
        try:
            return await self._gatherer.add(request, weight)
        except _CERTAIN:
            raise
        except (CortexError, OSError) as error:
            raise self._stop_at(error) from error

    async def _write(self, unit: Callable[[Connection], T]) -> T:
        if self.fault:
            raise self._stopped()
        try:
            return await self._parts.database.write(unit)
        except _CERTAIN:
            raise
        except (CortexError, OSError) as error:
            raise self._stop_at(error) from error

    def _tell_unheard(self) -> None:
        if self.on_unheard is not None:
            self.on_unheard()

    def _stop_at(self, error: Exception) -> LedgerStopped:
        self.disk_failed = True
        self.stop(str(error))
        return self._stopped()

    def _place(
        self, connection: Connection, requests: "Sequence[_Call | Draft]"
    ) -> list[Recorded | CortexError]:
        """Give a group its places; what is wrong with one fails that one alone."""
        group = _Group()
        for request in requests:
            try:
                if isinstance(request, Draft):
                    group.add_once(connection, request)
                else:
                    group.add(self._sealed(connection, request, group.keys))
            except (ValidationError, Conflict, NotFound) as error:
                group.results.append(error)
        return group.append(connection, self._now_us())

    def _sealed(
        self, connection: Connection, request: "_Call", keys: dict[Owner, OwnersKey]
    ) -> Draft:
        # Sealing happens here, in the one writer, so that no content is ever sealed
        # under a key that was given up in the meantime.
        call = request.call
        owner = (call.tenant, call.subject or f"agent:{call.agent_name}")
        slot, key = keys.get(owner) or self._key_of(connection, owner, keys)
        sealed = self._sealer.seal(_content(call), key, request.entry_id)
        commitments = Commitments(slot, sealed.sha256, sealed.commitments)
        return call_draft(call, request.entry_id, commitments, sealed.ciphertext)

    def _key_of(
        self, connection: Connection, owner: Owner, keys: dict[Owner, OwnersKey]
    ) -> OwnersKey:
        slot = store.subject_slot(connection, *owner)
        if slot is None:
            slot = store.assign_slot(connection, *owner)
            self._parts.keys.ensure(slot)
        found = keys[owner] = (slot, self._parts.keys.key(slot))
        return found

    def _stopped(self) -> LedgerStopped:
        message = f"the ledger takes no entries: {self.fault}"
        hint = "Check the disk; what was acknowledged is safe."
        return LedgerStopped(message, hint=hint)

    def _now_us(self) -> int:
        return int(self._parts.clock.now() * 1_000_000)


def _check_owner(draft: Draft, tenant: str) -> None:
    if draft.tenant != tenant:
        raise Conflict("an entry of that id exists", entry_id=draft.id)


def _content(call: AgentCall) -> dict[str, JsonValue]:
    content: dict[str, JsonValue] = {
        "prompt": call.prompt,
        "raw_output": call.raw_output,
    }
    if call.parsed_data is not None:
        content["parsed_data"] = call.parsed_data
    if call.parse_error:
        content["parse_error"] = call.parse_error
    return content


def _mark_destroyed(connection: Connection, slots: list[int]) -> None:
    for slot in slots:
        store.mark_destroyed(connection, slot)
