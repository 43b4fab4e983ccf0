"""Every journey an edge can start, as typed callables in one frozen bundle.

Edges depend on this module alone; the composition root fills it, tests fill it with
``cortex.testing.usecases``. Positional parameters are positional only: their names
belong to the implementation.
"""

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from typing import Protocol

from cortex.bus.events import Event
from cortex.foundation.canonical import JsonValue
from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.model import (
    Forgotten,
    Memory,
    MemoryPatch,
    MemoryStats,
    NewMemory,
    Page,
    Quarantined,
    Query,
    Recalled,
    Selection,
    Session,
    Stored,
)
from cortex.operations.quotas import Usage
from cortex.usecases.audit import Audit
from cortex.usecases.configuration import Configuration
from cortex.usecases.dead_letters import DeadLetters
from cortex.usecases.embed import Embedded, EmbedRequest
from cortex.usecases.inference_control import InferenceControl
from cortex.usecases.media import (
    EmbeddedMedia,
    MediaFile,
    MediaOptions,
    RememberedMedia,
)
from cortex.usecases.model import (
    BuiltContext,
    CallContext,
    ContextRequest,
    DatabaseInfo,
    DatabaseSample,
    DatabaseSchema,
    FileListing,
    FileText,
    HealthReport,
    ImportProgress,
    LoadedModel,
    NewSession,
    Optimized,
    OptimizeRequest,
    Readiness,
    Resource,
    ServiceHealth,
    ServiceInfo,
    SessionPage,
    StateEntry,
    VectorHits,
)
from cortex.usecases.observed import Observed
from cortex.usecases.operations import Operations
from cortex.usecases.past_events import PastEvents
from cortex.usecases.plan import PlanMade, PlanRequest
from cortex.usecases.reflect import Reflected, ReflectRequest


class Remember(Protocol):
    """Stores items in one transaction, durable when answered; ids in order."""

    async def __call__(
        self,
        principal: Principal,
        namespace: Namespace,
        items: Sequence[NewMemory],
        context: CallContext,
        /,
    ) -> list[Stored]:
        """Return one answer an item, in order."""
        ...


class UpdateMemory(Protocol):
    """Changes fields of one memory and answers with the whole."""

    async def __call__(
        self,
        namespace: Namespace,
        memory_id: str,
        patch: MemoryPatch,
        context: CallContext,
        /,
    ) -> Memory:
        """Return the changed memory."""
        ...


class ListMemories(Protocol):
    """Lists one page."""

    async def __call__(
        self,
        namespace: Namespace,
        selection: Selection,
        cursor: str | None,
        limit: int,
        /,
    ) -> Page:
        """Return the page at ``cursor`` (None: the first)."""
        ...


class Forget(Protocol):
    """Forgets by ids or by selection (exactly one is given), verified."""

    async def __call__(
        self,
        namespace: Namespace,
        /,
        *,
        ids: Sequence[str] | None,
        selection: Selection | None,
        context: CallContext,
    ) -> Forgotten:
        """Return what was removed; nothing of it is left anywhere."""
        ...


class QuarantineMemories(Protocol):
    """Takes memories out of answers, by ids or by selection."""

    async def __call__(
        self,
        namespace: Namespace,
        what: Sequence[str] | Selection,
        reason: str,
        context: CallContext,
        /,
    ) -> Quarantined:
        """Return what was taken out."""
        ...


class ImportLines(Protocol):
    """Stores JSON lines after ``start_line`` and tells how far it is."""

    def __call__(
        self,
        namespace: Namespace,
        lines: AsyncIterator[bytes],
        context: CallContext,
        /,
        *,
        start_line: int = 0,
        place: Callable[[str], Namespace] | None = None,
    ) -> AsyncIterator[ImportProgress]:
        """Yield progress; the last one has ``done`` set.

        ``place`` returns the namespace that a line names, or refuses it.
        """
        ...


class AppendMessages(Protocol):
    """Appends messages to a session, in order."""

    async def __call__(
        self,
        namespace: Namespace,
        session_id: str,
        items: Sequence[NewMemory],
        context: CallContext,
        /,
    ) -> list[Stored]:
        """Return one answer a message, in order."""
        ...


class PutState(Protocol):
    """Writes a value; ``if_match`` is an etag, ``*`` (must exist) or None."""

    async def __call__(
        self,
        namespace: Namespace,
        key: str,
        value: JsonValue,
        /,
        *,
        ttl_seconds: float | None,
        if_match: str | None,
        context: CallContext,
    ) -> StateEntry:
        """Return the entry with its new etag."""
        ...


class DeleteState(Protocol):
    """Removes a key; absent keys raise ``NotFound``."""

    async def __call__(
        self,
        namespace: Namespace,
        key: str,
        /,
        *,
        if_match: str | None,
        context: CallContext,
    ) -> None:
        """Return once the key is gone."""
        ...


class VectorSearch(Protocol):
    """Finds documents by meaning, with the time of its steps."""

    async def __call__(
        self,
        namespace: Namespace,
        query: str,
        top_k: int,
        filter_metadata: Mapping[str, JsonValue],
        /,
        *,
        min_trust: float | None = None,
    ) -> VectorHits:
        """Return at most ``top_k`` hits, best first."""
        ...


class EmbedTexts(Protocol):
    """Embeds texts with the active model."""

    async def __call__(self, request: EmbedRequest, /) -> Embedded:
        """Return one vector a text, and the tokens of each."""
        ...

    def identity(self, request: EmbedRequest, /) -> str:
        """Return a name of the answer without making it."""
        ...


class MakePlan(Protocol):
    """Makes steps towards a goal, and keeps them."""

    async def __call__(
        self,
        principal: Principal,
        namespace: Namespace,
        request: PlanRequest,
        context: CallContext,
        /,
    ) -> PlanMade:
        """Return the plan, durable."""
        ...


class Reflect(Protocol):
    """Judges an output, and keeps the judgement."""

    async def __call__(
        self,
        principal: Principal,
        namespace: Namespace,
        request: ReflectRequest,
        context: CallContext,
        /,
    ) -> Reflected:
        """Return the judgement, durable."""
        ...


class EmbedMedia(Protocol):
    """Embeds a text or a file of any modality."""

    async def text(self, text: str, options: MediaOptions, /) -> EmbeddedMedia:
        """Return the vector of a text."""
        ...

    async def file(self, given: MediaFile, options: MediaOptions, /) -> EmbeddedMedia:
        """Return the vector of a file."""
        ...


class RememberMedia(Protocol):
    """Stores what a file shows and says."""

    async def __call__(
        self,
        principal: Principal,
        namespace: Namespace,
        given: MediaFile,
        item: NewMemory,
        context: CallContext,
        /,
        *,
        ocr: bool = False,
    ) -> RememberedMedia:
        """Return what was stored."""
        ...


class FollowEvents(Protocol):
    """Streams the caller's events; None is a heartbeat."""

    def __call__(
        self,
        principal: Principal,
        last_event_id: str | None,
        types: Collection[str] | None,
        /,
    ) -> AsyncIterator[Event | None]:
        """Yield events in order, behind ``last_event_id`` if one is given."""
        ...


@dataclass(frozen=True, slots=True)
class UseCases:
    """Everything the edges may ask for."""

    remember: Remember
    get_memory: Callable[[Namespace, str], Awaitable[Memory]]
    update_memory: UpdateMemory
    list_memories: ListMemories
    forget: Forget
    quarantine: QuarantineMemories
    release: Callable[[Namespace, str, CallContext], Awaitable[Memory]]
    release_selected: Callable[
        [Namespace, Selection, CallContext], Awaitable[tuple[str, ...]]
    ]
    search: Callable[[Namespace, Query, CallContext], Awaitable[Recalled]]
    import_lines: ImportLines
    export_lines: Callable[[Namespace, Selection], AsyncIterator[bytes]]
    memory_stats: Callable[[Principal, Namespace | None], Awaitable[MemoryStats]]
    create_session: Callable[[Namespace, NewSession], Awaitable[Session]]
    get_session: Callable[[Namespace, str], Awaitable[Session]]
    list_sessions: Callable[[Namespace, str | None, int], Awaitable[SessionPage]]
    append_messages: AppendMessages
    get_state: Callable[[Namespace, str], Awaitable[StateEntry]]
    put_state: PutState
    delete_state: DeleteState
    build_context: Callable[
        [Namespace, ContextRequest, CallContext], Awaitable[BuiltContext]
    ]
    optimize_context: Callable[
        [Namespace, OptimizeRequest, CallContext], Awaitable[Optimized]
    ]
    snapshot: Callable[[Principal, str | None], Awaitable[Mapping[str, JsonValue]]]
    discover: Callable[[Principal], Awaitable[list[Resource]]]
    vector_search: VectorSearch
    list_databases: Callable[[], Awaitable[list[DatabaseInfo]]]
    database_schema: Callable[[str], Awaitable[DatabaseSchema]]
    database_sample: Callable[[str, str, int], Awaitable[DatabaseSample]]
    list_services: Callable[[], Awaitable[list[ServiceInfo]]]
    service_health: Callable[[], Awaitable[list[ServiceHealth]]]
    list_files: Callable[[str, str], Awaitable[FileListing]]
    read_text: Callable[[str, str, int], Awaitable[FileText]]
    models: Callable[[], Awaitable[list[LoadedModel]]]
    inference: InferenceControl
    embed: EmbedTexts
    embed_media: EmbedMedia
    remember_media: RememberMedia
    plan: MakePlan
    reflect: Reflect
    audit: Audit
    follow: FollowEvents
    past_events: PastEvents
    dead_letters: DeadLetters
    observed: Observed
    operations: Operations
    configuration: Configuration
    usage: Callable[[str], Usage]
    health: Callable[[], Awaitable[HealthReport]]
    ready: Callable[[], Awaitable[Readiness]]
