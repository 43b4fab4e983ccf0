"""One worker process, from the side of its owner."""

import asyncio
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from subprocess import DEVNULL, Popen
from typing import Final

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError
from cortex.inference.batching import BatchPolicy, Waiting, take
from cortex.inference.errors import EmbeddingFailed, EmbeddingRefused
from cortex.inference.frames import (
    HEADER,
    BadFrame,
    Frame,
    Kind,
    callers_body,
    encode,
    facts_body,
    header,
    read_facts,
    read_vectors,
    texts_body,
)
from cortex.inference.lanes import Run, moving_mean
from cortex.inference.ports import ReplicaView
from cortex.inference.watching import Signs
from cortex.telemetry.tracing import current_traceparent
from cortex.telemetry.tracing.remote import read
from cortex.telemetry.tracing.spans import adopt

QUEUE_MAX: Final = 16
"""Texts one worker may have before it; others wait where any replica can take them."""

BATCHES_SENT_MAX: Final = 2
"""One batch is worked on, the next is there already when it is done."""

START_SECONDS_MAX: Final = 20.0
"""A worker that has not loaded its model by then will not."""

END_SECONDS_MAX: Final = 1.0
"""How long a process may take to end once its socket is closed."""

END_LOOKS: Final = 50
"""How often that is looked at in this time."""

MODULE: Final = "cortex.inference.worker"


class WorkerLost(Exception):
    """The process does not start, or ended."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """Which model a worker runs.

    Attributes:
        model: registry name.
        space: space its vectors must be in.
        facts: provider, folder and longest input, as `worker.open_model` reads them.
        environment: variables of the process; None for this process's own.
    """

    model: str
    space: str
    facts: Mapping[str, JsonValue]
    environment: Mapping[str, str] | None = None


@dataclass(slots=True, eq=False)
class Job:
    """One text on its way.

    Attributes:
        since: monotonic time it was accepted, seconds.
        lost_with: replicas that were lost while they worked on it.
        alone: whether it shares no batch.
        replica: who has it, or had it last.
        caller: ``traceparent`` of the work that waits for it; empty for none.
        context: what that work's spans are found in.
    """

    text: str
    future: asyncio.Future[Run]
    since: float
    lost_with: set[str] = field(default_factory=set)
    alone: bool = False
    replica: str = ""
    caller: str = field(default_factory=current_traceparent)
    context: Context = field(default_factory=copy_context)


@dataclass(frozen=True, slots=True)
class _Sent:
    jobs: tuple[Job, ...]
    since: float


class _Link:
    """The process and the socket to it."""

    def __init__(self) -> None:
        self._process: Popen[bytes] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def open(self, environment: Mapping[str, str] | None) -> None:
        mine, its = socket.socketpair()
        with ExitStack() as undo, its:
            undo.callback(mine.close)
            number = its.fileno()
            try:
                # Its end shows at the socket: asyncio's own child watching, which
                # loses processes whose start is cancelled, is not needed.
                self._process = Popen(  # noqa: ASYNC220, S603 - fixed; takes 1 ms
                    [sys.executable, "-P", "-m", MODULE, str(number)],
                    stdin=DEVNULL,
                    stdout=DEVNULL,
                    pass_fds=(number,),
                    env=environment,
                )
                its.close()
                self._reader, self._writer = await asyncio.open_unix_connection(
                    sock=mine
                )
            except OSError as error:
                message = f"no process can be started: {error.strerror}"
                raise WorkerLost(message) from error
            undo.pop_all()

    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def send(self, kind: Kind, number: int = 0, body: bytes = b"") -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(encode(Frame(kind, number, body)))

    async def receive(self) -> Frame:
        if self._reader is None:
            message = "it was not started"
            raise WorkerLost(message)
        try:
            length, kind, number = header(await self._reader.readexactly(HEADER.size))
            return Frame(kind, number, await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, OSError, BadFrame) as error:
            message = f"it is gone: {type(error).__name__}"
            raise WorkerLost(message) from error

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    async def close(self) -> None:
        """Close the socket, which ends the process; kill it if it does not end."""
        if self._writer is not None:
            self._writer.close()
            with suppress(ConnectionError):
                await self._writer.wait_closed()
        if self._process is None:
            return
        for _ in range(END_LOOKS):
            if self._process.poll() is not None:
                return
            await asyncio.sleep(END_SECONDS_MAX / END_LOOKS)
        self._process.kill()
        await asyncio.to_thread(self._process.wait)


class WorkerProcess:
    """A process, the socket to it, and the texts it has; on one event loop."""

    def __init__(
        self, name: str, spec: WorkerSpec, *, clock: Clock, moved: Callable[[], None]
    ) -> None:
        """Start nothing yet; ``moved`` is called when there may be room again.

        ``policy`` says when batches go; a change shows with the next `pump`.
        """
        self.name = name
        self.stopping = False
        self._spec = spec
        self._clock = clock
        self._moved = moved
        self.policy = BatchPolicy()
        self._link = _Link()
        self._queue: deque[Job] = deque()
        self._sent: dict[int, _Sent] = {}
        self._numbers = 0
        self._heard_at = clock.monotonic()
        self._asked_at: float | None = None
        self._seconds_each = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._killed_because = ""

    @property
    def pid(self) -> int | None:
        """Return the process's number, once it was started."""
        return self._link.pid

    def has_ended(self) -> bool:
        """Return whether the process was started and is gone."""
        return self._link.has_ended()

    @property
    def outstanding(self) -> int:
        """Return the texts it has."""
        return len(self._queue) + sum(len(sent.jobs) for sent in self._sent.values())

    def view(self) -> ReplicaView:
        """Return it as a choice among replicas sees it."""
        room = 0 if self.stopping else QUEUE_MAX - self.outstanding
        return ReplicaView(self.name, self.outstanding, 1, room, self._seconds_each)

    def signs(self) -> Signs:
        """Return what is known of its life."""
        oldest = min((sent.since for sent in self._sent.values()), default=None)
        return Signs(self._heard_at, self._asked_at, oldest)

    async def start(self) -> None:
        """Start the process and wait until its model is loaded.

        Raises:
            WorkerLost: it ended, said something else, or took too long.
        """
        await self._link.open(self._spec.environment)
        self._link.send(Kind.OPEN, body=facts_body(dict(self._spec.facts)))
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                frame = await self._link.receive()
        except TimeoutError as error:
            message = f"its model was not loaded within {START_SECONDS_MAX:g} s"
            raise WorkerLost(message) from error
        facts = _facts(frame)
        if frame.kind is not Kind.READY:
            message = f"its model does not load: {facts.get('message')}"
            raise WorkerLost(message)
        if facts.get("space") != self._spec.space:
            message = f"its vectors are in the space {facts.get('space')}"
            raise WorkerLost(message)

    async def serve(self) -> None:
        """Take in what it says until it is gone.

        Raises:
            WorkerLost: always, unless it was asked to stop.
        """
        try:
            while True:
                self._heard(await self._link.receive())
        except WorkerLost as error:
            if not self.stopping:
                raise WorkerLost(self._killed_because or str(error)) from error

    def offer(self, job: Job) -> None:
        """Give it a text."""
        self._queue.append(job)
        job.future.add_done_callback(self._taken_back)
        self.pump()

    def pump(self) -> None:
        """Send what is to go now."""
        while len(self._sent) < BATCHES_SENT_MAX:
            while self._queue and self._queue[0].future.done():
                self._queue.popleft()
            now = self._clock.monotonic()
            waiting = [Waiting(len(j.text), j.since, j.alone) for j in self._queue]
            count = take(waiting, self.policy, now)
            if not count:
                self._look_again(waiting, now)
                return
            self._send_batch(tuple(self._queue.popleft() for _ in range(count)))

    def ask(self) -> None:
        """Ask for a sign of life, unless it owes one already."""
        if self._asked_at is None and not self.stopping:
            self._asked_at = self._clock.monotonic()
            self._link.send(Kind.PING)

    def ask_to_stop(self) -> None:
        """Let it finish what it has and end."""
        self.stopping = True
        self._link.send(Kind.STOP)

    def kill(self, why: str = "") -> None:
        """End the process now, also when it does not listen."""
        self._killed_because = self._killed_because or why
        self._link.kill()

    async def reap(self) -> list[Job]:
        """Let go of the process; return its texts that have no vector yet."""
        if self._timer is not None:
            self._timer.cancel()
        await self._link.close()
        sent = [job for batch in self._sent.values() for job in batch.jobs]
        for job in sent:
            job.lost_with.add(self.name)
            job.alone = True
        left = [job for job in (*sent, *self._queue) if not job.future.done()]
        self._sent.clear()
        self._queue.clear()
        return left

    def _heard(self, frame: Frame) -> None:
        self._heard_at = self._clock.monotonic()
        self._asked_at = None
        if frame.kind is Kind.PONG:
            return
        if frame.kind is Kind.SPANS:
            of = self._sent.get(frame.number)
            _adopt(() if of is None else of.jobs, frame.body)
            return
        sent = self._sent.get(frame.number)
        if sent is not None:
            if frame.kind is Kind.VECTORS:
                each = _deliver(sent.jobs, frame.body)
                self._seconds_each = moving_mean(self._seconds_each, each)
            else:
                self._failed(sent.jobs, _facts(frame))
            # Not before: the batch of a worker that talks nonsense is tried elsewhere.
            del self._sent[frame.number]
        self.pump()
        self._moved()

    def _failed(self, jobs: tuple[Job, ...], facts: Mapping[str, JsonValue]) -> None:
        if len(jobs) > 1:
            # One of them is at fault; each is tried again by itself.
            for job in reversed(jobs):
                job.alone = True
                self._queue.appendleft(job)
            return
        message = str(facts.get("message"))
        refused = facts.get("retryable") is False and facts.get("code")
        kind = EmbeddingRefused if refused else EmbeddingFailed
        if not jobs[0].future.done():
            jobs[0].future.set_exception(kind(message, model=self._spec.model))

    def _send_batch(self, jobs: tuple[Job, ...]) -> None:
        self._numbers += 1
        self._sent[self._numbers] = _Sent(jobs, self._clock.monotonic())
        callers = [job.caller for job in _traced(jobs)]
        if callers:
            self._link.send(Kind.TRACE, self._numbers, callers_body(callers))
        self._link.send(Kind.RUN, self._numbers, texts_body([job.text for job in jobs]))

    def _taken_back(self, future: asyncio.Future[Run]) -> None:
        """Tell the worker about a batch that nobody waits for any more."""
        if not future.cancelled():
            return
        for number, sent in self._sent.items():
            if all(job.future.done() for job in sent.jobs):
                self._link.send(Kind.CANCEL, number)
        self._moved()

    def _look_again(self, waiting: Iterable[Waiting], now: float) -> None:
        oldest = min((text.since for text in waiting), default=None)
        if oldest is None or self._timer is not None:
            return
        left = max(0.0, self.policy.wait_seconds - (now - oldest))
        self._timer = asyncio.get_running_loop().call_later(left, self._timer_over)

    def _timer_over(self) -> None:
        self._timer = None
        self.pump()


def _deliver(jobs: tuple[Job, ...], body: bytes) -> float:
    """Give each text its vector; return the seconds that each took."""
    try:
        vectors, seconds = read_vectors(body)
    except BadFrame as error:
        raise WorkerLost(str(error)) from error
    if len(vectors) != len(jobs):
        message = f"{len(vectors)} vectors for {len(jobs)} texts"
        raise WorkerLost(message)
    each = seconds / len(jobs)
    for job, vector in zip(jobs, vectors, strict=True):
        if not job.future.done():
            job.future.set_result((vector, each))
    return each


def _facts(frame: Frame) -> dict[str, JsonValue]:
    try:
        return read_facts(frame.body)
    except BadFrame as error:
        raise WorkerLost(str(error)) from error


def _traced(jobs: tuple[Job, ...]) -> list[Job]:
    """Return one text of each traced work that waits for some of these."""
    return list({job.caller: job for job in jobs if job.caller}.values())


def _adopt(jobs: tuple[Job, ...], body: bytes) -> None:
    """Add to the traces that wait what the process recorded for each."""
    try:
        parts = read_facts(body).get("spans")
        told = parts if isinstance(parts, list) else []
        found = [read(rows) for rows in told if isinstance(rows, list)]
    except (BadFrame, ValidationError) as error:
        raise WorkerLost(str(error)) from error
    for job, records in zip(_traced(jobs), found, strict=False):
        job.context.run(adopt, records)
