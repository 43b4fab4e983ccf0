"""Real worker processes: killed, frozen, added and taken away under load."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import ValidationError
from cortex.inference.backends.hashing import HashingText
from cortex.inference.errors import EmbeddingFailed, UnknownModel
from cortex.inference.frames import Kind, vectors_body
from cortex.inference.lanes import QUEUED_PER_LANE, ThreadLanes
from cortex.inference.pool import Applied, PoolHooks, WorkerPool
from cortex.inference.ports import Outcome, ReplicaView
from cortex.inference.processes import WorkerSpec
from cortex.telemetry import tracing
from cortex.telemetry.tracing.sampling import Sampling
from cortex.telemetry.tracing.tracer import Tracer
from cortex.testing.inference import ControlledText

MODEL = HashingText().info
SPEC = WorkerSpec(MODEL.name, MODEL.space, {"provider": "hashing"})
REPLACED_SECONDS_MAX = 2.0


class Processes:
    """Chooses processes only: the threads of this process are for emergencies."""

    def choose(self, replicas: list[ReplicaView], avoid: frozenset[str]) -> str | None:
        able = [r for r in replicas if r.room > 0 and r.name not in avoid]
        others = [r for r in able if r.name != "in-process"]
        return min(others or able, key=lambda r: r.outstanding).name if able else None


class Told:
    """What the pool told."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.decided: list[Applied] = []
        self.lost: list[tuple[str, str]] = []

    def hooks(self) -> PoolHooks:
        return PoolHooks(
            Processes(),
            self.outcomes.append,
            self.decided.append,
            lambda name, why: self.lost.append((name, why)),
        )


@asynccontextmanager
async def running(
    workers: int,
    told: Told,
    spec: WorkerSpec = SPEC,
    inside: ControlledText | None = None,
) -> AsyncIterator[WorkerPool]:
    clock = SystemClock()
    lanes = ThreadLanes(inside or ControlledText(), clock=clock, threads=1)
    pool = WorkerPool(lanes, spec, workers=workers, clock=clock, hooks=told.hooks())
    keeping = asyncio.create_task(pool.run())
    try:
        await asyncio.sleep(0)
        await until(lambda: ready(pool) == workers)
        yield pool
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
        pool.close(5)


async def until(true: Callable[[], bool], seconds: float = 60) -> float:
    """Wait until it is true; return the seconds that took."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < seconds
        await asyncio.sleep(0.005)
    return time.monotonic() - started


def ready(pool: WorkerPool) -> int:
    return sum(worker.state == "ready" for worker in pool.status().workers)


def pids(pool: WorkerPool) -> list[int]:
    return [worker.pid for worker in pool.status().workers if worker.pid]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_texts_come_back_in_their_own_vectors_from_any_replica() -> None:
    told = Told()
    async with running(2, told) as pool:
        texts = [f"text {n} \udcff {'x' * n}" for n in range(200)]
        found = await asyncio.gather(*map(pool.submit, texts))
        hashing = HashingText()
        for text, (vector, seconds) in zip(texts, found, strict=True):
            np.testing.assert_array_equal(vector, hashing.embed(text))
            assert not vector.flags.writeable
            assert seconds > 0
        gone = pids(pool)
    assert {outcome.replica for outcome in told.outcomes} >= {"worker-1", "worker-2"}
    assert not any(map(alive, gone))


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_lost_process_is_replaced_and_no_text_fails(
    fault: signal.Signals,
) -> None:
    told = Told()
    async with running(2, told) as pool:
        victim = pids(pool)[0]
        texts = [f"{'long ' * 400}{n}" for n in range(300)]
        futures = [pool.submit(text) for text in texts]
        await until(lambda: any(future.done() for future in futures))
        os.kill(victim, fault)
        await asyncio.gather(*futures)
        seconds = await until(
            lambda: ready(pool) == 2 and victim not in pids(pool),
            REPLACED_SECONDS_MAX,
        )
        assert seconds <= REPLACED_SECONDS_MAX
        status = pool.status()
        assert status.losses == len(told.lost) == 1
        assert status.backlog == 0
    assert all(outcome.ok for outcome in told.outcomes)
    assert len(told.outcomes) == len(texts)


def children() -> set[int]:
    """Return the processes that this one started and that still run."""
    tasks = Path("/proc/self/task").iterdir()
    told = " ".join((task / "children").read_text() for task in tasks)
    return {pid for pid in map(int, told.split()) if alive_outside(pid)}


async def test_work_in_a_process_is_a_part_of_each_trace_that_waits_for_it() -> None:
    tracer = Tracer(SystemClock(), random.getrandbits, Sampling(ratio=1.0))

    async def traced(pool: WorkerPool, name: str) -> None:
        with tracer.root(name), tracing.span("embed"):
            texts = [f"{name} {'long ' * 200}{n}" for n in range(4)]
            await asyncio.gather(*map(pool.submit, texts))

    async with running(1, Told()) as pool:
        pid = pids(pool)[0]
        await asyncio.gather(*(traced(pool, f"request {n}") for n in range(3)))
    traces = tracer.take()
    assert len(traces) == 3
    for trace in traces:
        (mine,) = (span for span in trace.spans if span.name == "embed")
        parts = [span for span in trace.spans if span.name == "embed.worker"]
        assert parts
        for part in parts:
            assert part.trace_id == mine.trace_id
            assert part.parent_id == mine.span_id
            assert part.attributes["pid"] == pid
            assert part.attributes["texts"] >= 1
            assert 0 < part.seconds <= mine.seconds


async def test_a_spare_process_takes_the_place_of_a_lost_one() -> None:
    before = children()
    async with running(1, Told()) as pool:
        (first,) = pids(pool)
        await until(lambda: len(children() - before) == 2)
        (spare,) = children() - before - {first}
        os.kill(first, signal.SIGKILL)
        await until(lambda: ready(pool) == 1 and first not in pids(pool))
        assert pids(pool) == [spare]
        await until(lambda: len(children() - before) == 2)
        (dead,) = children() - before - {spare}
        # A spare that ended takes no place: another one is made.
        os.kill(dead, signal.SIGKILL)
        await until(lambda: len(children() - before - {dead}) == 2)
        assert await pool.submit("answered")
        await pool.apply(MODEL.name, 0, "night")
        await until(lambda: children() == before)


async def test_a_text_lost_with_two_processes_is_given_up() -> None:
    told = Told()

    def owner() -> int | None:
        workers = pool.status().workers
        return next((w.pid for w in workers if w.outstanding), None)

    async with running(2, told) as pool:
        for pid in pids(pool):
            os.kill(pid, signal.SIGSTOP)
        future = pool.submit("it may be the cause")
        first = owner()
        assert first
        os.kill(first, signal.SIGKILL)
        await until(lambda: owner() not in {None, first})
        second = owner()
        assert second
        os.kill(second, signal.SIGKILL)
        with pytest.raises(EmbeddingFailed, match="two processes"):
            await future
        await until(lambda: ready(pool) == 2)
        assert await pool.submit("the next text")


NONSENSE = """
import os, sys
from cortex.inference import frames

marker, kind, body = {marker!r}, frames.Kind({kind}), {body!r}
whole, first = frames.encode, []

def encode(frame):
    if frame.kind is frames.Kind.VECTORS and not first:
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
            first.append(True)
        except FileExistsError:
            first.append(False)
    if frame.kind is frames.Kind.VECTORS and first[0]:
        frame = frames.Frame(kind, frame.number, body)
    return whole(frame)

frames.encode = encode
"""


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (Kind.FAILED, b"not JSON"),
        (Kind.VECTORS, vectors_body([np.zeros(384, np.float32)] * 9, 0.1)),
    ],
)
async def test_a_process_that_talks_nonsense_is_replaced_and_its_texts_tried_again(
    kind: Kind, body: bytes, tmp_path: Path
) -> None:
    marker = str(tmp_path / "answered")
    code = NONSENSE.format(marker=marker, kind=int(kind), body=body)
    (tmp_path / "sitecustomize.py").write_text(code, encoding="utf-8")
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    spec = replace(SPEC, environment={**os.environ, "PYTHONPATH": paths})
    told = Told()
    async with running(2, told, spec) as pool:
        texts = [f"text {n}" for n in range(20)]
        found = await asyncio.gather(*map(pool.submit, texts))
        for text, (vector, _) in zip(texts, found, strict=True):
            np.testing.assert_array_equal(vector, HashingText().embed(text))
        await until(lambda: ready(pool) == 2)
        assert pool.status().losses == len(told.lost) == 1
        assert pool.status().retries >= 1
    assert all(outcome.ok for outcome in told.outcomes)


async def test_the_number_of_processes_follows_what_is_applied() -> None:
    told = Told()
    async with running(0, told) as pool:
        applied = await pool.apply(MODEL.name, 2, "queue grows")
        assert applied == Applied(MODEL.name, 0, 2, "queue grows")
        started = pids(pool)
        assert len(started) == ready(pool) == 2
        await pool.apply(MODEL.name, 1, "queue shrinks")
        await until(lambda: sum(map(alive, started)) == 1)
        await pool.apply(MODEL.name, 0, "night")
        await until(lambda: not any(map(alive, started)))
        assert await pool.submit("still answered")
        with pytest.raises(UnknownModel):
            await pool.apply("gpt-2", 1, "no such target")
        with pytest.raises(ValidationError):
            await pool.apply(MODEL.name, 65, "too many")
    assert [(a.before, a.after) for a in told.decided] == [(0, 2), (2, 1), (1, 0)]
    assert not told.lost


async def test_a_caller_that_leaves_takes_its_waiting_texts_back() -> None:
    told = Told()
    inside = ControlledText()
    async with running(1, told, inside=inside) as pool:
        (pid,) = pids(pool)
        os.kill(pid, signal.SIGSTOP)
        futures = [pool.submit(f"text {n}") for n in range(40)]
        for future in futures:
            future.cancel()
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGCONT)
        assert await pool.submit("the next one")
        assert pool.status().backlog == 0
        # What the thread of this process had been given it may have begun; no other.
        begun = [run for run in inside.runs if run.startswith("text")]
        assert len(begun) <= QUEUED_PER_LANE


async def test_a_model_that_does_not_load_leaves_the_work_to_the_threads() -> None:
    told = Told()
    broken = WorkerSpec(
        MODEL.name, MODEL.space, {"provider": "onnx", "folder": "/nonexistent"}
    )
    clock = SystemClock()
    lanes = ThreadLanes(ControlledText(), clock=clock, threads=1)
    pool = WorkerPool(lanes, broken, workers=1, clock=clock, hooks=told.hooks())
    keeping = asyncio.create_task(pool.run())
    try:
        assert await pool.submit("answered all the same")
        await until(lambda: bool(told.lost))
        assert "does not load" in told.lost[0][1]
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
        pool.close(5)


async def test_no_more_processes_than_the_machine_was_given_can_be_asked_for() -> None:
    clock = SystemClock()
    lanes = ThreadLanes(ControlledText(), clock=clock, threads=1)
    spec = WorkerSpec(MODEL.name, MODEL.space, {"provider": "hashing"})
    pool = WorkerPool(lanes, spec, workers=0, clock=clock, workers_max=3)
    with pytest.raises(ValidationError, match="0 to 3") as refused:
        await pool.apply(MODEL.name, 4, "a slip of the finger")
    assert refused.value.data == {"field": "replicas", "limit": 3}
    assert pool.status().wanted == 0
    pool.close(5)


async def test_a_failing_model_fails_only_its_text() -> None:
    inside = ControlledText()
    inside.failures.append(EmbeddingFailed("no"))
    async with running(0, Told(), inside=inside) as pool:
        with pytest.raises(EmbeddingFailed):
            await pool.submit("first")
        assert await pool.submit("second")


OWNER = """
import asyncio, os
from cortex.foundation.clock import SystemClock
from cortex.inference.backends.hashing import HashingText
from cortex.inference.lanes import ThreadLanes
from cortex.inference.pool import WorkerPool
from cortex.inference.processes import WorkerSpec
from cortex.telemetry import tracing
from cortex.telemetry.tracing.sampling import Sampling
from cortex.telemetry.tracing.tracer import Tracer

async def main():
    backend, clock = HashingText(), SystemClock()
    spec = WorkerSpec(backend.info.name, backend.info.space, {"provider": "hashing"})
    pool = WorkerPool(ThreadLanes(backend, clock=clock), spec, workers=2, clock=clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.run())
        while sum(w.state == "ready" for w in pool.status().workers) < 2:
            await asyncio.sleep(0.01)
        print(*(w.pid for w in pool.status().workers), flush=True)

asyncio.run(main())
"""


async def test_processes_end_with_their_owner_even_while_frozen() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    with owner.stdout:
        workers = [int(pid) for pid in owner.stdout.readline().split()]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGSTOP)
    owner.kill()
    owner.wait()
    await until(lambda: not any(map(alive_outside, workers)), 10)


def alive_outside(pid: int) -> bool:
    """Tell whether a process that is not ours still runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        return stat.rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
