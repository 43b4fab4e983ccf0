"""The writing end: gives entries their place, durably, and stops at the first doubt."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

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
from cortex.ledger.entry import Commitments, call_draft, event_draft
from cortex.ledger.errors import LedgerStopped
from cortex.ledger.model import SUBJECT_FORGOTTEN, AgentCall, SystemEvent
from cortex.ledger.sealing import Sealer
from cortex.ledger.store import Placed
from cortex.ledger.subjects import SubjectKeys
from cortex.storage.sqlite import Connection, Database

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry that is durable.

    Attributes:
        entry_id: its id.
        placed: where it lies.
    """

    entry_id: str
    placed: Placed


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


class Appender:
    """Appends entries; after a storage error it takes no more until restarted."""

    def __init__(self, parts: AppenderParts) -> None:
        """Take the parts."""
        self._parts = parts
        self._sealer = Sealer(parts.entropy)
        self.fault: str = ""

    async def record(self, call: AgentCall) -> Recorded:
        """Append an agent call; its content is sealed in the same transaction.

        Raises:
            ValidationError: something in it has no canonical form.
            LedgerStopped: the writer met an error, now or earlier.
            StorageFull, Overloaded: it was not recorded; try again later.
        """
        entry_id = self._parts.ids.new()
        return await self._write(
            lambda connection: self._record(connection, call, entry_id)
        )

    async def append(self, event: SystemEvent) -> Recorded:
        """Append a system event; the same id again gives the first entry.

        Raises:
            Conflict: another tenant's entry has that id.
            ValidationError, LedgerStopped, StorageFull, Overloaded: as ``record``.
        """
        draft = event_draft(event)

        def unit(connection: Connection) -> Recorded:
            found = store.find(connection, event.id)
            if found is not None:
                placed, tenant = found
                if tenant != event.tenant:
                    raise Conflict("an entry of that id exists", entry_id=event.id)
                return Recorded(event.id, placed)
            return Recorded(event.id, store.append(connection, draft, self._now_us()))

        return await self._write(unit)

    async def forget(
        self, tenant: str, subject: str, *, actor: str, correlation_id: str = ""
    ) -> Recorded:
        """Destroy a subject's key and record who asked.

        The entry comes first, so that a crash in between is finished at the next
        start. Afterwards no file holds the key or the subject's name.

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
            placed = store.append(connection, event_draft(event), self._now_us())
            return Recorded(entry_id, placed)

        recorded = await self._write(unit)
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

    def stop(self, why: str) -> None:
        """Take no more entries, and say why."""
        self.fault = self.fault or why

    async def _write(self, unit: Callable[[Connection], T]) -> T:
        if self.fault:
            raise self._stopped()
        try:
            return await self._parts.database.write(unit)
        except (Unavailable, ValidationError, Conflict, NotFound):
            raise
        except (CortexError, OSError) as error:
            self.stop(str(error))
            raise self._stopped() from error

    def _record(
        self, connection: Connection, call: AgentCall, entry_id: str
    ) -> Recorded:
        # Sealing happens here, in the one writer, so that no content is ever sealed
        # under a key that was given up in the meantime.
        keys = self._parts.keys
        subject = call.subject or f"agent:{call.agent_name}"
        slot = store.subject_slot(connection, call.tenant, subject)
        if slot is None:
            slot = store.assign_slot(connection, call.tenant, subject)
            keys.ensure(slot)
        sealed = self._sealer.seal(_content(call), keys.key(slot), entry_id)
        name = sealed.sha256
        commitments = Commitments(slot, name, sealed.commitments)
        draft = call_draft(call, entry_id, commitments)
        placed = store.append(connection, draft, self._now_us())
        store.restore_blobs(connection, [(placed.index, name, sealed.ciphertext)])
        return Recorded(entry_id, placed)

    def _stopped(self) -> LedgerStopped:
        message = f"the ledger takes no entries: {self.fault}"
        hint = "Check the disk, then restart; what was acknowledged is safe."
        return LedgerStopped(message, hint=hint)

    def _now_us(self) -> int:
        return int(self._parts.clock.now() * 1_000_000)


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
