"""Import and export: JSON lines that stream, resume and can be repeated."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import orjson

from cortex.foundation.errors import (
    Conflict,
    CortexError,
    PermissionDenied,
    ValidationError,
)
from cortex.foundation.tenancy import Namespace
from cortex.memory import transfer
from cortex.memory.model import Quarantine, Selection
from cortex.memory.ports import MemoryStore
from cortex.memory.sessions import Sessions
from cortex.memory.transfer import ImportedMemory, ImportedSession
from cortex.usecases.model import CallContext, ImportProgress, LineError
from cortex.usecases.preparing import Preparing, check_item
from cortex.usecases.remember import write_context

Place: TypeAlias = Callable[[str], Namespace]

BATCH_LINES = 64
"""Lines embedded and stored between two reports: about a second of work."""

ERRORS_TOLD_MAX = 100
"""Refused lines described in one report; all of them are counted."""


@dataclass(frozen=True, slots=True)
class ImportLines:
    """Stores lines in batches; a broken line harms no other."""

    store: MemoryStore
    sessions: Sessions
    prepare: Preparing

    async def __call__(
        self,
        namespace: Namespace,
        lines: AsyncIterator[bytes],
        context: CallContext,
        /,
        *,
        start_line: int = 0,
        place: Place | None = None,
    ) -> AsyncIterator[ImportProgress]:
        """Yield progress after each batch; every counted line is durable.

        Args:
            namespace: for lines that name none.
            lines: without their ends.
            context: of the call.
            start_line: lines up to this one are passed over.
            place: returns the namespace that a line names, or refuses it; without it
                no line may name another.
        """
        run = _Run(self, Places(namespace, place), context)
        number = 0
        async for raw in lines:
            number += 1
            if number <= start_line or not raw.strip():
                continue
            await run.take(raw, number)
            if run.full:
                yield await run.flush(number)
        last = await run.flush(number)
        yield replace(last, done=True)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the lines of one import go; a name is asked for once."""

    default: Namespace
    place: Place | None
    known: dict[str, Namespace] = field(default_factory=dict)

    def of(self, name: str | None) -> Namespace:
        """Return the namespace of a line that names this one, or none.

        Raises:
            ValidationError: it cannot be the name of a namespace.
            PermissionDenied: the caller may not write there.
        """
        if name is None or name == self.default.name:
            return self.default
        found = self.known.get(name)
        if found is None:
            if self.place is None:
                message = "the line names another namespace"
                raise PermissionDenied(message, field="namespace")
            found = self.known[name] = self.place(name)
        return found


class _Run:
    """One import under way."""

    def __init__(
        self, parts: ImportLines, places: Places, context: CallContext
    ) -> None:
        self._parts = parts
        self._places = places
        self._context = context
        self._batch: dict[Namespace, list[ImportedMemory]] = {}
        self._waiting = 0
        self._errors: list[LineError] = []
        self._stored = self._existing = self._failed = 0

    @property
    def full(self) -> bool:
        return self._waiting + len(self._errors) >= BATCH_LINES

    async def take(self, raw: bytes, number: int) -> None:
        parsed = transfer.parse_line(raw, number)
        if isinstance(parsed, transfer.LineError):
            message = f"{parsed.field} {parsed.reason}"
            self._refuse(LineError(number, ValidationError.code, message, parsed.field))
        elif isinstance(parsed, ImportedSession):
            await self._session(parsed)
        else:
            self._memory(parsed)

    async def flush(self, line: int) -> ImportProgress:
        """Store what waits and tell how far the import is."""
        groups, self._batch, self._waiting = self._batch, {}, 0
        for namespace, batch in groups.items():
            prepared = await self._parts.prepare(
                [one.item for one in batch], [one.restored for one in batch]
            )
            stored = await self._parts.store.add(
                namespace, prepared, context=write_context(self._context)
            )
            created = sum(one.created for one in stored)
            self._stored += created
            self._existing += len(stored) - created
        errors, self._errors = self._errors, []
        told = tuple(errors[:ERRORS_TOLD_MAX])
        return ImportProgress(
            line, self._stored, self._existing, self._failed, errors=told
        )

    def _memory(self, parsed: ImportedMemory) -> None:
        try:
            check_item(parsed.item, "line.")
            namespace = self._places.of(parsed.namespace)
        except CortexError as error:
            self._refuse(_line_error(parsed.line, error))
            return
        self._batch.setdefault(namespace, []).append(parsed)
        self._waiting += 1

    async def _session(self, parsed: ImportedSession) -> None:
        try:
            namespace = self._places.of(parsed.namespace)
            await self._parts.sessions.create(namespace, parsed.session)
        except Conflict:
            self._existing += 1
        except (PermissionDenied, ValidationError) as error:
            self._refuse(_line_error(parsed.line, error))
        else:
            self._stored += 1

    def _refuse(self, error: LineError) -> None:
        self._failed += 1
        self._errors.append(error)


def _line_error(line: int, error: CortexError) -> LineError:
    named = "namespace" if isinstance(error, PermissionDenied) else ""
    field_name = str(error.data.get("field", named)).removeprefix("line.") or None
    return LineError(line, error.code, error.message, field_name)


@dataclass(frozen=True, slots=True)
class ExportLines:
    """Streams a namespace, or the selected part of it."""

    store: MemoryStore
    sessions: Sessions

    async def __call__(
        self, namespace: Namespace, selection: Selection, /
    ) -> AsyncIterator[bytes]:
        """Yield lines, each with its newline."""
        shown = selection.quarantine is not Quarantine.EXCLUDED
        whole = selection in (Selection(), Selection(quarantine=Quarantine.INCLUDED))
        wanted = None if whole else await self._selected(namespace, selection)
        async for line in transfer.export_lines(
            self.store, self.sessions, namespace, quarantined=shown
        ):
            if wanted is None or _id(line) in wanted:
                yield line

    async def _selected(
        self, namespace: Namespace, selection: Selection
    ) -> frozenset[str]:
        ids: set[str] = set()
        cursor: str | None = None
        while True:
            page = await self.store.list(namespace, selection, cursor=cursor, limit=500)
            ids.update(memory.id for memory in page.memories)
            cursor = page.next_cursor
            if cursor is None:
                return frozenset(ids)


def _id(line: bytes) -> str:
    record = orjson.loads(line)
    return str(record["id"]) if record.get("type") == "memory" else ""
