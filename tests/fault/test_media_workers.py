"""Processes that read files: they crash, hang and lie, and nobody else notices."""

import asyncio
import os
import random
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

import cortex
from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import Overloaded
from cortex.inference.engine import ModelStatus
from cortex.inference.errors import EmbeddingFailed, EmbeddingUnavailable
from cortex.inference.media.errors import BrokenMedia, NotInstalled
from cortex.inference.media.kinds import MediaKind, Reading, Sniffed, Want
from cortex.inference.media.sniffing import sniff
from cortex.inference.media.workers import MediaWorkers, WorkerOptions
from cortex.telemetry import tracing
from cortex.telemetry.tracing.sampling import Sampling
from cortex.telemetry.tracing.tracer import Tracer
from cortex.testing.memory import VirtualClock

MEDIA = Path(__file__).parents[1] / "data" / "media"
SOURCE = Path(cortex.__file__).parents[1]

CHILD = """
import os, signal, socket, sys, time
from cortex.inference.media import protocol
from cortex.inference.media.kinds import Reading
seen = False
with socket.socket(fileno=int(sys.argv[1])) as link:
    while (got := protocol.receive(link)) is not None:
        with os.fdopen(got[1], "rb") as file:
            file.seek(0)
            what = file.read().decode()
        if what == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == "hang":
            time.sleep(600)
        if what == "spans":
            protocol.send(link, {"spans": ["none"]})
            continue
        if what == "lie":
            link.sendall(b"not a message")
            sys.exit(3)
        if what == "models":
            used = {"efficientnet-lite0": float(not seen), "made-up": 1.0}
            seen = True
            protocol.send(link, protocol.answer(Reading(models=used)))
            continue
        told = what or " ".join(sorted(os.environ))
        protocol.send(link, protocol.answer(Reading(transcript=told)))
"""

KIND = Sniffed(MediaKind.AUDIO, "audio/wav", "wav")


@pytest.fixture
def options(tmp_path: Path) -> Callable[..., WorkerOptions]:
    (tmp_path / "pretended.py").write_text(CHILD)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{SOURCE}:{tmp_path}"}

    def made(**more: object) -> WorkerOptions:
        given = {"module": "pretended", "environment": environment, **more}
        return WorkerOptions(**given)

    return made


@asynccontextmanager
async def working(
    options: WorkerOptions, clock: VirtualClock | None = None
) -> AsyncIterator[MediaWorkers]:
    workers = MediaWorkers(clock or SystemClock(), options)
    try:
        yield workers
    finally:
        await workers.close()


async def ask(workers: MediaWorkers, what: bytes, sniffed: Sniffed = KIND) -> Reading:
    with tempfile.TemporaryFile() as file:
        file.write(what)
        file.flush()
        wants = frozenset({Want.LABELS, Want.TRANSCRIPT})
        return await workers.read(file, sniffed, wants)


async def test_a_crash_is_told_and_the_next_file_is_read(options) -> None:
    async with working(options(processes=1)) as workers:
        assert (await ask(workers, b"one")).transcript == "one"
        first = workers.pids
        for bad in (b"crash", b"lie", b"spans"):
            with pytest.raises(EmbeddingFailed):
                await ask(workers, bad)
        assert (await ask(workers, b"two")).transcript == "two"
        assert workers.pids != first


async def test_a_hang_ends_at_the_deadline(options) -> None:
    async with working(options(processes=1, deadline_seconds=2.0)) as workers:
        with pytest.raises(EmbeddingFailed, match="too long"):
            await ask(workers, b"hang")
        assert (await ask(workers, b"two")).transcript == "two"


async def test_a_process_that_died_while_it_waited_is_replaced(options) -> None:
    async with working(options(processes=1)) as workers:
        await ask(workers, b"one")
        [pid] = workers.pids
        os.kill(pid, signal.SIGKILL)
        while workers.pids and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
            await asyncio.sleep(0.01)
        assert (await ask(workers, b"two")).transcript == "two"


async def test_secrets_stay_with_the_server(options, monkeypatch) -> None:
    monkeypatch.setenv("CORTEX_TOKENS", "ana:secret-token-0123456789:*")
    async with working(options()) as workers:
        seen = (await ask(workers, b"")).transcript
    assert "CORTEX_TOKENS" not in seen


async def test_work_in_a_process_is_a_part_of_the_trace_that_waits_for_it() -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    given = WorkerOptions(processes=1, environment=environment)
    tracer = Tracer(SystemClock(), random.getrandbits, Sampling(ratio=1.0))
    cat = (MEDIA / "chelsea.jpg").read_bytes()
    async with working(given) as workers:
        with tracer.root("request"), tracing.span("embed"):
            await ask(workers, cat, sniff(cat))
        with tracer.root("request"), suppress(BrokenMedia):
            await ask(workers, cat[:300], sniff(cat))
        await ask(workers, cat, sniff(cat))
        pids = workers.pids
    read, broken = tracer.take()
    spans = {span.name: span for span in read.spans}
    work = spans["media.worker"]
    assert {span.trace_id for span in read.spans} == {work.trace_id}
    assert work.parent_id == spans["embed"].span_id
    assert work.attributes == {"pid": pids[0], "kind": "image"}
    for inner in ("media.load", "media.model"):
        assert spans[inner].parent_id == work.span_id
        assert spans[inner].attributes["model"] == "image"
    failed = next(span for span in broken.spans if span.name == "media.worker")
    assert failed.error == BrokenMedia.code


async def test_too_many_are_refused_and_leavers_leave_nothing(options) -> None:
    given = options(processes=1, waiting_max=1)
    async with working(given) as workers, asyncio.TaskGroup() as tasks:
        held = [tasks.create_task(ask(workers, b"hang")) for _ in range(2)]
        await asyncio.sleep(0.3)
        with pytest.raises(Overloaded):
            await ask(workers, b"three")
        for one in held:
            one.cancel()


async def test_a_caller_that_leaves_gives_up_its_turn(options) -> None:
    given = options(processes=1, waiting_max=1, abandoned_seconds=600.0)
    async with working(given) as workers, asyncio.TaskGroup() as tasks:
        at_work = tasks.create_task(ask(workers, b"hang"))
        while not workers.working:
            await asyncio.sleep(0.01)
        for _ in range(5):  # each in the one place that there is to wait in
            waiting = tasks.create_task(ask(workers, b"two"))
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait({waiting})
            assert waiting.cancelled()
        at_work.cancel()


async def test_work_that_nobody_waits_for_is_ended(options) -> None:
    async with working(options(processes=1, abandoned_seconds=0.05)) as workers:
        leaver = asyncio.create_task(ask(workers, b"hang"))
        while not workers.working:
            await asyncio.sleep(0.01)
        leaver.cancel()
        assert (await ask(workers, b"two")).transcript == "two"


async def test_closing_ends_those_at_work_and_takes_no_more(options) -> None:
    workers = MediaWorkers(SystemClock(), options(processes=1))
    hanging = asyncio.create_task(ask(workers, b"hang"))
    await asyncio.sleep(0.5)
    await workers.close()
    with pytest.raises(EmbeddingUnavailable):
        await hanging
    with pytest.raises(EmbeddingUnavailable, match="stopping"):
        await ask(workers, b"one")


async def test_idle_processes_end(options) -> None:
    clock = VirtualClock()
    async with working(options(idle_seconds=60.0), clock) as workers:
        await ask(workers, b"one")
        loop = asyncio.create_task(workers.run())
        await asyncio.sleep(0)
        clock.advance(200)
        while workers.pids:
            await asyncio.sleep(0.01)
        loop.cancel()


async def test_models_are_told_with_what_they_did(options) -> None:
    clock = VirtualClock()
    async with working(options(idle_seconds=60.0), clock) as workers:

        def image() -> ModelStatus:
            by_name = {row.info.name: row for row in workers.status()}
            assert "made-up" not in by_name
            return by_name["efficientnet-lite0"]

        assert not image().loaded
        for _ in range(3):
            await ask(workers, b"models")
        told = image()
        assert (told.loaded, told.hits, told.misses) == (True, 2, 1)
        assert (told.load_seconds, told.evictions, told.users) == (1.0, 0, 0)
        ending = asyncio.create_task(workers.run())
        async with asyncio.timeout(60):
            while image().loaded:
                clock.advance(61)
                await asyncio.sleep(0.02)
        assert image().evictions == 1
        ending.cancel()
        with suppress(asyncio.CancelledError):
            await ending


async def test_without_ffmpeg_a_film_names_what_is_missing(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    given = WorkerOptions(processes=1, environment=environment)
    film = (MEDIA / "film.mp4").read_bytes()
    async with working(given) as workers:
        with pytest.raises(NotInstalled) as told:
            await ask(workers, film, sniff(film))
        assert told.value.data["missing"] == ["ffmpeg", "ffprobe"]
        cat = (MEDIA / "chelsea.jpg").read_bytes()
        assert (await ask(workers, cat, sniff(cat))).labels
        broken = cat[:600] + bytes(500)
        with pytest.raises(BrokenMedia):
            await ask(workers, broken[:300], sniff(cat))
        [pid] = workers.pids
        limits = Path(f"/proc/{pid}/limits").read_text()
    assert "4294967296" in limits


async def test_where_no_process_can_be_started_that_is_told(options, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    async with working(options()) as workers:
        with pytest.raises(EmbeddingUnavailable, match="no process can be started"):
            await ask(workers, b"one")
