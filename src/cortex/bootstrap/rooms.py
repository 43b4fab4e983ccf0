"""Ties the rooms together: stores, models, journeys and background work."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpx

from cortex.agents.checking import Checker
from cortex.agents.planning import Planner
from cortex.app import App, Loop, nothing, opened
from cortex.bootstrap.checks import CheckedParts, health_of
from cortex.bootstrap.doors import Entrance
from cortex.bootstrap.figures import Figures
from cortex.bootstrap.housekeeping import cleaning, housekeeping, leftovers
from cortex.bootstrap.inference import InferenceRoom, open_inference
from cortex.bootstrap.keys import signing_key
from cortex.bootstrap.language import open_language
from cortex.bootstrap.limits import open_meter
from cortex.bootstrap.media import media_components, open_media
from cortex.bootstrap.observing import Observing
from cortex.bootstrap.promises import Promises
from cortex.bootstrap.stores import Stores, open_stores
from cortex.bootstrap.tools import Tools
from cortex.bootstrap.trust import Trust
from cortex.bootstrap.tuning import Tuned, open_configuration, packs_of
from cortex.foundation.dial import Dial
from cortex.foundation.leftovers import Leftovers
from cortex.foundation.lifecycle import Component
from cortex.inference.generation import Generation
from cortex.inference.media.stand_in import StandInReader
from cortex.inference.media.workers import MediaWorkers
from cortex.inference.text import TextEmbedding
from cortex.inference.tokens.counters import Counters
from cortex.memory.compression import Message, summarise
from cortex.memory.ranking import RankingConfig
from cortex.memory.state import HotState
from cortex.memory.terms import TermAnalyser
from cortex.operations.health_changes import HealthChanges, HealthStore
from cortex.operations.quotas import Meter
from cortex.security.signing import PackSigner
from cortex.settings import Settings
from cortex.storage.inspection import SqliteInspector
from cortex.usecases.agent_memory import AgentMemory
from cortex.usecases.announcing import Announcer
from cortex.usecases.asking import Asking
from cortex.usecases.build_context import BuildContext
from cortex.usecases.catalog import UseCases
from cortex.usecases.catch_up import CatchUp
from cortex.usecases.configuration import Configuration
from cortex.usecases.conversations import Conversations
from cortex.usecases.counting import counted
from cortex.usecases.databases import Databases
from cortex.usecases.discover import Discover
from cortex.usecases.embed import Embed
from cortex.usecases.files import Files
from cortex.usecases.forget import Forget
from cortex.usecases.health import Health, Ready
from cortex.usecases.health_watch import HealthWatch
from cortex.usecases.hot_facts import HotFacts
from cortex.usecases.inference_control import (
    InferenceControl,
    InferenceParts,
    SwitchHeard,
)
from cortex.usecases.listing import ListMemories, MemoryStatistics
from cortex.usecases.media import EmbedMedia, RememberMedia
from cortex.usecases.metering import metered, metered_remember
from cortex.usecases.model import ServiceInfo
from cortex.usecases.models import Models
from cortex.usecases.optimize_context import OptimizeContext
from cortex.usecases.plan import MakePlan
from cortex.usecases.preparing import Preparing
from cortex.usecases.quarantine import (
    QuarantineMemories,
    ReleaseMemories,
    ReleaseMemory,
)
from cortex.usecases.reflect import Reflect
from cortex.usecases.remember import Remember, UpdateMemory
from cortex.usecases.retelling import Retelling
from cortex.usecases.search import Search, VectorSearch
from cortex.usecases.services import Services
from cortex.usecases.shelf import PackShelf
from cortex.usecases.shortening import Shortening
from cortex.usecases.snapshot import Snapshot, SnapshotOptions, SnapshotSources
from cortex.usecases.state import State
from cortex.usecases.tracing import traced
from cortex.usecases.transfer import ExportLines, ImportLines

PING_SECONDS_MAX = 1.5
"""A known service that takes longer counts as down."""

OWN_DATABASE = "cortex"

SNAPSHOT_MODEL = "gpt-4o"
"""Model whose tokens a context pack is counted in: o200k, the commonest today."""


@dataclass(frozen=True, slots=True)
class _Rooms:
    """What the journeys are made of."""

    meter: Meter
    settings: Settings
    tools: Tools
    stores: Stores
    inference: InferenceRoom
    media: MediaWorkers | StandInReader
    counters: Counters
    announcer: Announcer
    trust: Trust
    observing: Observing
    language: Generation | None
    promises: Promises
    health: Health
    configuration: Configuration
    packs: Dial[SnapshotOptions]
    leftovers: Leftovers

    @property
    def embedder(self) -> TextEmbedding:
        return self.inference.embedding

    @property
    def preparing(self) -> Preparing:
        return Preparing(
            self.embedder, self.stores.analyser, self.embedder.count_tokens
        )

    @property
    def remembering(self) -> Remember:
        return Remember(self.stores.memories, self.preparing)

    @property
    def building(self) -> BuildContext:
        memories = self.stores.memories
        return BuildContext(
            self.search, memories, self.counters, self.announcer, self.shortening
        )

    @property
    def optimizing(self) -> OptimizeContext:
        return OptimizeContext(self.counters, self.tools.clock, self.shortening)

    @property
    def asking(self) -> Asking | None:
        if self.language is None:
            return None
        keeps = self.settings.llm.record_content
        record = self.trust.audit.record if keeps else None
        return Asking(self.language, self.announcer, record)

    @property
    def shortening(self) -> Shortening:
        asking = self.asking
        return Shortening(None if asking is None else Retelling(asking))

    @property
    def search(self) -> Search:
        queries = self.inference.queries
        return Search(self.stores.recall, queries, thrift=queries)


def compose(
    settings: Settings, tools: Tools, ranking: RankingConfig
) -> tuple[App, Entrance]:
    """Return the whole, ready to be started."""
    stores = open_stores(settings, tools, ranking)
    counters = Counters(tools.clock)
    announcer = Announcer(stores.database, clock=tools.clock, ids=tools.ids)
    observing = Observing(settings, tools)
    meter, metering = open_meter(settings, stores.database, tools.clock, tools.log)
    inference = open_inference(settings, counters, tools)
    trust = Trust(settings, stores, tools, announcer.tell)
    promises = Promises(settings, stores, tools, observing.history)
    entrance = Entrance(
        settings, stores, clock=tools.clock, ids=tools.ids, watch=tools.watch
    )
    packs = Dial(packs_of(settings))
    tuned = Tuned(tools, entrance.rate, meter, packs, inference.power, promises)
    configuration = open_configuration(settings, stores.database, tuned)
    parts = CheckedParts(
        stores,
        inference.embedding,
        trust,
        promises,
        tools.watch,
        configuration,
        tools.lines,
        tools.clock,
    )
    rooms = _Rooms(
        meter=meter,
        settings=settings,
        tools=tools,
        stores=stores,
        inference=inference,
        media=open_media(settings, tools),
        counters=counters,
        announcer=announcer,
        trust=trust,
        observing=observing,
        language=open_language(settings, counters, tools.clock, tools.metrics),
        promises=promises,
        health=health_of(parts, settings.home_folder, tools.clock),
        configuration=configuration,
        packs=packs,
        leftovers=leftovers(settings, tools.clock),
    )
    tools.metrics.models.read = lambda: inference.sample(rooms.media.status())
    inference.power.changed = SwitchHeard(tools.log.info, announcer.tell, tools.ids)
    use_cases = metered(_use_cases(rooms), meter)
    app = App(
        traced(counted(use_cases, tools.metrics)),
        (*_components(rooms), *metering, *entrance.components(tools.log)),
        phase=tools.phase,
        clock=tools.clock,
        drain_seconds=settings.drain_seconds,
        on_drain=rooms.trust.follow.stop,
    )
    return app, entrance


def _use_cases(rooms: _Rooms) -> UseCases:
    stores, health, preparing = rooms.stores, rooms.health, rooms.preparing
    state, search = State(HotState(stores.values), rooms.announcer), rooms.search
    listing, remember = ListMemories(stores.memories), rooms.remembering
    plan, reflect = _agents(rooms, search, remember, listing)
    databases, files = _databases(rooms), Files(rooms.settings.fs_roots)
    models, services = _models(rooms), _services(rooms, health)
    discover = Discover(stores.memories, databases, files, services, models)
    snapshot = _snapshot(rooms, discover)
    sessions = Conversations(stores.sessions, preparing)
    return UseCases(
        remember=remember,
        get_memory=stores.memories.get,
        update_memory=UpdateMemory(stores.memories, preparing, snapshot.invalidate),
        list_memories=listing,
        forget=Forget(stores.memories, snapshot.invalidate, rooms.trust.audit.shred),
        quarantine=QuarantineMemories(stores.memories, snapshot.invalidate),
        release=ReleaseMemory(stores.memories, snapshot.invalidate),
        release_selected=ReleaseMemories(stores.memories, snapshot.invalidate),
        search=search,
        import_lines=ImportLines(stores.memories, stores.sessions, preparing),
        export_lines=ExportLines(stores.memories, stores.sessions),
        memory_stats=MemoryStatistics(stores.memories),
        create_session=sessions.create,
        get_session=sessions.get,
        list_sessions=sessions.page,
        append_messages=sessions.append,
        get_state=state.get,
        put_state=state.put,
        delete_state=state.delete,
        build_context=rooms.building,
        optimize_context=rooms.optimizing,
        snapshot=snapshot,
        discover=discover,
        vector_search=VectorSearch(search, rooms.tools.clock),
        list_databases=databases.list,
        database_schema=databases.schema,
        database_sample=databases.sample,
        list_services=services.known,
        service_health=services.check,
        list_files=files.list,
        read_text=files.read_text,
        models=models,
        inference=_inference_control(rooms),
        embed=Embed(rooms.embedder, rooms.embedder.count_tokens),
        embed_media=_embed_media(rooms),
        remember_media=RememberMedia(rooms.media, remember),
        plan=plan,
        reflect=reflect,
        audit=rooms.trust.audit,
        follow=rooms.trust.follow,
        past_events=rooms.trust.past_events,
        dead_letters=rooms.trust.dead_letters,
        observed=rooms.observing.observed,
        operations=rooms.promises.operations,
        configuration=rooms.configuration,
        usage=rooms.meter.usage,
        health=health,
        ready=Ready(lambda: rooms.tools.phase.state.value, health),
    )


def _agents(
    rooms: _Rooms, search: Search, remember: Remember, listing: ListMemories
) -> tuple[MakePlan, Reflect]:
    stores, tell, clock = rooms.stores, rooms.announcer, rooms.tools.clock
    keep = metered_remember(remember, rooms.meter)
    memory = AgentMemory(search, keep, stores.memories.get, listing, rooms.embedder)
    asking = rooms.asking
    planner, checker = Planner(stores.analyser), Checker(stores.analyser)
    return (
        MakePlan(memory, planner, tell, clock, asking),
        Reflect(memory, checker, tell, clock, asking),
    )


def _models(rooms: _Rooms) -> Models:
    embedder, engine = rooms.embedder, rooms.inference.engine
    return Models(
        embedder, embedder.stats, lambda: [*engine.status(), *rooms.media.status()]
    )


def _inference_control(rooms: _Rooms) -> InferenceControl:
    room = rooms.inference
    parts = InferenceParts(
        engine=room.engine,
        pool=room.pool.status,
        apply=room.pool.apply,
        power=lambda: room.power.status,
        switch=room.power.switch,
        housekeeping=lambda: housekeeping(rooms.leftovers),
    )
    return InferenceControl(parts, rooms.announcer)


def _components(rooms: _Rooms) -> tuple[Component, ...]:
    """Return the parts in the order they start; they stop in reverse."""
    stores, tools = rooms.stores, rooms.tools
    catch_up = CatchUp(stores.memories, rooms.preparing, tools.clock)
    loops = {
        "health": _health_watch(rooms).run,
        "announcer": rooms.announcer.run,
        "figures": Figures(tools.metrics, stores, rooms.trust, tools.clock).run,
        "inference-workers": rooms.inference.pool.run,
        "power": rooms.inference.power.run,
        "embedder-revival": rooms.inference.revival.run,
        "leftovers": cleaning(rooms.leftovers, tools.clock),
        "catch-up": catch_up.run,
        "shards": stores.shards.run,
        "upkeep": stores.upkeep.run,
        "runtime-settings": rooms.configuration.run,
    }
    return (
        *stores.components,
        opened("inference", _nothing, rooms.inference.close),
        *media_components(rooms.media, tools),
        opened("language", _nothing, _closing(rooms.language)),
        opened("counters", _nothing, _later(rooms.counters.close)),
        *rooms.observing.components(),
        *rooms.trust.components(),
        *rooms.promises.components(),
        opened("runtime-settings", rooms.configuration.open, nothing),
        opened("announcements", _nothing, rooms.announcer.flush),
        *(Loop(n, run, tools.clock, tools.log).component() for n, run in loops.items()),
    )


def _health_watch(rooms: _Rooms) -> HealthWatch:
    clock, store = rooms.tools.clock, HealthStore(rooms.stores.database)
    changes = HealthChanges(store, clock=clock, ids=rooms.tools.ids)
    return HealthWatch(rooms.health, changes, clock, rooms.promises.leads)


def _embed_media(rooms: _Rooms) -> EmbedMedia:
    embedder = rooms.embedder
    return EmbedMedia(rooms.media, embedder, embedder.count_tokens, rooms.tools.clock)


def _closing(language: Generation | None) -> Callable[[], Awaitable[None]]:
    return _nothing if language is None else language.close


def _later(close: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        close()

    return run


async def _nothing() -> None:
    """Start a part that needs no starting."""


def _snapshot(rooms: _Rooms, discover: Discover) -> Snapshot:
    stores, settings = rooms.stores, rooms.settings

    def count(text: str) -> int:
        return rooms.counters.for_model(SNAPSHOT_MODEL).count(text)

    def summarised(texts: Sequence[str], budget: int) -> str:
        messages = [Message(str(n), "", text) for n, text in enumerate(texts)]
        return summarise(messages, budget, count, TermAnalyser()).text

    return Snapshot(
        SnapshotSources(
            facts=HotFacts(stores.memories),
            resources=discover,
            summarise=summarised,
            count_tokens=count,
        ),
        shelf=PackShelf(stores.durable_values),
        signer=PackSigner(signing_key(settings)),
        clock=rooms.tools.clock,
        options=rooms.packs,
    )


def _databases(rooms: _Rooms) -> Databases:
    files = {OWN_DATABASE: rooms.settings.database_file, **rooms.settings.databases}
    return Databases(
        {name: SqliteInspector(path.expanduser()) for name, path in files.items()},
        schema_only=frozenset({OWN_DATABASE}),
        clock=rooms.tools.clock,
    )


def _services(rooms: _Rooms, health: Health) -> Services:
    settings = rooms.settings
    own = ServiceInfo("cortex", "http", f"http://{settings.host}:{settings.port}")
    return Services(own, health, settings.services, ping=_ping, clock=rooms.tools.clock)


async def _ping(url: str) -> None:
    """Ask a service; anything but a success is a ``ConnectionError``."""
    try:
        async with httpx.AsyncClient(timeout=PING_SECONDS_MAX) as client:
            answer = await client.get(url)
    except httpx.TimeoutException as error:
        raise TimeoutError(f"no answer within {PING_SECONDS_MAX} s") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConnectionError(type(error).__name__) from error
    if answer.is_error:
        raise ConnectionError(f"answered {answer.status_code}")
