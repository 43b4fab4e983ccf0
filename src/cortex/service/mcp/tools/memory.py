"""memory.store, memory.search, memory.context, memory.forget and memory.stats."""

from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from cortex.foundation.canonical import canonical_json, sha256_hex
from cortex.foundation.errors import ValidationError
from cortex.foundation.limits import TOP_K_MAX
from cortex.memory.filters import compile_filter
from cortex.memory.model import NewMemory, Query, SearchMode, Selection, TimeRange
from cortex.memory.strategies import Compression
from cortex.memory.trust import SourceKind
from cortex.security.scopes import Scope
from cortex.service.fields import (
    Content,
    Importance,
    Integer,
    Metadata,
    MinTrust,
    Moment,
    Name,
    NamespaceName,
    OptionalName,
    QueryText,
    Source,
    Tag,
    Tags,
    TtlSeconds,
    Wire,
)
from cortex.service.mcp.addresses import MEMORY_PREFIX, address, memory_at
from cortex.service.mcp.calling import Caller
from cortex.service.mcp.shapes import HitShape, hit_shape
from cortex.service.mcp.tool import Answer, Tool
from cortex.usecases.catalog import UseCases
from cortex.usecases.model import BuiltContext, ContextRequest, ContextStrategy

TOP_K_DEFAULT = 8
"""Hits of a search that names no number: enough to answer, little to read."""

FORGET_IDS_MAX = 100
"""Memories forgotten by id in one call."""

CONTEXT_TOKENS_MAX = 2_000_000
"""Tokens of a context: beyond any model's window."""

Where = Annotated[
    NamespaceName | None,
    Field(description="Partition of memory; leave out for the connection's own."),
]


class StoreArguments(Wire):
    """One thing to remember."""

    content: Annotated[
        Content,
        Field(description="One self-contained fact, message or note, in full words."),
    ]
    author: Annotated[
        OptionalName, Field(description="Who said or wrote it; helps recall.")
    ] = ""
    kind: Annotated[Name, Field(description="fact, message, plan, note …")] = "fact"
    tags: Annotated[Tags, Field(description="Labels to filter by.")] = Field(
        default_factory=list
    )
    importance: Annotated[Importance, Field(description="0 to 1.")] = 0.5
    session_id: Annotated[
        Name | None, Field(description="Conversation it belongs to.")
    ] = None
    user_id: Annotated[Name | None, Field(description="Person it is about.")] = None
    agent_id: Name | None = None
    metadata: Annotated[Metadata, Field(description="Any JSON object.")] = Field(
        default_factory=dict
    )
    occurred_at: Annotated[
        Moment | None, Field(description="When it happened; now if left out.")
    ] = None
    ttl_seconds: Annotated[
        TtlSeconds | None, Field(description="Forget it after this long.")
    ] = None
    source_kind: Annotated[
        SourceKind,
        Field(
            description="Whose words these are: yours (agent), the user's, or copied "
            "from a tool's result or a web page. Say so honestly: it decides trust."
        ),
    ] = SourceKind.AGENT
    source: Annotated[
        Source, Field(description="Where it came from: a URL, the name of a tool.")
    ] = ""
    namespace: Where = None

    def domain(self) -> NewMemory:
        """Return the memory to store."""
        return NewMemory(
            content=self.content,
            author=self.author,
            kind=self.kind,
            session_id=self.session_id,
            agent_id=self.agent_id,
            user_id=self.user_id,
            importance=self.importance,
            tags=tuple(self.tags),
            metadata=self.metadata,
            occurred_at=self.occurred_at,
            ttl_seconds=self.ttl_seconds,
            source=self.source,
            source_kind=self.source_kind,
            idempotency_key=self._key(),
        )

    def _key(self) -> str | None:
        """Return one key for one fact; messages of a session may repeat."""
        if self.session_id is not None:
            return None
        said = [self.content, self.author, self.kind, self.user_id, self.agent_id]
        facts = {"said": said, "at": self.occurred_at, "source": self.source_kind}
        return f"mcp:{sha256_hex(canonical_json(facts))}"


class StoreAnswer(Wire):
    """What became of it."""

    id: str
    uri: str
    namespace: str
    created: Annotated[bool, Field(description="False: it was there already.")]
    quarantined: Annotated[
        str, Field(description="Why it is kept out of answers; empty when it is not.")
    ]


class Conditions(Wire):
    """Which memories."""

    session_id: Name | None = None
    user_id: Name | None = None
    agent_id: Name | None = None
    author: Name | None = None
    kind: Name | None = None
    tag: Tag | None = None
    after: Annotated[Moment | None, Field(description="Happened at or after.")] = None
    before: Annotated[Moment | None, Field(description="Happened before.")] = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        start, end = self.after, self.before
        if start is not None and end is not None and start >= end:
            message = "after must lie before 'before'"
            raise ValueError(message)
        return self

    def selection(self, where: dict[str, Any] | None = None) -> Selection:
        """Return the conditions as a selection."""
        bounded = self.after is not None or self.before is not None
        return Selection(
            session_id=self.session_id,
            user_id=self.user_id,
            agent_id=self.agent_id,
            author=self.author,
            kind=self.kind,
            tag=self.tag,
            time_range=TimeRange(self.after, self.before) if bounded else None,
            where=where or None,
        )


class SearchArguments(Conditions):
    """What to look for."""

    query: Annotated[
        QueryText,
        Field(description="The question in plain words; may hold times: last week."),
    ]
    top_k: Annotated[
        Integer, Field(ge=1, le=TOP_K_MAX, description="Most hits returned.")
    ] = TOP_K_DEFAULT
    mode: Annotated[SearchMode, Field(description="hybrid fits nearly always.")] = (
        SearchMode.HYBRID
    )
    min_trust: MinTrust | None = None
    filter: Annotated[
        dict[str, Any] | None,
        Field(description='Over metadata, such as {"project": "atlas"}.'),
    ] = None
    namespace: Where = None


class SearchAnswer(Wire):
    """Hits, best first."""

    hits: list[HitShape]
    low_confidence: Annotated[
        bool, Field(description="True: nothing stored seems to answer the query.")
    ]


class ContextArguments(Wire):
    """What the context is for; a query, a session or both."""

    query: Annotated[
        QueryText | None, Field(description="What is about to be answered.")
    ] = None
    session_id: Annotated[
        Name | None, Field(description="Conversation whose last messages belong in.")
    ] = None
    model: Annotated[
        OptionalName, Field(description="Model whose tokens count, such as gpt-4o.")
    ] = ""
    max_tokens: Annotated[
        Integer | None,
        Field(ge=1, le=CONTEXT_TOKENS_MAX, description="Hard budget of the text."),
    ] = None
    reserve_tokens: Annotated[
        Integer, Field(ge=0, le=CONTEXT_TOKENS_MAX, description="Kept for the answer.")
    ] = 0
    strategy: ContextStrategy = ContextStrategy.BALANCED
    compression: Annotated[
        Compression, Field(description="How memories may be shortened.")
    ] = Compression.EXTRACTIVE
    min_trust: MinTrust | None = None
    namespace: Where = None

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.query is None and self.session_id is None:
            message = "must name a query, a session_id or both"
            raise ValueError(message)
        return self


class ContextAnswer(Wire):
    """A context; total_tokens counts text."""

    text: str
    total_tokens: int
    budget: int
    token_exact: bool
    ids: Annotated[list[str], Field(description="Memories that are in it.")]
    dropped: Annotated[int, Field(description="Candidates that are not.")]
    low_confidence: bool


class ForgetArguments(Conditions):
    """Ids, or conditions that are all met."""

    ids: Annotated[
        list[Name],
        Field(max_length=FORGET_IDS_MAX, description="Ids or cortex:// addresses."),
    ] = Field(default_factory=list)
    namespace: Where = None

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        conditions = self.selection() != Selection()
        if bool(self.ids) == conditions:
            message = "must name ids or conditions, and not both"
            raise ValueError(message)
        return self


class ForgetAnswer(Wire):
    """What is gone, everywhere and for good."""

    forgotten: int
    ids: list[str]
    missing: Annotated[list[str], Field(description="Ids that were not there.")]


class StatsArguments(Wire):
    """Of which namespace."""

    namespace: Annotated[
        NamespaceName | None, Field(description="Leave out for all within reach.")
    ] = None


class StatsAnswer(Wire):
    """Counts and bytes."""

    total: int
    bytes_total: int
    by_kind: dict[str, int]
    by_tier: dict[str, int]
    by_namespace: dict[str, int]
    pending_embeddings: int


class MemoryTools:
    """Tools that work on memories."""

    def __init__(self, cases: UseCases, max_tokens_default: int) -> None:
        """Take the use cases and the budget of a context that names none."""
        self._cases = cases
        self._max_tokens_default = max_tokens_default

    def tools(self) -> tuple[Tool[Any], ...]:
        """Return the tools."""
        return (*self._writing(), *self._reading())

    def _writing(self) -> tuple[Tool[Any], ...]:
        return (
            Tool(
                "memory.store",
                "Remember",
                "Remember something across conversations: a fact, a preference, a "
                "decision, a message. Durable when it returns; the same fact twice is "
                "kept once. Store one self-contained statement a call, with names "
                "instead of pronouns.",
                StoreArguments,
                StoreAnswer,
                Scope.MEMORY,
                "write",
                self.store,
                writes=True,
            ),
            Tool(
                "memory.forget",
                "Forget",
                "Forget memories for good, by id or by conditions: content, index and "
                "copies. It cannot be undone; ask the person first.",
                ForgetArguments,
                ForgetAnswer,
                Scope.MEMORY,
                "forget",
                self.forget,
                writes=True,
                destroys=True,
            ),
        )

    def _reading(self) -> tuple[Tool[Any], ...]:
        return (
            Tool(
                "memory.search",
                "Recall",
                "Find memories that answer a question, best first, with the confidence "
                "that each does. Ask in plain words. low_confidence true means that "
                "nothing stored seems to answer: do not guess from such hits.",
                SearchArguments,
                SearchAnswer,
                Scope.MEMORY,
                "search",
                self.search,
            ),
            Tool(
                "memory.context",
                "Build a context",
                "Build one text for a prompt from what is remembered, and from the "
                "last messages of a session, within an exact token budget. Use it "
                "before answering instead of several searches.",
                ContextArguments,
                ContextAnswer,
                Scope.CONTEXT,
                "build",
                self.context,
            ),
            Tool(
                "memory.stats",
                "Count memories",
                "Count memories and bytes by kind, tier and namespace.",
                StatsArguments,
                StatsAnswer,
                Scope.MEMORY,
                "read",
                self.stats,
            ),
        )

    async def store(self, caller: Caller, given: StoreArguments) -> Answer:
        """Store one memory."""
        place = caller.namespace(given.namespace)
        stored = await self._cases.remember(
            caller.principal, place, [given.domain()], caller.context
        )
        one = stored[0]
        known = "" if one.created else " (it was there already)"
        content = {
            "id": one.id,
            "uri": address(place.name, one.id),
            "namespace": place.name,
            "created": one.created,
            "quarantined": one.quarantined,
        }
        kept_out = f" It is quarantined: {one.quarantined}." if one.quarantined else ""
        return Answer(content, f"Remembered as {one.id}{known}.{kept_out}")

    async def search(self, caller: Caller, given: SearchArguments) -> Answer:
        """Search."""
        if given.filter is not None:
            compile_filter(given.filter)
        chosen = replace(given.selection(given.filter), min_trust=given.min_trust)
        asked = Query(given.query, given.top_k, given.mode, chosen)
        place = caller.namespace(given.namespace)
        found = await self._cases.search(place, asked, caller.context)
        hits = [hit_shape(hit) for hit in found.hits]
        content = {"hits": hits, "low_confidence": found.low_confidence}
        return Answer(content, _hits_text(hits, low=found.low_confidence))

    async def context(self, caller: Caller, given: ContextArguments) -> Answer:
        """Build a context."""
        asked = ContextRequest(
            query=given.query,
            session_id=given.session_id,
            model=given.model,
            max_tokens=given.max_tokens or self._max_tokens_default,
            reserve_tokens=given.reserve_tokens,
            strategy=given.strategy,
            min_trust=given.min_trust,
            compression=given.compression,
        )
        place = caller.namespace(given.namespace)
        built = await self._cases.build_context(place, asked, caller.context)
        return Answer(_context_content(built), built.text or "Nothing is remembered.")

    async def forget(self, caller: Caller, given: ForgetArguments) -> Answer:
        """Forget by id or by conditions."""
        place = caller.namespace(given.namespace)
        ids = [_bare(one, place.name) for one in given.ids]
        gone = await self._cases.forget(
            place,
            ids=ids or None,
            selection=None if ids else given.selection(),
            context=caller.context,
        )
        missing = sorted(set(ids) - set(gone.ids))
        content = {
            "forgotten": len(gone.ids),
            "ids": list(gone.ids),
            "missing": missing,
        }
        absent = f" Not there: {', '.join(missing)}." if missing else ""
        return Answer(content, f"Forgot {len(gone.ids)} memories.{absent}")

    async def stats(self, caller: Caller, given: StatsArguments) -> Answer:
        """Count."""
        named = given.namespace
        if named is None:
            caller.allowed()
        place = None if named is None else caller.namespace(named)
        counts = await self._cases.memory_stats(caller.principal, place)
        content = {
            "total": counts.total,
            "bytes_total": counts.bytes_total,
            "by_kind": dict(counts.by_kind),
            "by_tier": dict(counts.by_tier),
            "by_namespace": dict(counts.by_namespace),
            "pending_embeddings": counts.pending_embeddings,
        }
        spaces = len(counts.by_namespace)
        many = "1 memory" if counts.total == 1 else f"{counts.total} memories"
        places = "1 namespace" if spaces == 1 else f"{spaces} namespaces"
        return Answer(content, f"{many} in {places}.")


def _bare(id_or_address: str, namespace: str) -> str:
    """Return the id; an address must lie in the namespace."""
    if not id_or_address.startswith(MEMORY_PREFIX):
        return id_or_address
    named, memory_id = memory_at(id_or_address)
    if named != namespace:
        raise ValidationError(
            f"{memory_id} lies in the namespace {named!r}, not in {namespace!r}",
            hint="Name that namespace in the call.",
            field="ids",
        )
    return memory_id


def _hits_text(hits: list[dict[str, Any]], *, low: bool) -> str:
    if not hits:
        return "Nothing found."
    lines = [
        f"{place}. [{hit['confidence']:.2f}] {hit['occurred_at'][:10]} "
        f"{hit['author'] + ': ' if hit['author'] else ''}{hit['content']}"
        f"{' …' if hit['truncated'] else ''} (id {hit['id']})"
        for place, hit in enumerate(hits, 1)
    ]
    if low:
        lines.insert(0, "Low confidence: nothing stored seems to answer this.")
    return "\n".join(lines)


def _context_content(built: BuiltContext) -> dict[str, Any]:
    return {
        "text": built.text,
        "total_tokens": built.total_tokens,
        "budget": built.budget,
        "token_exact": built.token_exact,
        "ids": [one.id for one in built.included],
        "dropped": len(built.dropped),
        "low_confidence": built.low_confidence,
    }
