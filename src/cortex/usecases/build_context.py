"""A prompt context for a query and a model, in an exact token budget.

Two sources share the budget: memories that recall finds, and the end of the session
with a summary of what fell out of it. Each share depends on the budget alone until the
whole session fits, and both packers only ever add as theirs grows: so a larger budget
never loses what a smaller one held.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import ValidationError
from cortex.foundation.limits import QUERY_CHARACTERS_MAX
from cortex.foundation.tenancy import Namespace
from cortex.inference.ports import TokenCounter, TokenCounters
from cortex.memory.chunking import Span
from cortex.memory.compression import Message
from cortex.memory.model import Hit, Memory, Query, Recalled, Selection
from cortex.memory.packing import Pack, PackItem, pack
from cortex.memory.ports import MemoryStore
from cortex.memory.strategies import Compression, cut_of
from cortex.memory.terms import TermAnalyser
from cortex.memory.window import Window, slide
from cortex.usecases.model import (
    BuiltContext,
    CallContext,
    ContextBlock,
    ContextRequest,
    ContextStrategy,
    Dropped,
    Included,
)
from cortex.usecases.search import Search, check_query
from cortex.usecases.shortening import NOTHING, Shortened, Shortening, check_allowed

CANDIDATES_MAX: Final = 300
"""Memories considered for a context: 16 000 tokens of short messages."""

SESSION_MESSAGES_MAX: Final = 500
"""Messages at the end of a session that are looked at."""

WINDOW_SHARE: Final = 0.4
"""Part of the budget for the session, the rest is for memories."""

TRUST_MIN: Final = 0.5
"""Trust from which a memory is shown to a language model to be retold."""

JOIN_TOKENS: Final = 4
"""Kept free a section: tokens of parts and of the whole do not add up exactly."""

MEMORIES_TITLE: Final = "Memories:"
SESSION_TITLE: Final = "Conversation:"

_ROLES: Final = frozenset({"system", "user", "assistant"})
_SECTION: Final = "\n\n"

Announce = Callable[[str, Namespace, Mapping[str, JsonValue], CallContext], None]


@dataclass(frozen=True, slots=True)
class _Material:
    """What there is to choose from."""

    recalled: Recalled | None
    session: Sequence[Memory]
    shortened: Shortened = NOTHING


@dataclass(frozen=True, slots=True)
class BuildContext:
    """Recalls, looks at the session, packs and counts."""

    search: Search
    store: MemoryStore
    counters: TokenCounters
    announce: Announce
    shortening: Shortening = field(default_factory=Shortening)

    async def __call__(
        self, namespace: Namespace, request: ContextRequest, context: CallContext, /
    ) -> BuiltContext:
        """Return the context; ``total_tokens`` is never above the budget.

        Raises:
            PermissionDenied: the compression needs a scope that the caller lacks.
            ValidationError: neither query nor session is given, or no budget is left.
        """
        check_allowed(request.compression, context)
        budget = request.max_tokens - request.reserve_tokens
        if budget <= 0:
            message = "reserve_tokens must leave a budget below max_tokens"
            raise ValidationError(
                message, field="reserve_tokens", limit=request.max_tokens
            )
        if request.query is None and request.session_id is None:
            message = "give a query, a session_id, or both"
            raise ValidationError(message, field="query")
        # The first use of a model loads its vocabulary, which may take a second.
        counter = await asyncio.to_thread(self.counters.for_model, request.model)
        material = await self._material(namespace, request)
        hits = material.recalled.hits if material.recalled else ()
        shortened = await self.shortening(
            [_item(hit) for hit in hits],
            request.compression,
            namespace,
            context,
            shown=frozenset(h.memory.id for h in hits if h.memory.trust >= TRUST_MIN),
        )
        material = replace(material, shortened=shortened)
        # Counting long texts takes milliseconds: other requests go on meanwhile.
        built = await asyncio.to_thread(_built, material, budget, counter)
        self._tell(namespace, request, built, context)
        return built

    async def _material(
        self, namespace: Namespace, request: ContextRequest
    ) -> _Material:
        session: Sequence[Memory] = ()
        if request.session_id and request.strategy is not ContextStrategy.RECALL:
            wanted = Selection(
                session_id=request.session_id, min_trust=request.min_trust
            )
            session = await self._session(namespace, wanted)
        text = request.query
        if text is not None:
            check_query(Query(text))
        elif session:
            # Without a query the last message says what the talk is about.
            text = session[-1].content[:QUERY_CHARACTERS_MAX]
        if text is None or request.strategy is ContextStrategy.WINDOW:
            return _Material(None, session)
        trusted = Selection(min_trust=request.min_trust)
        query = Query(text, CANDIDATES_MAX, selection=trusted)
        vector = await self.search.vector(query)
        space = self.search.embedder.info.space
        recalled = await self.search.recall.search(namespace, query, vector, space)
        return _Material(recalled, session)

    async def _session(self, namespace: Namespace, wanted: Selection) -> list[Memory]:
        page = await self.store.list(
            namespace, wanted, cursor=None, limit=SESSION_MESSAGES_MAX
        )
        return list(reversed(page.memories))

    def _tell(
        self,
        namespace: Namespace,
        request: ContextRequest,
        built: BuiltContext,
        context: CallContext,
    ) -> None:
        data: dict[str, JsonValue] = {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "total_tokens": built.total_tokens,
            "items_dropped": len(built.dropped),
        }
        ids: list[JsonValue] = [one.id for one in built.included]
        packed = {**data, "items_included": len(built.included), "ids": ids}
        self.announce("context.packed", namespace, packed, context)
        if any(one.reason == "budget" for one in built.dropped):
            self.announce("context.overflow", namespace, data, context)


def _built(material: _Material, budget: int, counter: TokenCounter) -> BuiltContext:
    """Fill the budget; give back tokens as long as the whole does not fit."""
    spare = 0
    while True:
        built = _attempt(material, budget, max(budget - spare, 0), counter)
        if built.total_tokens <= budget:
            return built
        spare += built.total_tokens - budget


def _attempt(
    material: _Material, budget: int, usable: int, counter: TokenCounter
) -> BuiltContext:
    window = _window(material, usable, counter)
    shown = {message.id for message in window.kept} if window else set()
    left = _left_for_memories(material, window, usable, counter)
    shortened = material.shortened
    items = [one.item for one in shortened.items if one.item.id not in shown]
    cut = cut_of(shortened.used)
    packed = pack(items, left, counter.count, cut) if items else None
    sections = _sections(packed, window)
    text = _SECTION.join(sections)
    recalled = material.recalled
    return BuiltContext(
        blocks=tuple(_blocks(packed, window, material.session, counter)),
        text=text,
        total_tokens=counter.count(text) if text else 0,
        budget=budget,
        token_method=counter.method,
        token_exact=counter.exact,
        included=tuple(_included(packed, window, material, counter)),
        dropped=tuple(_dropped(packed, window, shortened)),
        summary=window.summary.text if window else "",
        low_confidence=recalled.low_confidence if recalled else False,
        degraded=recalled.degraded if recalled else (),
        compression=shortened.used,
        compression_fallback=shortened.fallback,
    )


def _window(material: _Material, usable: int, counter: TokenCounter) -> Window | None:
    if not material.session:
        return None
    share = usable if material.recalled is None else int(usable * WINDOW_SHARE)
    title = 0 if material.recalled is None else _title_tokens(SESSION_TITLE, counter)
    messages = [Message(m.id, m.author, m.content) for m in material.session]
    # A stemmer is not re-entrant, and this runs on any thread: it takes its own.
    return slide(
        messages,
        max(share - title, 0),
        counter.count,
        TermAnalyser(),
        summarising=material.shortened.used is not Compression.NONE,
    )


def _left_for_memories(
    material: _Material, window: Window | None, usable: int, counter: TokenCounter
) -> int:
    if window is None:
        return usable
    title = _title_tokens(MEMORIES_TITLE, counter)
    share = usable - int(usable * WINDOW_SHARE)
    if len(window.kept) == len(material.session):
        used = window.total_tokens + _title_tokens(SESSION_TITLE, counter)
        share = max(share, usable - used)
    return max(share - title, 0)


def _title_tokens(title: str, counter: TokenCounter) -> int:
    return counter.count(title + _SECTION) + JOIN_TOKENS


def _item(hit: Hit) -> PackItem:
    memory = hit.memory
    return PackItem(
        id=memory.id,
        text=memory.content,
        worth=hit.score,
        label=f"{memory.author}: " if memory.author else "",
        heading=_day(memory.occurred_at),
        position=memory.occurred_at,
        excerpts=tuple(Span(start, end) for start, end in hit.excerpts),
    )


def _day(epoch_seconds: float) -> str:
    """Return a day as people write it; empty for times no calendar has."""
    try:
        day = datetime.fromtimestamp(epoch_seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return f"{day.day} {day:%B} {day.year}"


def _sections(packed: Pack | None, window: Window | None) -> list[str]:
    memories = packed.text if packed else ""
    session = window.text if window else ""
    if not (memories and session):
        return [part for part in (memories, session) if part]
    return [f"{MEMORIES_TITLE}\n{memories}", f"{SESSION_TITLE}\n{session}"]


def _blocks(
    packed: Pack | None,
    window: Window | None,
    session: Sequence[Memory],
    counter: TokenCounter,
) -> list[ContextBlock]:
    blocks = []
    if packed and packed.text:
        ids = tuple(item.id for item in packed.items)
        blocks.append(
            ContextBlock("memory", "system", packed.text, ids, packed.total_tokens)
        )
    if window is None:
        return blocks
    if window.summary.text:
        quoted = tuple(dict.fromkeys(q.message_id for q in window.summary.quotes))
        tokens = window.summary.total_tokens
        text = window.summary.text
        blocks.append(ContextBlock("summary", "system", text, quoted, tokens))
    authors = {memory.id: memory.author for memory in session}
    for message in window.kept:
        author = authors[message.id].lower()
        role = author if author in _ROLES else "user"
        text = message.text if author in _ROLES else message.rendered
        tokens = counter.count(text)
        blocks.append(ContextBlock("message", role, text, (message.id,), tokens))
    return blocks


def _included(
    packed: Pack | None,
    window: Window | None,
    material: _Material,
    counter: TokenCounter,
) -> list[Included]:
    hits = material.recalled.hits if material.recalled else ()
    found = {hit.memory.id: hit for hit in hits}
    included = []
    for item in packed.items if packed else ():
        hit = found[item.id]
        stands = material.shortened.of(item.id, partial=item.partial)
        included.append(
            Included(
                item.id,
                counter.count(item.text),
                hit.score,
                counter.count(hit.memory.content),
                stands.used,
                stands.lossy,
            )
        )
    for message in window.kept if window else ():
        score = found[message.id].score if message.id in found else 0
        tokens = counter.count(message.rendered)
        included.append(Included(message.id, tokens, score, tokens))
    return included


def _dropped(
    packed: Pack | None, window: Window | None, shortened: Shortened
) -> list[Dropped]:
    fell_out = window.summarised if window else ()
    present = {item.id for item in packed.items} if packed else set()
    left = [
        Dropped(one.id, shortened.reason(one))
        for one in (packed.dropped if packed else ())
    ]
    known = {one.id for one in left} | present
    return left + [Dropped(i, "window") for i in fell_out if i not in known]
