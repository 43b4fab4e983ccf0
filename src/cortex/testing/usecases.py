"""All use cases in memory, for tests of the edges: small, exact, without a model.

Search compares words, tokens are words, and nothing survives the object. What the
real ones promise about ids, order, errors and paging holds here too.
"""

import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.errors import (
    CortexError,
    ValidationError,
)
from cortex.foundation.ids import IdSource
from cortex.foundation.limits import IMPORT_LINE_BYTES_MAX
from cortex.foundation.tenancy import Namespace, Principal
from cortex.inference.ports import ModelInfo
from cortex.memory.errors import InvalidCursor, MemoryNotFound, SessionNotFound
from cortex.memory.model import (
    Forgotten,
    Hit,
    Memory,
    MemoryPatch,
    MemoryStats,
    NewMemory,
    Page,
    Provenance,
    Quarantine,
    Quarantined,
    Query,
    Recalled,
    Selection,
    Session,
    Stored,
    Tier,
)
from cortex.memory.screening import screened
from cortex.memory.trust import allowed_trust
from cortex.testing.selecting import selected
from cortex.usecases.model import (
    BuiltContext,
    CallContext,
    ContextBlock,
    ContextRequest,
    Dropped,
    DroppedItem,
    ImportProgress,
    Included,
    LineError,
    NewSession,
    Optimized,
    OptimizedItem,
    OptimizeRequest,
    SessionPage,
    VectorHit,
    VectorHits,
)
from cortex.usecases.shortening import check_allowed

TOKEN_METHOD = "words"  # noqa: S105  how tokens are counted, not a secret
MODEL = ModelInfo(
    name="fake",
    revision="1",
    sha256="0" * 64,
    license="Apache-2.0",
    dimensions=8,
    max_tokens=256,
    space="fake-8",
    source="cortex.testing",
    runtime="none",
)


@dataclass
class FakeMemory:
    """Memories of all namespaces, in the order they were stored."""

    clock: Clock
    ids: IdSource
    rows: dict[str, Memory] = field(default_factory=dict)
    keys: dict[tuple[Namespace, str], str] = field(default_factory=dict)

    async def remember(
        self,
        _principal: Principal,
        ns: Namespace,
        items: Sequence[NewMemory],
        context: CallContext,
    ) -> list[Stored]:
        """Store items that are not there yet."""
        return [self._store(ns, item, context.actor) for item in items]

    def _store(self, ns: Namespace, item: NewMemory, writer: str) -> Stored:
        key = item.idempotency_key or f"{item.content}\0{item.occurred_at}"
        known = self.keys.get((ns, key))
        if known in self.rows:
            return Stored(known, created=False, embedding="ready")
        memory = self._row(ns, item, writer)
        self.rows[memory.id] = memory
        self.keys[ns, key] = memory.id
        return Stored(memory.id, True, "ready", quarantined=memory.quarantine_reason)

    def _row(self, ns: Namespace, item: NewMemory, writer: str) -> Memory:
        now = self.clock.now()
        reason = screened(item.source_kind, item.author, item.content)
        same = {f.name for f in fields(Memory)} & {f.name for f in fields(NewMemory)}
        given = {name: getattr(item, name) for name in same - {"occurred_at", "trust"}}
        return Memory(
            id=self.ids.new(),
            namespace=ns,
            occurred_at=now if item.occurred_at is None else item.occurred_at,
            expires_at=None if item.ttl_seconds is None else now + item.ttl_seconds,
            created_at=now,
            updated_at=now,
            accessed_at=now,
            access_count=0,
            tier=Tier.HOT,
            embedding="ready",
            space=MODEL.space,
            content_sha256=_sha256(item.content),
            provenance=Provenance(writer, item.run_id, item.source, item.source_kind),
            trust=allowed_trust(item.source_kind, item.trust),
            quarantined_at=now if reason else None,
            quarantine_reason=reason,
            **given,
        )

    async def get(self, ns: Namespace, memory_id: str) -> Memory:
        """Return one memory of the namespace."""
        found = self.rows.get(memory_id)
        if found is None or found.namespace != ns:
            raise MemoryNotFound("no such memory in this namespace", id=memory_id)
        return found

    async def update(
        self, ns: Namespace, memory_id: str, patch: MemoryPatch, _context: CallContext
    ) -> Memory:
        """Change the given fields."""
        found = await self.get(ns, memory_id)
        named = {f.name: getattr(patch, f.name) for f in fields(MemoryPatch)}
        ttl = named.pop("ttl_seconds")
        if ttl is not None:
            named["expires_at"] = self.clock.now() + ttl
        changes = {name: value for name, value in named.items() if value is not None}
        changed = replace(found, updated_at=self.clock.now(), **changes)
        changed = replace(changed, content_sha256=_sha256(changed.content))
        self.rows[memory_id] = changed
        return changed

    async def page(
        self, ns: Namespace, selection: Selection, cursor: str | None, limit: int
    ) -> Page:
        """Return a page; the cursor is the number of memories before it."""
        chosen = self.chosen(ns, selection)
        start = _offset(cursor)
        end = start + limit
        following = str(end) if end < len(chosen) else None
        return Page(tuple(chosen[start:end]), following)

    def chosen(self, ns: Namespace, selection: Selection) -> list[Memory]:
        """Return the selected memories."""
        key = selection.idempotency_key
        only = None if key is None else self.keys.get((ns, key), "")
        return [
            m
            for m in self.rows.values()
            if m.namespace == ns and only in (None, m.id) and selected(m, selection)
        ]

    async def forget(
        self,
        ns: Namespace,
        *,
        ids: Sequence[str] | None,
        selection: Selection | None,
        context: CallContext,  # noqa: ARG002  part of the port
    ) -> Forgotten:
        """Remove by id or selection."""
        if selection is not None:
            gone = self.chosen(ns, replace(selection, quarantine=Quarantine.INCLUDED))
        else:
            found = [self.rows.get(memory_id) for memory_id in ids or ()]
            gone = [m for m in found if m is not None and m.namespace == ns]
        for memory in gone:
            del self.rows[memory.id]
        hashes = tuple(memory.content_sha256 for memory in gone)
        return Forgotten(tuple(m.id for m in gone), hashes, self.clock.now())

    async def quarantine(
        self,
        ns: Namespace,
        what: Sequence[str] | Selection,
        reason: str,
        _context: CallContext,
    ) -> Quarantined:
        """Keep memories out of answers."""
        now = self.clock.now()
        if isinstance(what, Selection):
            found = self.chosen(ns, what)
        else:
            named = [await self.get(ns, memory_id) for memory_id in what]
            found = [memory for memory in named if not memory.quarantined]
        for memory in found:
            self.rows[memory.id] = replace(
                memory, quarantined_at=now, quarantine_reason=reason
            )
        return Quarantined(tuple(memory.id for memory in found), reason, now)

    async def release(
        self, ns: Namespace, memory_id: str, _context: CallContext
    ) -> Memory:
        """Let a memory into answers again."""
        found = await self.get(ns, memory_id)
        free = replace(found, quarantined_at=None, quarantine_reason="")
        self.rows[memory_id] = free
        return free

    async def release_selected(
        self, ns: Namespace, selection: Selection, context: CallContext
    ) -> tuple[str, ...]:
        """Let all that a selection names into answers again."""
        held = self.chosen(ns, replace(selection, quarantine=Quarantine.ONLY))
        return tuple([(await self.release(ns, m.id, context)).id for m in held])

    async def search(
        self, ns: Namespace, query: Query, _context: CallContext
    ) -> Recalled:
        """Return memories by the share of the query's words they hold."""
        words = set(query.text.lower().split())
        scored = []
        for memory in self.chosen(ns, query.selection):
            shared = len(words & set(memory.content.lower().split())) / len(words)
            if shared:
                scored.append((shared, memory))
        scored.sort(key=lambda pair: -pair[0])
        hits = tuple(
            Hit(
                memory,
                score,
                score,
                {"words": score} if query.explain else {},
                facts={"trust": memory.trust} if query.explain else {},
            )
            for score, memory in scored[: query.top_k]
        )
        best = hits[0].confidence if hits else 0.0
        return Recalled(hits, low_confidence=not hits, confidence=best)

    async def stats(self, principal: Principal, ns: Namespace | None) -> MemoryStats:
        """Count by namespace and kind."""
        mine = [m for m in self.rows.values() if m.namespace.tenant == principal.tenant]
        if ns is not None:
            mine = [memory for memory in mine if memory.namespace == ns]
        size = sum(len(memory.content.encode()) for memory in mine)
        return MemoryStats(
            total=len(mine),
            bytes_total=size,
            by_tier={"hot": len(mine)},
            bytes_by_tier={"hot": size},
            by_kind=_counted(memory.kind for memory in mine),
            by_namespace=_counted(memory.namespace.name for memory in mine),
            pending_embeddings=0,
        )

    async def vector_search(
        self,
        ns: Namespace,
        query: str,
        top_k: int,
        filter_metadata: Mapping[str, JsonValue],
        *,
        min_trust: float | None = None,
    ) -> VectorHits:
        """Search by words and tell it as vectors would be."""
        selection = Selection(where=filter_metadata or None, min_trust=min_trust)
        wanted = Query(query, top_k=top_k, selection=selection)
        found = await self.search(ns, wanted, CallContext("", ""))
        hits = tuple(
            VectorHit(
                hit.memory.id,
                hit.score,
                f"cortex://memory/{hit.memory.id}",
                hit.memory.content[:80],
                hit.memory.metadata,
            )
            for hit in found.hits
        )
        return VectorHits(hits, 0.1, 0.1)


@dataclass
class FakeTransfer:
    """Import and export over ``FakeMemory``."""

    memory: FakeMemory
    step_lines: int = 2

    async def import_lines(
        self,
        ns: Namespace,
        lines: AsyncIterator[bytes],
        context: CallContext,
        *,
        start_line: int = 0,
        place: Callable[[str], Namespace] | None = None,
    ) -> AsyncIterator[ImportProgress]:
        """Store each line that is an object with a content."""
        del place
        at = ImportProgress(0, 0, 0, 0)
        principal = Principal("fake")
        async for line in lines:
            at = replace(at, line=at.line + 1)
            if at.line <= start_line or not line.strip():
                continue
            try:
                item = _item(line)
            except CortexError as error:
                refused = LineError(at.line, error.code, error.message)
                at = replace(at, failed=at.failed + 1, errors=(*at.errors, refused))
                continue
            [stored] = await self.memory.remember(principal, ns, [item], context)
            if stored.created:
                at = replace(at, stored=at.stored + 1)
            else:
                at = replace(at, existing=at.existing + 1)
            if at.line % self.step_lines == 0:
                yield at
                at = replace(at, errors=())
        yield replace(at, done=True)

    async def export_lines(
        self, ns: Namespace, selection: Selection
    ) -> AsyncIterator[bytes]:
        """Yield a line a memory."""
        for memory in self.memory.chosen(ns, selection):
            line = {"content": memory.content, "author": memory.author}
            yield json.dumps(line).encode() + b"\n"


@dataclass
class FakeSessions:
    """Conversations."""

    memory: FakeMemory
    rows: dict[tuple[Namespace, str], Session] = field(default_factory=dict)

    async def create(self, ns: Namespace, new: NewSession) -> Session:
        """Open a conversation."""
        now = self.memory.clock.now()
        session = Session(
            id=new.id or self.memory.ids.new(),
            namespace=ns,
            title=new.title,
            user_id=new.user_id,
            agent_id=new.agent_id,
            metadata=new.metadata,
            created_at=now,
            updated_at=now,
            message_count=0,
        )
        self.rows[ns, session.id] = session
        return session

    async def get(self, ns: Namespace, session_id: str) -> Session:
        """Return one conversation."""
        try:
            return self.rows[ns, session_id]
        except KeyError:
            raise SessionNotFound("no such session in this namespace") from None

    async def page(self, ns: Namespace, cursor: str | None, limit: int) -> SessionPage:
        """Return a page."""
        mine = [row for (place, _), row in self.rows.items() if place == ns]
        start = _offset(cursor)
        end = start + limit
        following = str(end) if end < len(mine) else None
        return SessionPage(tuple(mine[start:end]), following)

    async def append(
        self,
        ns: Namespace,
        session_id: str,
        items: Sequence[NewMemory],
        context: CallContext,
    ) -> list[Stored]:
        """Append messages to a conversation."""
        session = await self.get(ns, session_id)
        stored = await self.memory.remember(Principal("fake"), ns, items, context)
        count = session.message_count + sum(item.created for item in stored)
        self.rows[ns, session_id] = replace(session, message_count=count)
        return stored


@dataclass
class FakeContexts:
    """Contexts whose tokens are words."""

    memory: FakeMemory

    async def build(
        self, ns: Namespace, asked: ContextRequest, context: CallContext
    ) -> BuiltContext:
        """Take hits, then messages, while they fit."""
        check_allowed(asked.compression, context)
        selection = Selection(session_id=asked.session_id)
        if asked.query is None:
            hits = tuple(Hit(m, 1.0, 1.0) for m in self.memory.chosen(ns, selection))
        else:
            query = Query(asked.query, selection=selection)
            hits = (await self.memory.search(ns, query, context)).hits
        budget = asked.max_tokens - asked.reserve_tokens
        blocks: list[ContextBlock] = []
        dropped: list[Dropped] = []
        for hit in hits:
            text, tokens = hit.memory.content, len(hit.memory.content.split())
            if tokens + sum(block.tokens for block in blocks) > budget:
                dropped.append(Dropped(hit.memory.id, "budget", tokens))
                continue
            blocks.append(
                ContextBlock("memory", "system", text, (hit.memory.id,), tokens)
            )
        return BuiltContext(
            blocks=tuple(blocks),
            text="\n".join(block.content for block in blocks),
            total_tokens=sum(block.tokens for block in blocks),
            budget=budget,
            token_method=TOKEN_METHOD,
            token_exact=False,
            included=tuple(Included(b.ids[0], b.tokens, 1.0) for b in blocks),
            dropped=tuple(dropped),
            low_confidence=not hits,
        )

    async def optimize(
        self, _ns: Namespace, asked: OptimizeRequest, context: CallContext
    ) -> Optimized:
        """Take items by priority while they fit."""
        check_allowed(asked.compression, context)
        budget = asked.max_tokens - asked.reserve_tokens
        ranked = sorted(enumerate(asked.items), key=lambda pair: -pair[1].priority)
        kept: list[OptimizedItem] = []
        dropped: list[DroppedItem] = []
        for index, item in ranked:
            tokens = len(item.content.split())
            if tokens + sum(k.tokens for k in kept) > budget:
                dropped.append(DroppedItem(index, "budget", tokens))
            else:
                kept.append(OptimizedItem(index, item, tokens))
        total = sum(item.tokens for item in kept)
        return Optimized(
            items=tuple(sorted(kept, key=lambda item: item.index)),
            dropped=tuple(dropped),
            total_tokens=total,
            budget_used_percent=100 * total / budget,
            token_method=TOKEN_METHOD,
            token_exact=False,
        )


def _item(line: bytes) -> NewMemory:
    if len(line) > IMPORT_LINE_BYTES_MAX:
        message = f"the line is longer than {IMPORT_LINE_BYTES_MAX} bytes"
        raise ValidationError(message, limit=IMPORT_LINE_BYTES_MAX)
    try:
        value = json.loads(line)
    except ValueError:
        raise ValidationError("the line is not JSON") from None
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(content, str) or not content:
        raise ValidationError("content is required", field="content")
    return NewMemory(content=content, author=str(value.get("author", "")))


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit()):
        raise InvalidCursor("this listing did not give out that cursor", field="cursor")
    return int(cursor)


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
