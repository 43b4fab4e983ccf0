"""What lies around the memory, made up; and the bundle of all fake use cases."""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field

from cortex.agents.checking import Checker
from cortex.agents.planning import Planner
from cortex.bus.events import Event
from cortex.foundation.canonical import JsonValue, sha256_hex
from cortex.foundation.clock import Clock
from cortex.foundation.errors import NotFound, PreconditionFailed
from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import Namespace, Principal
from cortex.inference.media.stand_in import StandInReader
from cortex.memory.terms import TermAnalyser
from cortex.operations.quotas import Measure, Quotas, Usage
from cortex.testing.configuration import fake_configuration
from cortex.testing.dead_letters import FakeLetters
from cortex.testing.embedding import FakeEmbedder
from cortex.testing.inference_control import fake_control
from cortex.testing.journal import FakeJournal
from cortex.testing.observed import FakeErrors, FakeHistory, FakeLogs, FakeTraces
from cortex.testing.promises import FakeWatched
from cortex.testing.usecases import (
    MODEL,
    FakeContexts,
    FakeMemory,
    FakeSessions,
    FakeTransfer,
)
from cortex.usecases.agent_memory import AgentMemory
from cortex.usecases.audit import Audit, LedgerRoom
from cortex.usecases.catalog import UseCases
from cortex.usecases.dead_letters import DeadLetters
from cortex.usecases.embed import Embed
from cortex.usecases.media import EmbedMedia, RememberMedia
from cortex.usecases.model import (
    CallContext,
    CheckResult,
    Column,
    DatabaseInfo,
    DatabaseSample,
    DatabaseSchema,
    FileEntry,
    FileListing,
    FileText,
    HealthReport,
    LoadedModel,
    Readiness,
    Resource,
    ServiceHealth,
    ServiceInfo,
    StateEntry,
    Status,
    Table,
)
from cortex.usecases.observed import Observed
from cortex.usecases.past_events import PastEvents
from cortex.usecases.plan import MakePlan
from cortex.usecases.reflect import Reflect


@dataclass
class FakeState:
    """Hot state with etags; the time to live is kept, not enforced."""

    clock: Clock
    rows: dict[tuple[Namespace, str], StateEntry] = field(default_factory=dict)
    writes: int = 0

    async def get(self, ns: Namespace, key: str) -> StateEntry:
        """Return a value."""
        try:
            return self.rows[ns, key]
        except KeyError:
            raise NotFound("no such key in this namespace", key=key) from None

    async def put(
        self,
        ns: Namespace,
        key: str,
        value: JsonValue,
        *,
        ttl_seconds: float | None,
        if_match: str | None,
        context: CallContext,  # noqa: ARG002  part of the port
    ) -> StateEntry:
        """Write a value if the condition holds."""
        self._check(ns, key, if_match)
        self.writes += 1
        expires = None if ttl_seconds is None else self.clock.now() + ttl_seconds
        entry = StateEntry(key, value, f"v{self.writes}", expires)
        self.rows[ns, key] = entry
        return entry

    async def delete(
        self,
        ns: Namespace,
        key: str,
        *,
        if_match: str | None,
        context: CallContext,  # noqa: ARG002  part of the port
    ) -> None:
        """Remove a key if the condition holds."""
        self._check(ns, key, if_match)
        await self.get(ns, key)
        del self.rows[ns, key]

    def _check(self, ns: Namespace, key: str, if_match: str | None) -> None:
        present = self.rows.get((ns, key))
        if if_match is None or (if_match == "*" and present is not None):
            return
        if present is None or present.etag != if_match:
            raise PreconditionFailed("the value is not the one named by If-Match")


@dataclass
class FakeSurroundings:
    """One database ``notes``, one root ``docs``, one model; health as it is set."""

    clock: Clock
    health_status: Status = Status.OK
    readiness: Readiness = field(default_factory=lambda: Readiness(ready=True))
    files: dict[str, str] = field(default_factory=lambda: {"readme.txt": "hello"})
    letters: FakeLetters = field(default_factory=FakeLetters)
    journal: FakeJournal = field(default_factory=FakeJournal)

    async def snapshot(
        self, principal: Principal, since: str | None
    ) -> Mapping[str, JsonValue]:
        """Return a pack whose signature is its tenant's name, hashed."""
        now = f"{self.clock.now():.3f}"
        return {
            "generated_at": since or now,
            "ttl_seconds": 120,
            "summary": "",
            "resources": [],
            "hot_facts": [],
            "token_count": 0,
            "freshness": "cached" if since else "fresh",
            "signature": sha256_hex(principal.tenant.encode()),
        }

    async def discover(self, principal: Principal) -> list[Resource]:
        """Return the tenant's one resource."""
        uri = f"cortex://{principal.tenant}/default"
        return [Resource("ns:default", "namespace", "default", uri)]

    async def databases(self) -> list[DatabaseInfo]:
        """Return the one database."""
        return [DatabaseInfo("notes", "sqlite", 1)]

    async def schema(self, name: str) -> DatabaseSchema:
        """Return its one table."""
        if name != "notes":
            raise NotFound("no database of that name is registered", database=name)
        table = Table(
            "note", (Column("id", "INTEGER", nullable=False, primary_key=True),)
        )
        return DatabaseSchema(name, (table,), "0" * 64, self.clock.now())

    async def sample(self, name: str, table: str, limit: int) -> DatabaseSample:
        """Return its one row."""
        await self.schema(name)
        if table != "note":
            raise NotFound("no such table in that database", database=name)
        return DatabaseSample(name, table, limit, ({"id": 1},), truncated=False)

    async def services(self) -> list[ServiceInfo]:
        """Return Cortex itself."""
        return [ServiceInfo("cortex", "http", "http://127.0.0.1:4949")]

    async def service_health(self) -> list[ServiceHealth]:
        """Return Cortex's own health."""
        return [ServiceHealth("cortex", self.health_status, 1.0, self.clock.now())]

    async def folder(self, root: str, path: str) -> FileListing:
        """Return the files of the one root."""
        self._check(root)
        entries = tuple(
            FileEntry(name, name, "file", len(text), self.clock.now())
            for name, text in self.files.items()
        )
        return FileListing(root, path, entries, truncated=False)

    async def read_text(self, root: str, path: str, num_bytes: int) -> FileText:
        """Return the beginning of a file."""
        self._check(root)
        text = self.files.get(path)
        if text is None:
            raise NotFound("no such file or folder below that root")
        cut = text[:num_bytes]
        return FileText(root, path, cut, len(text), len(cut), len(cut) < len(text))

    def _check(self, root: str) -> None:
        if root != "docs":
            raise NotFound("no root of that name is registered", root=root)

    async def models(self) -> list[LoadedModel]:
        """Return the one model."""
        return [LoadedModel(MODEL, loaded=True, active=True)]

    async def health(self) -> HealthReport:
        """Return the health that was set, as the database's."""
        error = "cannot be reached" if self.health_status is Status.UNHEALTHY else ""
        check = CheckResult(self.health_status, 0.5, error)
        return HealthReport(self.health_status, {"database": check})

    async def ready(self) -> Readiness:
        """Return the readiness that was set."""
        return self.readiness


@dataclass
class FakeWorld:
    """The fakes by name, for tests that look behind the edge, and their bundle."""

    memory: FakeMemory
    transfer: FakeTransfer
    sessions: FakeSessions
    state: FakeState
    surroundings: FakeSurroundings
    embedder: FakeEmbedder
    watched: FakeWatched
    use_cases: UseCases


def fake_world(clock: Clock, ids: IdSource) -> FakeWorld:
    """Return an empty world."""
    memory = FakeMemory(clock, ids)
    transfer, sessions = FakeTransfer(memory), FakeSessions(memory)
    state, contexts = FakeState(clock), FakeContexts(memory)
    around, watched = FakeSurroundings(clock), FakeWatched(clock, ids)
    embedder, reader = FakeEmbedder(), StandInReader()
    agents = _agents(memory, embedder)
    cases = UseCases(
        remember=memory.remember,
        get_memory=memory.get,
        update_memory=memory.update,
        list_memories=memory.page,
        forget=memory.forget,
        quarantine=memory.quarantine,
        release=memory.release,
        release_selected=memory.release_selected,
        search=memory.search,
        import_lines=transfer.import_lines,
        export_lines=transfer.export_lines,
        memory_stats=memory.stats,
        create_session=sessions.create,
        get_session=sessions.get,
        list_sessions=sessions.page,
        append_messages=sessions.append,
        get_state=state.get,
        put_state=state.put,
        delete_state=state.delete,
        build_context=contexts.build,
        optimize_context=contexts.optimize,
        snapshot=around.snapshot,
        discover=around.discover,
        vector_search=memory.vector_search,
        list_databases=around.databases,
        database_schema=around.schema,
        database_sample=around.sample,
        list_services=around.services,
        service_health=around.service_health,
        list_files=around.folder,
        read_text=around.read_text,
        models=around.models,
        inference=fake_control(clock, _unheard),
        embed=Embed(embedder, embedder.count_tokens),
        embed_media=EmbedMedia(reader, embedder, embedder.count_tokens, clock),
        remember_media=RememberMedia(reader, memory.remember),
        plan=MakePlan(agents, Planner(TermAnalyser()), _unheard, clock),
        reflect=Reflect(agents, Checker(TermAnalyser()), _unheard, clock),
        audit=Audit(LedgerRoom()),
        follow=_silence,
        past_events=PastEvents(around.journal),
        dead_letters=DeadLetters(around.letters, around.letters.redeliver),
        operations=watched.operations,
        configuration=fake_configuration(clock),
        usage=lambda _tenant: Usage({Measure.TOKENS: 0}, Quotas(), 1.0),
        observed=Observed(FakeHistory(), FakeTraces(), FakeErrors(), clock, FakeLogs()),
        health=around.health,
        ready=around.ready,
    )
    rooms = (memory, transfer, sessions, state, around, embedder, watched)
    return FakeWorld(*rooms, cases)


def _agents(memory: FakeMemory, embedder: FakeEmbedder) -> AgentMemory:
    return AgentMemory(
        memory.search, memory.remember, memory.get, memory.page, embedder
    )


def _unheard(
    type_: str,
    namespace: Namespace,
    data: Mapping[str, JsonValue],
    context: CallContext,
) -> None:
    """Announce to nobody."""
    del type_, namespace, data, context


async def _silence(
    principal: Principal,
    last_event_id: str | None,
    types: Collection[str] | None,
    /,
) -> AsyncIterator[Event | None]:
    """Open a stream in which nothing happens."""
    del principal, last_event_id, types
    yield None
