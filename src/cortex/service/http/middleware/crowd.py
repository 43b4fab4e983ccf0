"""Lets requests begin in turn, and tells those who would wait too long to come back.

What is refused here costs a look at its head: no routing, no body, no trace and no log
line of its own. It is counted like any other answer, so that promises see it. Requests
of operators have places of their own; probes never wait.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from itertools import cycle

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cortex.foundation.clock import Clock
from cortex.foundation.crowd import Line, Refusal, Ticket
from cortex.foundation.errors import Overloaded
from cortex.service import problems
from cortex.service.http.answers import encode
from cortex.service.http.client_certificates import certificate_of
from cortex.service.http.connected import CLIENT_CLOSED_REQUEST, has_left
from cortex.service.http.lines import Lines
from cortex.service.http.options import MEDIA_ROUTES
from cortex.service.http.record import OPEN_PATHS, RequestRecord, record_of
from cortex.service.http.templates import Templates, first_part
from cortex.telemetry.logs import Logger
from cortex.telemetry.metrics import Metrics
from cortex.telemetry.request_metrics import RequestSample

RETRY_SECONDS = (1, 2, 3)
"""Waits told in turn: those who were refused together do not come back together."""

OPERATIONS = frozenset(
    {"", "admin", "alerts", "config", "dashboard", "docs", "metrics", "openapi.json"}
    | {"performance", "quotas", "slo", ".well-known"}
)
"""First parts of paths that operators need when all others wait."""

UNHELD_PATHS = frozenset({"/events/stream", "/memory/export"})
"""What goes on for as long as its client reads: it takes its turn, and gives its place
on at once."""

CLIENTS_MAX = 4_096
"""Credentials whose tenant is remembered, the latest."""

_STATUS = 503


@dataclass(frozen=True, slots=True)
class _Answer:
    """A refusal, but for the correlation id between ``before`` and ``after``."""

    retry_after: bytes
    before: bytes
    after: bytes

    def body(self, correlation_id: str) -> bytes:
        """Return the whole body."""
        return self.before + encode(correlation_id) + self.after


class Crowd:
    """Stands inside ``Correlation`` and outside everything that costs."""

    def __init__(
        self, app: ASGIApp, lines: Lines, clock: Clock, metrics: Metrics, log: Logger
    ) -> None:
        """Wrap ``app``."""
        self._app = app
        self._lines = lines
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._tenants: OrderedDict[bytes, str] = OrderedDict()
        self._answers = cycle([_answer(seconds) for seconds in RETRY_SECONDS])
        self._templates: Templates | None = None
        self._refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on when its turn comes, or refuse it with 503."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        arrived = self._clock.monotonic()
        line = self._line(scope["path"])
        who = _credential(scope)
        ticket = line.arrive(self._tenants.get(who, ""), arrived)
        if isinstance(ticket, Ticket) and ticket.began is None:
            ticket = await self._turn(line, ticket)
        if isinstance(ticket, Refusal):
            await self._refuse(line, ticket, scope, send)
            return
        record = record_of(scope)
        record.waited_seconds = (ticket.began or arrived) - arrived
        if record.waited_seconds and has_left(scope):
            line.leave(ticket, self._clock.monotonic())
            self._count(line, "gone", scope, CLIENT_CLOSED_REQUEST)
            return
        try:
            await self._work(line, ticket, (scope, receive, send))
        finally:
            line.leave(ticket, self._clock.monotonic())
            self._learn(who, record)
            self._tell_end(line)

    def _line(self, path: str) -> Line:
        if path in MEDIA_ROUTES:
            return self._lines.media
        operations = first_part(path) in OPERATIONS
        return self._lines.operations if operations else self._lines.requests

    async def _turn(self, line: Line, ticket: Ticket) -> Ticket | Refusal:
        """Wait for the ticket's turn; return why it does not come."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        ticket.called = partial(_call, turn)
        waiting = self._metrics.crowd.waiting.labels(line.name)
        waiting.inc()
        try:
            async with asyncio.timeout(line.wait_seconds_max):
                await turn
        except TimeoutError:
            if line.forsake(ticket):
                return Refusal.LATE
        except asyncio.CancelledError:
            if not line.forsake(ticket) and ticket.refused is None:
                line.leave(ticket, self._clock.monotonic())
            raise
        finally:
            waiting.dec()
        if ticket.refused is not None:
            return ticket.refused
        seconds = (ticket.began or ticket.arrived) - ticket.arrived
        self._metrics.crowd.waited.labels(line.name).observe(seconds)
        return ticket

    async def _work(
        self, line: Line, ticket: Ticket, request: tuple[Scope, Receive, Send]
    ) -> None:
        """Do the work; while the client sends its body the place is free."""
        scope, receive, send = request
        if scope["path"] in UNHELD_PATHS:
            line.pause(ticket)
            line.settle(self._clock.monotonic())
            await self._app(scope, receive, send)
            return
        whole = False

        async def between() -> Message:
            nonlocal whole
            if whole:
                return await receive()
            line.pause(ticket)
            settling = asyncio.get_running_loop().call_soon(self._settle, line)
            try:
                message = await receive()
            finally:
                settling.cancel()
                line.resume(ticket)
            whole = not message.get("more_body", False)
            return message

        await self._app(scope, between, send)

    def _settle(self, line: Line) -> None:
        line.settle(self._clock.monotonic())

    async def _refuse(
        self, line: Line, refusal: Refusal, scope: Scope, send: Send
    ) -> None:
        self._refused += 1
        if self._refused == 1:
            self._log.warning("overloaded", line=line.name, waiting=line.waiting)
        self._count(line, refusal.value, scope, _STATUS)
        self._metrics.errors.labels(Overloaded.code).inc()
        answer = next(self._answers)
        body = answer.body(record_of(scope).correlation_id)
        headers = [
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"retry-after", answer.retry_after),
        ]
        start = {"type": "http.response.start", "status": _STATUS, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": body})

    def _count(self, line: Line, reason: str, scope: Scope, status: int) -> None:
        """Count what is not begun, under its route: promises are kept or not."""
        if self._templates is None:
            self._templates = Templates(scope["app"].routes)
        route = self._templates.of(scope["path"])
        self._metrics.crowd.turned_away.labels(line.name, reason).inc()
        seconds = 0.0 if reason != Refusal.LATE.value else line.wait_seconds_max
        self._metrics.request(RequestSample(route, scope["method"], status, seconds))

    def _learn(self, who: bytes, record: RequestRecord) -> None:
        """Remember whose credential that is; only those of callers are known."""
        if not record.tenant:
            return
        self._tenants[who] = record.tenant
        self._tenants.move_to_end(who)
        if len(self._tenants) > CLIENTS_MAX:
            self._tenants.popitem(last=False)

    def _tell_end(self, line: Line) -> None:
        if self._refused and not self._lines.stand(self._clock.monotonic()):
            self._log.info("overload is over", line=line.name, refused=self._refused)
            self._refused = 0


def _call(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


def _credential(scope: Scope) -> bytes:
    """Return a digest of what the caller shows; nothing when it shows nothing."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return blake2b(value, digest_size=16).digest()
    certificate = certificate_of(scope)
    return blake2b(certificate, digest_size=16).digest() if certificate else b""


def _answer(seconds: int) -> _Answer:
    """Return the refusal that asks to wait so long, as bytes."""
    error = Overloaded(
        "more requests wait than can be served in time",
        hint="Wait as long as Retry-After says.",
        retry_after_seconds=seconds,
    )
    place = b'"correlation_id":'
    told = encode(problems.body_of(error, ""))
    before, _, after = told.partition(place + b'""')
    return _Answer(b"%d" % seconds, before + place, after)
