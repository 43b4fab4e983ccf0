"""One process: its application, its sockets and its end."""

import asyncio
import errno
import multiprocessing
import os
import signal
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeAlias

import uvicorn
import uvloop

import cortex
from cortex.app import App, Phase
from cortex.bootstrap.doors import Entrance, protected_resources, tls_files
from cortex.bootstrap.keys import prepare_home
from cortex.bootstrap.mcp import MCP_PATH, LazyMcp
from cortex.bootstrap.observing import log_files, tracer
from cortex.bootstrap.rooms import compose
from cortex.bootstrap.tools import Tools
from cortex.bootstrap.tuning import LIBRARIES
from cortex.foundation.clock import Clock, SystemClock
from cortex.foundation.errors import CortexError, ValidationError
from cortex.foundation.garbage import settle_collector
from cortex.foundation.ids import Uuid7Source
from cortex.foundation.reclaim import bound_pools
from cortex.memory.ranking import RankingConfig
from cortex.security.intrusion import Watch
from cortex.security.mtls import server_context
from cortex.service import dashboard
from cortex.service.http.app import create_app
from cortex.service.http.forwarded import Proxies
from cortex.service.http.lines import Lines
from cortex.service.http.options import Edge, HttpOptions
from cortex.service.http.server import KEEP_ALIVE_SECONDS, Server, listen, listeners
from cortex.service.http.slow_requests import PatientProtocol
from cortex.service.http.workers import REFUSED, Flag, Supervisor
from cortex.settings import (
    ConfigurationError,
    Loaded,
    Settings,
    fetch_secrets,
    load_with_secrets,
)
from cortex.telemetry.errors import ErrorCollector
from cortex.telemetry.exposition import Exposition, encode
from cortex.telemetry.logs import LogOptions, build_logger, route_stdlib
from cortex.telemetry.metrics import Metrics
from cortex.telemetry.workers import Fleet, Workers

TlsFactory: TypeAlias = Callable[
    [uvicorn.Config, Callable[[], ssl.SSLContext]], ssl.SSLContext
]

EXIT_OK = 0
EXIT_FAILED = 1


def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    ranking: RankingConfig | None = None,
) -> App:
    """Return Cortex without an edge: for embedding, benchmarks and tests.

    Raises:
        ConfigurationError: the settings do not allow a start.
        CortexError: a part cannot be made, such as a model that does not load.
    """
    settings = fetch_secrets(settings)
    loaded = Loaded(settings, {})
    return _build(loaded, clock or SystemClock(), ranking or RankingConfig())[0]


def build_edge(
    given: Settings | Loaded, *, clock: Clock | None = None, fleet: Fleet | None = None
) -> tuple[App, uvicorn.Config]:
    """Return Cortex and the server configuration of its HTTP edge.

    ``fleet`` names the other worker processes of the same server, if there are any.
    """
    time = clock or SystemClock()
    loaded = given if isinstance(given, Loaded) else Loaded(given, {})
    settings = fetch_secrets(loaded.settings)
    loaded = replace(loaded, settings=settings)
    app, tools, entrance = _build(loaded, time, RankingConfig(), fleet)
    edge = Edge(
        use_cases=app.use_cases,
        doors=entrance.doors,
        authorization=entrance.authorization,
        clock=time,
        ids=tools.ids,
        metrics=tools.metrics,
        meters=tools.meters,
        tracer=tools.tracer,
        exposition=tools.exposition,
        log=tools.log,
        state=lambda: app.phase.state.value,
        tokens=entrance.tokens,
        rates=entrance.rates,
        rate=entrance.rate,
        lines=tools.lines,
        carried={
            MCP_PATH: LazyMcp(
                app.use_cases, settings.max_token_budget, tools.metrics, tools.log
            )
        },
        pages=dashboard.pages(),
    )
    options = HttpOptions(
        brand=settings.brand,
        version=cortex.__version__,
        rate=entrance.rate(),
        max_token_budget=settings.max_token_budget,
        proxies=Proxies.of(settings.trusted_proxies, settings.forwarded_header.value),
        resources=protected_resources(settings, (MCP_PATH,)),
    )
    route_stdlib(tools.log, settings.log_level.value, *LIBRARIES)
    # Below warnings the SDK tells of each request, which the access log does already.
    route_stdlib(tools.log, "warning", "mcp")
    config = uvicorn.Config(
        create_app(edge, options),
        ssl_context_factory=_tls(settings),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the Forwarding layer reads them, from our proxies only
        http=PatientProtocol,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=round(settings.drain_seconds),
    )
    return app, config


def serve(overrides: Mapping[str, object]) -> int:
    """Serve until stopped; return 0 after a clean stop and 1 when it cannot start.

    Args:
        overrides: settings from the command line, and ``reload``.
    """
    given = dict(overrides)
    reload = bool(given.pop("reload", False))
    try:
        loaded = load_with_secrets(given)
        settings = loaded.settings
        settings.check()
        prepare_home(settings)
        bound = listen(settings.host, settings.port)
    except (CortexError, OSError) as error:
        return _refused(error)
    host, port = bound.getsockname()[:2]
    scheme = "http" if settings.tls.certificate is None else "https"
    print(f"Cortex {cortex.__version__} on {scheme}://{host}:{port}", file=sys.stderr)  # noqa: T201
    if not settings.has_credentials and not settings.open_access:
        print("cortex: no tokens are set; every call will be refused", file=sys.stderr)  # noqa: T201
    if settings.workers == 1 and not reload:
        return _run(loaded, bound)
    # Not below the home: names of sockets must be short.
    with tempfile.TemporaryDirectory(prefix="cortex-") as folder:
        fleet = Fleet(Path(folder), SystemClock().now())
        signs = Signs()
        supervisor = Supervisor(
            partial(_child, given, bound, fleet, signs),
            signs.served,
            workers=settings.workers,
            drain_seconds=settings.drain_seconds,
            watched=Path(cortex.__file__).parent if reload else None,
        )
        return supervisor.run()


def _build(
    loaded: Loaded,
    clock: Clock,
    ranking: RankingConfig,
    fleet: Fleet | None = None,
) -> tuple[App, Tools, Entrance]:
    settings = loaded.settings
    settings.check()
    prepare_home(settings)
    errors = ErrorCollector(clock)
    files = log_files(settings, clock)
    log = build_logger(
        LogOptions(
            level=settings.log_level.value,
            json=settings.json_logs,
            brand=settings.brand,
            version=cortex.__version__,
        ),
        clock,
        on_error=errors.caught,
        keep=None if files is None else files.keep,
    )
    metrics = Metrics(brand=settings.brand, version=cortex.__version__)
    workers = None
    if fleet is not None:
        collect = metrics.registry.collect
        workers = Workers(fleet.folder, lambda: encode(collect()))
    tools = Tools(
        clock=clock,
        ids=Uuid7Source(clock),
        log=log,
        log_files=files,
        metrics=metrics,
        tracer=tracer(settings, clock),
        errors=errors,
        exposition=Exposition(
            metrics.registry, None if workers is None else workers.others
        ),
        workers=workers,
        fleet=fleet,
        phase=Phase(),
        watch=Watch(clock),
        lines=Lines(),
        sources=loaded.sources,
    )
    app, entrance = compose(settings, tools, ranking)
    return app, tools, entrance


def _tls(settings: Settings) -> TlsFactory | None:
    """Return what makes the TLS context; None serves HTTP."""
    files = tls_files(settings)
    if files is None:
        return None
    return lambda _config, _default: server_context(files)


def _run(loaded: Loaded, bound: socket.socket) -> int:
    try:
        _work(loaded, bound)
    except (CortexError, OSError) as error:
        return _refused(error)
    return EXIT_OK


def _work(
    loaded: Loaded,
    bound: socket.socket,
    fleet: Fleet | None = None,
    begun: Callable[[], None] | None = None,
) -> None:
    bound_pools()
    app, config = build_edge(loaded, fleet=fleet)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(app, config, bound, begun))


async def _serve(
    app: App,
    config: uvicorn.Config,
    bound: socket.socket,
    begun: Callable[[], None] | None,
) -> None:
    async with app.running():
        settle_collector()
        server = Server(config, app.drain)
        if begun is not None:
            begun()
        await server.serve(sockets=listeners(bound))


class Signs:
    """What worker processes tell their parent, and one another."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        context = multiprocessing.get_context("spawn")
        self.served = Flag(context)
        self._ever = Flag(context)
        self._word = context.Semaphore()

    def begun(self) -> None:
        """Tell that this worker begins to serve."""
        self._ever.set()
        self.served.set()

    def may_complain(self) -> bool:
        """Return whether to say why this one cannot start.

        At the start all have the same reason, and one says it.
        """
        return self._ever.is_set() or self._word.acquire(block=False)


def _child(
    overrides: Mapping[str, object], bound: socket.socket, fleet: Fleet, signs: Signs
) -> BaseProcess:
    context = multiprocessing.get_context("spawn")
    given = (dict(overrides), bound, fleet, signs)
    return context.Process(target=_child_main, args=given)


def _child_main(
    overrides: dict[str, object], bound: socket.socket, fleet: Fleet, signs: Signs
) -> None:
    # Ctrl-C reaches the whole process group; the parent hands it on once, as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    try:
        _work(load_with_secrets(overrides), bound, fleet, signs.begun)
    except (CortexError, OSError) as error:
        if signs.may_complain():
            _refused(error)
        # What is set wrongly stays wrong; a disk or a lock may be free next time.
        is_final = isinstance(error, ConfigurationError | ValidationError)
        sys.exit(REFUSED if is_final else EXIT_FAILED)
    sys.exit(EXIT_OK)


def _end_with_parent() -> None:
    """Stop as on SIGTERM when the supervisor is gone: killed, it could tell nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _refused(error: Exception) -> int:
    reason = str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        reason = (
            "no space is left on the disk of CORTEX_HOME: free some, and start again"
        )
    print(f"cortex: {reason}", file=sys.stderr)  # noqa: T201
    return EXIT_FAILED
