"""Groups of errors to a Sentry server, or any that speaks its protocol.

Sentry's SDK documents, "Envelopes", "Event Payloads", "Authentication" and "Rate
Limiting" (https://develop.sentry.dev/sdk/): one event an envelope, and no event of
errors while the server wants none. Sent in the background from a bounded waiting room;
occurrences of one fault wait as one group, so a storm costs one event.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import orjson

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.telemetry.dsn import Dsn
from cortex.telemetry.errors import ErrorGroup

SEND_SECONDS: Final = 5.0
"""Between two looks at what waits."""

GROUPS_WAITING_MAX: Final = 100
"""Faults that wait for a server that is away or wants none; others are dropped."""

BACKOFF_SECONDS: Final = 60.0
"""Until a server that did not answer, or gave no time, is asked again (as SDKs do)."""

BACKOFF_SECONDS_MAX: Final = 24 * 3600.0
"""The longest that a server's word keeps errors back."""

PROTOCOL_VERSION: Final = 7
CONTENT_TYPE: Final = "application/x-sentry-envelope"

_CATEGORY = "error"
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?")
_GOOD = range(200, 300)
_SERVER_FAULTS = range(500, 600)


@dataclass(frozen=True, slots=True)
class Origin:
    """What every event says of this server."""

    version: str
    environment: str

    @property
    def sdk(self) -> str:
        """Return the name and version of what sends."""
        return f"cortex/{self.version}"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer of the server; header names are lower-case."""

    status: int
    headers: Mapping[str, str]


Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[Told]]
"""Sends bytes to an address with headers; ``OSError`` when no answer comes in time."""


def headers(dsn: Dsn, origin: Origin) -> dict[str, str]:
    """Return the headers of a request."""
    auth = (
        f"Sentry sentry_version={PROTOCOL_VERSION}, sentry_key={dsn.key}, "
        f"sentry_client={origin.sdk}"
    )
    return {
        "Content-Type": CONTENT_TYPE,
        "User-Agent": origin.sdk,
        "X-Sentry-Auth": auth,
    }


def envelope(group: ErrorGroup, origin: Origin, event_id: str, now: float) -> bytes:
    """Return an envelope of one event; ``event_id`` is 32 hexadecimal digits."""
    payload = orjson.dumps(event(group, origin, event_id))
    sdk = {"name": "cortex", "version": origin.version}
    head = {"event_id": event_id, "sent_at": _moment(now), "sdk": sdk}
    item = {
        "type": "event",
        "content_type": "application/json",
        "length": len(payload),
    }
    return b"\n".join((orjson.dumps(head), orjson.dumps(item), payload, b""))


def event(group: ErrorGroup, origin: Origin, event_id: str) -> dict[str, JsonValue]:
    """Return the event of a group: nothing but what ``/performance/errors`` shows."""
    tags = {
        "code": group.code,
        "place": group.place,
        "correlation_id": group.last_correlation_id,
        "trace_id": group.last_trace_id,
    }
    fault: dict[str, JsonValue] = {
        "type": group.type,
        "value": group.message,
        "stacktrace": {"frames": [_frame(one) for one in group.frames]},
    }
    return {
        "event_id": event_id,
        "timestamp": group.last_seen,
        "platform": "python",
        "level": "error",
        "logger": "cortex",
        "release": f"cortex@{origin.version}",
        "environment": origin.environment,
        "transaction": group.route,
        "fingerprint": [group.fingerprint],
        "exception": {"values": [fault]},
        "tags": {name: value for name, value in tags.items() if value},
        "extra": {"occurrences": group.count, "first_seen": _moment(group.first_seen)},
    }


def kept_back(told: Told, now: float) -> float:
    """Return for how many seconds the server wants no errors; 0 when it does."""
    limits = told.headers.get("x-sentry-rate-limits", "")
    if limits:
        seconds = max((_limit(one) for one in limits.split(",")), default=0.0)
    elif told.status == HTTPStatus.TOO_MANY_REQUESTS:
        seconds = _retry_after(told.headers.get("retry-after", ""), now)
    else:
        seconds = 0.0
    if _wanted_later(told):
        seconds = seconds or BACKOFF_SECONDS
    return min(seconds, BACKOFF_SECONDS_MAX)


class SentrySender:
    """Sends groups to one server; ``offer`` never waits and never fails."""

    def __init__(
        self,
        dsn: Dsn,
        origin: Origin,
        post: Post,
        clock: Clock,
        new_event_id: Callable[[], str],
    ) -> None:
        """Begin with nothing to send."""
        self._dsn = dsn
        self._origin = origin
        self._post = post
        self._clock = clock
        self._new_event_id = new_event_id
        self._waiting: dict[str, ErrorGroup] = {}
        self._not_before = 0.0
        self.sent = 0
        self.dropped = 0

    def offer(self, groups: Sequence[ErrorGroup]) -> None:
        """Let occurrences wait to be sent."""
        for group in groups:
            known = self._waiting.get(group.fingerprint)
            if known is None and len(self._waiting) >= GROUPS_WAITING_MAX:
                self.dropped += group.count
            else:
                self._waiting[group.fingerprint] = _joined(known, group)

    async def run(self) -> None:
        """Send every few seconds, until cancelled."""
        while True:
            await self._clock.sleep(SEND_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Send what waits, as far as the server takes it."""
        while self._waiting and self._clock.monotonic() >= self._not_before:
            group = self._waiting.pop(next(iter(self._waiting)))
            done = False
            try:
                done = await self._send(group)
            finally:  # also when the server stops meanwhile: the last flush has it
                if not done:
                    self.offer([group])

    async def _send(self, group: ErrorGroup) -> bool:
        """Return whether that is done with; False: the group is to wait."""
        now, began = self._clock.now(), self._clock.monotonic()
        body = envelope(group, self._origin, self._new_event_id(), now)
        try:
            told = await self._post(
                self._dsn.url, body, headers(self._dsn, self._origin)
            )
        except OSError:
            self._not_before = began + BACKOFF_SECONDS
            return False
        self._not_before = began + kept_back(told, now)
        if told.status in _GOOD:
            self.sent += 1
        elif _wanted_later(told):
            return False
        else:
            self.dropped += group.count
        return True


def _wanted_later(told: Told) -> bool:
    busy = told.status == HTTPStatus.TOO_MANY_REQUESTS
    return busy or told.status in _SERVER_FAULTS


def _joined(known: ErrorGroup | None, new: ErrorGroup) -> ErrorGroup:
    if known is None:
        return new
    last = max(known, new, key=lambda group: group.last_seen)
    return replace(
        last,
        count=known.count + new.count,
        first_seen=min(known.first_seen, new.first_seen),
    )


def _frame(frame: str) -> JsonValue:
    module, _, rest = frame.partition(":")
    function, _, line = rest.rpartition(":")
    return {
        "module": module,
        "function": function,
        "lineno": int(line) if line.isdecimal() else None,
        "in_app": module.startswith("cortex."),
    }


def _limit(text: str) -> float:
    """Return the seconds of one limit (``60:error;default:organization``) on errors."""
    seconds, _, rest = text.strip().partition(":")
    categories = rest.partition(":")[0].split(";")
    meant = categories == [""] or _CATEGORY in categories
    return float(seconds) if meant and _SECONDS.fullmatch(seconds) else 0.0


def _retry_after(text: str, now: float) -> float:
    """Return the seconds of ``Retry-After``: a number or a date (RFC 9110, 10.2.3)."""
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return BACKOFF_SECONDS


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
