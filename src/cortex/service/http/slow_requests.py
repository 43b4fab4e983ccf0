"""Clients that never end: a time limit for heads, a least pace for bodies and answers.

A client that sends a byte now and then costs a connection, not a worker; with limits it
costs that for seconds. They are kept here, below the application, as nothing above sees
a request before its head is whole (Slowloris, RFC 9110 section 15.5.9).
"""

import asyncio
import fcntl
import termios
from array import array
from typing import Any, ClassVar, cast

from cortex.service.http.client_certificates import CertificateProtocol
from cortex.service.http.connected import watch_leaving

HEAD_SECONDS = 10.0
"""Longest a head may take, from the connection or its first byte: honest ones come in
one packet."""

CONNECTIONS_MAX = 8_192
"""Open at once, idle ones and streams among them, in one process: about 20 KB each."""

BODY_WINDOW_SECONDS = 20.0
"""How often a body's pace is looked at."""

BODY_BYTES_MIN = 500
"""Bytes a body must bring in a window: 25 a second, a tenth of the slowest modem."""

TAKE_WINDOW_SECONDS = 30.0
"""How often it is looked at whether a client takes an answer that waits for it."""

TAKE_BYTES_MIN = 500
"""Bytes it must take in a window: an event stream whose reader stands still holds one
of few places."""

_ANSWER = (
    b'{"type":"urn:cortex:error:request-timeout","title":"Request timeout",'
    b'"status":408,"detail":"the request came too slowly","error":{"code":'
    b'"REQUEST_TIMEOUT","message":"the request came too slowly",'
    b'"hint":"Send it again, in one go."},"correlation_id":""}'
)
_HEAD = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/problem+json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n"
)
_FULL = (
    b'{"type":"urn:cortex:error:overloaded","title":"Overloaded","status":503,'
    b'"detail":"too many connections are open","error":{"code":"OVERLOADED",'
    b'"message":"too many connections are open",'
    b'"hint":"Close what is not used; wait as long as Retry-After says."},'
    b'"correlation_id":"","retry_after":5}'
)
_FULL_HEAD = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"content-type: application/problem+json\r\nretry-after: 5\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n"
)


class PatientProtocol(CertificateProtocol):
    """HTTP/1.1 whose patience ends; times while we ourselves do not read are free."""

    head_seconds: ClassVar[float] = HEAD_SECONDS
    body_window_seconds: ClassVar[float] = BODY_WINDOW_SECONDS
    body_bytes_min: ClassVar[int] = BODY_BYTES_MIN
    connections_max: ClassVar[int] = CONNECTIONS_MAX

    take_window_seconds: ClassVar[float] = TAKE_WINDOW_SECONDS
    take_bytes_min: ClassVar[int] = TAKE_BYTES_MIN

    _timer: asyncio.TimerHandle | None = None
    _taker: asyncio.TimerHandle | None = None
    _waiting = 0
    _arrived = 0
    _gone = False

    def connection_made(  # type: ignore[override]
        self, transport: asyncio.Transport
    ) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        if len(self.connections) > self.connections_max:
            transport.write(_FULL_HEAD % len(_FULL) + _FULL)
            transport.close()
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        self._stop_watching_taker()
        self._gone = True
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to wait for a head; the first one has been waited for since."""
        super().on_message_begin()
        watch_leaving(cast("dict[str, Any]", self.scope), self._has_left)
        if self._timer is None:
            self._wait_for_head()

    def on_headers_complete(self) -> None:
        """Look at the pace of the body from now on."""
        super().on_headers_complete()
        self._stop_waiting()
        self._watch_body()

    def on_body(self, body: bytes) -> None:
        """Count what comes."""
        self._arrived += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop waiting: what follows is our own time."""
        self._stop_waiting()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Look at the pace at which the answer is taken: it begins to pile up."""
        super().pause_writing()
        self._watch_taker()

    def resume_writing(self) -> None:
        """Stop looking: most of it is gone."""
        self._stop_watching_taker()
        super().resume_writing()

    def _watch_taker(self) -> None:
        self._waiting = self._untaken()
        self._taker = self.loop.call_later(self.take_window_seconds, self._judge_taker)

    def _judge_taker(self) -> None:
        self._taker = None
        if self._waiting - self._untaken() >= self.take_bytes_min:
            self._watch_taker()
            return
        self.logger.warning(
            "dropped a client that took nothing of its answer for %g seconds",
            self.take_window_seconds,
        )
        self.transport.abort()

    def _untaken(self) -> int:
        """Return the bytes the client has not taken, of which the kernel holds most."""
        held = array("i", [0])
        link = self.transport.get_extra_info("socket")
        fcntl.ioctl(link.fileno(), termios.TIOCOUTQ, held)
        return self.transport.get_write_buffer_size() + held[0]

    def _stop_watching_taker(self) -> None:
        if self._taker is not None:
            self._taker.cancel()
            self._taker = None

    def _has_left(self) -> bool:
        return self._gone

    def _wait_for_head(self) -> None:
        self._timer = self.loop.call_later(self.head_seconds, self._give_up)

    def _watch_body(self) -> None:
        self._arrived = 0
        self._timer = self.loop.call_later(self.body_window_seconds, self._judge_body)

    def _judge_body(self) -> None:
        if self._arrived < self.body_bytes_min and not self.flow.read_paused:
            self._give_up()
        else:
            self._watch_body()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if (
            self.cycle is None
            or not self.cycle.response_started
            or (self.cycle.response_complete)
        ):
            self.transport.write(_HEAD % len(_ANSWER) + _ANSWER)
        self.transport.close()
