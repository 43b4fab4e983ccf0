"""What observes a process: its tracer, and the file that history is kept in."""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random  # noqa: TID251  this is the composition root

import httpx

import cortex
from cortex.app import Loop, opened
from cortex.bootstrap.tools import Tools
from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError
from cortex.foundation.lifecycle import Component
from cortex.settings import Settings
from cortex.storage.migrations import load_migrations
from cortex.storage.observations.errors import SqliteErrors
from cortex.storage.observations.series import SqliteHistory
from cortex.storage.observations.traces import SqliteTraces
from cortex.storage.sqlite import Database, DatabaseOptions
from cortex.telemetry.dsn import parse_dsn
from cortex.telemetry.history.model import Run
from cortex.telemetry.history.sampler import Sampler
from cortex.telemetry.host import HostCollector, LoopLag
from cortex.telemetry.log_files import LogFiles
from cortex.telemetry.log_search import LogSearch
from cortex.telemetry.logs import Logger
from cortex.telemetry.metrics import Metrics
from cortex.telemetry.observations import Observations
from cortex.telemetry.sentry import Origin, SentrySender, Told
from cortex.telemetry.tracing.export import ExportQueue
from cortex.telemetry.tracing.model import Attribute
from cortex.telemetry.tracing.otlp import OtlpExporter
from cortex.telemetry.tracing.sampling import Sampling
from cortex.telemetry.tracing.tracer import Tracer
from cortex.telemetry.workers import Fleet
from cortex.usecases.observed import Observed

FILE = "telemetry.db"
LOGS_FOLDER = "logs"
MEGABYTE = 1_000_000

EXPORT_SECONDS_MAX = 5.0
"""How long a collector may take for a whole answer; it gets the same again later."""

LAST_SECONDS = 2.0
"""How long a stop waits for the last errors, and the last traces, to be sent."""

LOG_SECONDS = 0.05
"""How long a line may wait for others: what kill -9 costs of standard error."""

EVENT_ID_BYTES = 16

READER_THREADS = 1
"""Few read history, and none of them is in a hurry."""

OPTIONS = DatabaseOptions(
    synchronous="NORMAL", secure_delete=False, reader_threads=READER_THREADS
)
"""A power cut may cost the last seconds of history; it holds no content to erase."""


def sampling_of(settings: Settings) -> Sampling:
    """Return which traces are kept."""
    trace = settings.trace
    return Sampling(
        enabled=trace.enabled, ratio=trace.ratio, slow_seconds=trace.slow_ms / 1000
    )


def log_files(settings: Settings, clock: Clock) -> LogFiles | None:
    """Return what keeps log lines; None where none are to be kept."""
    kept = settings.trace.log_mb * MEGABYTE
    return LogFiles(settings.home_folder / LOGS_FOLDER, kept, clock) if kept else None


def tracer(settings: Settings, clock: Clock) -> Tracer:
    """Return what begins the traces of this process."""
    sampling = sampling_of(settings)
    # Ids of traces are to be unique, not secret; a worker must not repeat another's.
    source = Random(secrets.randbits(128))  # noqa: S311
    return Tracer(clock, source.getrandbits, sampling)


class Observing:
    """History of one home, and what writes it beside requests."""

    def __init__(self, settings: Settings, tools: Tools) -> None:
        """Nothing is opened yet."""
        clock = tools.clock
        self._tools = tools
        self._gathers = settings.json_logs
        self._database = Database(
            settings.home_folder / FILE,
            clock=clock,
            options=OPTIONS,
            migrations=load_migrations("cortex.storage.observations"),
        )
        self.history = SqliteHistory(self._database, clock)
        traces, errors = (
            SqliteTraces(self._database, clock),
            SqliteErrors(self._database),
        )
        logs = LogSearch(settings.home_folder / LOGS_FOLDER)
        self.observed = Observed(self.history, traces, errors, clock, logs)
        self._http = httpx.AsyncClient(timeout=EXPORT_SECONDS_MAX)
        self._sentry = self._sender(settings)
        self._exports = self._queue(settings)
        self._observations = Observations(
            tools.tracer,
            tools.errors,
            traces,
            errors,
            clock,
            tools.metrics,
            None if self._exports is None else self._exports.offer,
            None if self._sentry is None else self._sentry.offer,
        )
        self._lag = LoopLag(clock, self._came_late)
        tools.metrics.registry.register(HostCollector(settings.home_folder))
        now = clock.now()
        self._sampler = Sampler(
            self.history,
            tools.exposition.collect,
            clock=clock,
            run=_run_of(tools.fleet, now),
        )

    def _came_late(self, seconds: float) -> None:
        """Tell of a late event loop, and work on less at once while it is."""
        self._tools.metrics.loop_lag.observe(seconds)
        if self._tools.lines is not None:
            self._tools.lines.feel(seconds)

    def components(self) -> tuple[Component, ...]:
        """Return the parts in the order they start."""
        return (
            *self._log_files(),
            # After the files: lines that wait at the end are made before they close.
            opened("log-lines", self._gather, self._write_at_once),
            opened("observations", self._open, self._database.close),
            opened("senders", _nothing, self._http.aclose),
            opened("last-traces", _nothing, self._export_last),
            opened("last-errors", _nothing, self._send_last),
            opened("last-observations", _nothing, self._flush),
            self._loop("metrics-history", self._sampler.run),
            self._loop("observations", self._observations.run),
            self._loop("event-loop-lag", self._lag.run),
            *self._workers(),
            *self._reporting(),
        )

    def _queue(self, settings: Settings) -> ExportQueue | None:
        """Return what sends kept traces to a collector; None where none is named."""
        endpoint = settings.trace.otlp_endpoint
        if not endpoint:
            return None
        resource: dict[str, Attribute] = {
            "service.name": "cortex",
            "service.version": cortex.__version__,
            "service.instance.id": str(os.getpid()),
            "cortex.brand": settings.brand,
        }
        exporter = OtlpExporter(endpoint, resource, self._post)
        told = _Exported(self._tools.metrics, self._tools.log, exporter.url)
        return ExportQueue(exporter, told, self._tools.clock)

    async def _post(
        self, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, str]:
        told = await self._tell(url, body, headers)
        return told.status, told.headers.get("retry-after", "")

    def _sender(self, settings: Settings) -> SentrySender | None:
        """Return what sends errors to Sentry; None where no project is named."""
        if settings.sentry_dsn is None:
            return None
        return SentrySender(
            parse_dsn(settings.sentry_dsn.get_secret_value()),
            Origin(cortex.__version__, settings.env.value),
            self._tell,
            self._tools.clock,
            lambda: secrets.token_hex(EVENT_ID_BYTES),
        )

    async def _tell(self, url: str, body: bytes, headers: Mapping[str, str]) -> Told:
        """Send an envelope; nobody reads what the answer holds."""
        sent = self._http.stream("POST", url, content=body, headers=dict(headers))
        try:
            async with asyncio.timeout(EXPORT_SECONDS_MAX), sent as answer:
                return Told(answer.status_code, dict(answer.headers))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ConnectionError(type(error).__name__) from error

    def _reporting(self) -> tuple[Component, ...]:
        senders = {"error-report": self._sentry, "trace-export": self._exports}
        return tuple(
            self._loop(name, sender.run)
            for name, sender in senders.items()
            if sender is not None
        )

    async def _send_last(self) -> None:
        if self._sentry is None:
            return
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self._sentry.flush()
        except TimeoutError:
            self._tools.log.warning("errors not sent", to="sentry")

    async def _export_last(self) -> None:
        if self._exports is None:
            return
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self._exports.flush()
        except TimeoutError:
            self._tools.log.warning("traces not sent", to="collector")

    def _log_files(self) -> tuple[Component, ...]:
        files = self._tools.log_files
        if files is None:
            return ()
        return (
            opened("last-log-lines", _nothing, files.flush),
            self._loop("log-files", files.run),
        )

    def _workers(self) -> tuple[Component, ...]:
        workers = self._tools.workers
        if workers is None:
            return ()
        return (opened("worker-metrics", workers.open, workers.close),)

    async def _gather(self) -> None:
        """Let lines of requests wait for company, unless a person reads them."""
        if self._gathers:
            self._tools.log.gather(LOG_SECONDS)

    async def _write_at_once(self) -> None:
        self._tools.log.gather(0)

    def _loop(self, name: str, run: Callable[[], Awaitable[None]]) -> Component:
        return Loop(name, run, self._tools.clock, self._tools.log).component()

    async def _flush(self) -> None:
        """Write what the last seconds left; a file that is not there takes nothing."""
        try:
            await self._observations.flush()
        except CortexError as error:
            self._tools.log.warning("observations lost", reason=str(error))

    async def _open(self) -> None:
        """Open the file; without it the server serves, and says so in the log."""
        try:
            await self._database.open()
        except CortexError as error:
            self._tools.log.warning("no history", file=FILE, reason=str(error))


@dataclass(frozen=True, slots=True)
class _Exported:
    """Counts and tells how the export of traces goes."""

    metrics: Metrics
    log: Logger
    url: str

    def spans(self, outcome: str, count: int) -> None:
        self.metrics.spans_exported.labels(outcome).inc(count)

    def trouble(self, reason: str) -> None:
        if reason:
            self.log.warning("traces not sent", to=self.url, reason=reason)
        else:
            self.log.info("traces sent again", to=self.url)


def _run_of(fleet: Fleet | None, now: float) -> Run:
    """Name this life of the counters: all workers of a server live one."""
    if fleet is None:
        return Run(f"{os.getpid()}@{now}", now)
    return Run(fleet.folder.name, fleet.started_at)


async def _nothing() -> None:
    """Start a part that needs no starting."""
