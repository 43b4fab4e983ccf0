"""What ``cortex doctor`` looks at; each check is a function that returns a finding."""

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import httpx

import cortex
from cortex.cli.command import START_HINT
from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import CortexError, ValidationError
from cortex.foundation.garbage import THRESHOLDS
from cortex.inference.backends.bundled import open_bundled
from cortex.settings import Environment, Settings, load_with_secrets
from cortex.storage.sqlite import Database
from cortex.telemetry.dsn import parse_dsn
from cortex.telemetry.sentry import Origin, headers
from cortex.telemetry.tracing.otlp import PATH as OTLP_PATH
from cortex_client import CortexClientSync
from cortex_client.errors import ConnectionError as NoAnswer
from cortex_client.errors import CortexError as ClientError

PYTHON_MIN = (3, 11)
FREE_BYTES_MIN = 100 * 1024**2
"""Less room than this and the first import may fill the disk."""

FREE_BYTES_COMFORT = 1024**3
"""Less than this deserves a warning: 100 000 memories take about 400 MB."""

WORKER_MB = 110
"""Resident memory of one worker process with the bundled model."""

RESIDENT_MB_MAX = 3 * 1024
"""An instance that takes more than this has a leak, or far too many memories."""

ANSWER_SECONDS_MAX = 2.0
"""How long the port may take to say who it is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: ``status`` is ok, warn or fail."""

    name: str
    status: str
    detail: str
    hint: str = ""


def examine(url: str | None) -> list[Finding]:
    """Run every check that can run; broken settings leave out what needs them."""
    findings = [check_python()]
    try:
        settings = load_with_secrets().settings
    except CortexError as error:
        return [*findings, Finding("settings", "fail", error.message, error.hint)]
    checks: tuple[Callable[[], Finding], ...] = (
        lambda: check_settings(settings),
        lambda: check_home(settings.home_folder),
        lambda: check_disk(settings.home_folder),
        lambda: check_sqlite(settings.home_folder),
        check_model,
        lambda: check_memory(settings),
        lambda: check_server(url or _address(settings), wanted=url is not None),
        lambda: check_housekeeping(url or _address(settings)),
    )
    findings += [check() for check in checks]
    if settings.sentry_dsn is not None:
        findings.append(check_sentry(settings.sentry_dsn.get_secret_value()))
    if settings.trace.otlp_endpoint:
        findings.append(check_collector(settings.trace.otlp_endpoint))
    return findings


def check_python() -> Finding:
    """Is this Python new enough?"""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < PYTHON_MIN:
        return Finding("python", "fail", version, "Install Python 3.11 or newer.")
    return Finding("python", "ok", version)


def check_settings(settings: Settings) -> Finding:
    """Would a server start, and who could call it?"""
    try:
        settings.check()
    except CortexError as error:
        return Finding("settings", "fail", error.message, error.hint)
    if settings.open_access:
        detail = f"{settings.env.value}, open to every program on this machine"
        return Finding("settings", "ok", detail)
    if settings.env is not Environment.PRODUCTION and not settings.token_records():
        return Finding(
            "settings",
            "warn",
            f"listens on {settings.host} without tokens: every call will be refused",
            "Set CORTEX_TOKENS.",
        )
    count = len(settings.token_records())
    return Finding("settings", "ok", f"{settings.env.value}, {count} tokens")


def check_home(home: Path) -> Finding:
    """Can the data folder be written?"""
    place = _existing(home)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Finding(
            "data folder",
            "fail",
            f"{place} cannot be written",
            "Set CORTEX_HOME to a folder that can.",
        )
    note = "" if home.exists() else " (made on first start)"
    return Finding("data folder", "ok", f"{home}{note}")


def check_disk(home: Path) -> Finding:
    """Is there room?"""
    return judge_free(shutil.disk_usage(_existing(home)).free)


def judge_free(free_bytes: int) -> Finding:
    """Is this much room enough?"""
    detail = f"{free_bytes / 1024**3:.1f} GiB free"
    if free_bytes < FREE_BYTES_MIN:
        return Finding("disk", "fail", detail, "Make room, or move CORTEX_HOME.")
    if free_bytes < FREE_BYTES_COMFORT:
        return Finding("disk", "warn", detail, "Make room before it fills up.")
    return Finding("disk", "ok", detail)


def check_sqlite(home: Path) -> Finding:
    """Does a database on this disk open, write durably and close?"""
    place = _existing(home)
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".doctor-") as folder:
            began = perf_counter()
            asyncio.run(_open_and_close(Path(folder) / "probe.db"))
            milliseconds = (perf_counter() - began) * 1000
    except (CortexError, OSError) as error:
        return Finding("sqlite", "fail", str(error), "Is the data folder's disk well?")
    return Finding("sqlite", "ok", f"opened and written in {milliseconds:.0f} ms")


def check_model() -> Finding:
    """Is the bundled model the one that was shipped, and does it run?"""
    began = perf_counter()
    try:
        model = open_bundled()
        dimensions = len(model.embed("Does this model answer?"))
    except CortexError as error:
        return Finding("model", "fail", error.message, error.hint)
    milliseconds = (perf_counter() - began) * 1000
    info = model.info
    return Finding(
        "model",
        "ok",
        f"{info.name}, {dimensions} dimensions, hash good, {milliseconds:.0f} ms",
    )


def check_memory(settings: Settings) -> Finding:
    """Is there room for what models may take, workers and their spare included?"""
    wanted = settings.inference.workers
    processes = wanted + 1 if wanted else 0
    budget = settings.inference.memory_mb + processes * WORKER_MB
    return judge_memory(budget, _available_mb())


def judge_memory(budget_mb: int, available_mb: int | None) -> Finding:
    """Does what models may take fit into the memory that is free?"""
    detail = f"models and workers may take {budget_mb} MB"
    if available_mb is None:
        return Finding("memory", "ok", detail)
    detail += f", {available_mb} MB are free"
    if budget_mb <= available_mb:
        return Finding("memory", "ok", detail)
    hint = "Lower CORTEX_INFERENCE__MEMORY_MB or CORTEX_INFERENCE__WORKERS."
    return Finding("memory", "warn", detail, hint)


def _available_mb() -> int | None:
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
        line = next(x for x in told.splitlines() if x.startswith("MemAvailable:"))
        return int(line.split()[1]) // 1024
    except (OSError, StopIteration, ValueError):
        return None


def check_housekeeping(url: str) -> Finding:
    """How does the server there look after its memory and its files?"""
    with CortexClientSync(url, timeout=ANSWER_SECONDS_MAX, max_retries=0) as client:
        try:
            told = client.inference_status().get("process")
        except ClientError as error:
            reason = "no server" if isinstance(error, NoAnswer) else error.message
            detail = f"at start: {collector_plan()} ({reason})"
            return Finding("housekeeping", "ok", detail)
    facts = told if isinstance(told, dict) else {}
    megabytes = int(facts.get("resident_bytes", 0)) // 1024**2
    return Finding(
        "housekeeping",
        "ok" if megabytes < RESIDENT_MB_MAX else "warn",
        f"{megabytes} MB resident; collector {facts.get('gc_thresholds')}, "
        f"{facts.get('gc_frozen')} objects frozen; "
        f"{facts.get('leftovers_removed')} leftovers removed",
        "" if megabytes < RESIDENT_MB_MAX else "Start it again, and report this.",
    )


def check_sentry(dsn: str) -> Finding:
    """Does the Sentry project take envelopes? An empty one makes no event there."""
    hint = "Errors are kept here all the same: cortex perf errors."
    try:
        project = parse_dsn(dsn)
    except ValidationError as error:
        return Finding("sentry", "fail", error.message, error.hint)
    told = headers(project, Origin(cortex.__version__, ""))
    try:
        answer = httpx.post(
            project.url, content=b"{}\n", headers=told, timeout=ANSWER_SECONDS_MAX
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        detail = f"cannot reach {project.url}: {error or type(error).__name__}"
        return Finding("sentry", "warn", detail, hint)
    if answer.is_success or answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return Finding("sentry", "ok", f"{project.url} takes errors")
    detail = f"{project.url} answers {answer.status_code}: is the key the project's?"
    return Finding("sentry", "warn", detail, hint)


def check_collector(endpoint: str) -> Finding:
    """Does the OpenTelemetry collector take traces? An empty request makes none."""
    hint = "Traces are kept here all the same: cortex perf spans."
    url = endpoint.rstrip("/") + OTLP_PATH
    try:
        answer = httpx.post(url, json={}, timeout=ANSWER_SECONDS_MAX)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        detail = f"cannot reach {url}: {error or type(error).__name__}"
        return Finding("trace export", "warn", detail, hint)
    if answer.is_success:
        return Finding("trace export", "ok", f"{url} takes traces")
    detail = f"{url} answers {answer.status_code}: is it OTLP over HTTP, with JSON?"
    return Finding("trace export", "warn", detail, hint)


def collector_plan() -> str:
    """Return how a server sets its garbage collector."""
    return f"collector {list(THRESHOLDS)}, what start-up made frozen"


def check_server(url: str, *, wanted: bool = False) -> Finding:
    """Does a Cortex answer there, or could one start?

    Args:
        url: where to look.
        wanted: someone named this server, so that none there is a fault.
    """
    with CortexClientSync(url, timeout=ANSWER_SECONDS_MAX, max_retries=0) as client:
        try:
            health = client.health()
        except NoAnswer:
            return _silent(client.base_url, wanted=wanted)
        except ClientError:
            return _taken(client.base_url)
    if health.service != "cortex":
        return _taken(url)
    bad = sorted(n for n, c in health.checks.items() if c.get("status") != "ok")
    detail = f"cortex {health.version} at {url}: {health.status}"
    if health.status == "ok":
        return Finding("server", "ok", detail)
    status = "warn" if health.status == "degraded" else "fail"
    return Finding("server", status, detail, f"Look at: {', '.join(bad)}.")


def _silent(url: str, *, wanted: bool) -> Finding:
    host, port = _host_and_port(url)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(ANSWER_SECONDS_MAX)
        if probe.connect_ex((host, port)) == 0:
            return _taken(url)
    if wanted:
        return Finding("server", "fail", f"none at {url}", START_HINT)
    return Finding("server", "ok", f"none at {url}; the port is free")


def _taken(url: str) -> Finding:
    return Finding(
        "server",
        "fail",
        f"another program answers at {url}",
        "Stop it, or choose another port with CORTEX_PORT.",
    )


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def _address(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104  compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port or 4949}"


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


async def _open_and_close(path: Path) -> None:
    database = Database(path, clock=SystemClock())
    await database.open()
    try:
        await database.ping()
    finally:
        await database.close()
