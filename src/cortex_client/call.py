"""A request and the reading of its answer, as values.

Both clients send the same ``Call``: what differs is only how they wait.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Generic, TypedDict, TypeVar
from urllib.parse import quote

T = TypeVar("T")
U = TypeVar("U")

Param = str | int | float | bool | None
Params = Mapping[str, Param | Sequence[str]]


class Retry(Enum):
    """When a failed call may be sent again.

    ``SAFE``: doing it twice is doing it once. ``UNSENT``: only when the server
    certainly did nothing (never reached, or refused at the door).
    """

    SAFE = "safe"
    UNSENT = "unsent"


class Traced(TypedDict, total=False):
    """Options every call takes.

    ``correlation_id``: at most 128 printable characters; found again in the
    server's log, events and ledger. Without one the server makes one.
    """

    correlation_id: str | None


def segment(name: str) -> str:
    """Return a name as one part of a path, whatever it holds.

    A part of one or two dots would be resolved before it is sent (RFC 3986, 5.2.4):
    another path would be asked.
    """
    if name in {".", ".."}:
        return name.replace(".", "%2E")
    return quote(name, safe="")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: header names are lower-case, ``body`` is parsed JSON."""

    status: int
    headers: Mapping[str, str]
    body: object


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong before an answer; ``sent`` when the server may have acted."""

    message: str
    sent: bool
    code: str = "CONNECTION_ERROR"


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request.

    Attributes:
        decode: reads a good answer.
        body: JSON value, or bytes with their own content type.
        keyed: list in ``body`` whose objects need an ``idempotency_key``.
        keyed_where: only those objects that have this field need one.
        accept: statuses besides 2xx that are answers, not errors.
        signed: the answer carries a signature over itself.
    """

    method: str
    path: str
    decode: Callable[[Answer], T]
    params: Params = field(default_factory=dict)
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry: Retry = Retry.SAFE
    keyed: str | None = None
    keyed_where: str | None = None
    accept: frozenset[int] = frozenset()
    signed: bool = False

    def then(self, read: Callable[[T], U]) -> "Call[U]":
        """Return the same request whose result is ``read`` of this one's."""
        decode = self.decode
        return replace(self, decode=lambda answer: read(decode(answer)))  # type: ignore[arg-type,return-value]

    def with_keys(self, new_key: Callable[[], str]) -> "Call[T]":
        """Return the call with a key on each item that would double on a retry.

        A key makes two calls two memories, so an item that the server knows again
        gets none: it does by content and time, and a message of a conversation by
        its time alone, for people do say "ok" twice.
        """
        if self.keyed is None or not isinstance(self.body, dict):
            return self
        items = [
            {**item, "idempotency_key": new_key()} if self._doubles(item) else item
            for item in self.body[self.keyed]
        ]
        return replace(self, body={**self.body, self.keyed: items})

    def _doubles(self, item: Mapping[str, object]) -> bool:
        named = ("idempotency_key", "occurred_at")
        if any(item.get(name) is not None for name in named):
            return False
        return self.keyed_where is None or bool(item.get(self.keyed_where))


class LineReader(Generic[T]):
    """Reads a stream line by line; one object for one stream."""

    def feed(self, line: str) -> T | None:
        """Return an item when ``line`` completes one."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Flow(Generic[T]):
    """A request whose answer is an endless or long stream of lines.

    ``silence_seconds``: without a line for so long it counts as broken; None: never.
    """

    path: str
    reader: Callable[[], LineReader[T]]
    params: Params = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    silence_seconds: float | None = None

    @property
    def opening(self) -> Call[Any]:
        """Return the call that opens the stream, for its request and its errors."""
        return Call(
            "GET", self.path, lambda answer: answer, self.params, None, self.headers
        )


def traced(correlation_id: str | None) -> dict[str, str]:
    """Return the header that carries ``correlation_id``, if there is one."""
    return {} if correlation_id is None else {"X-Correlation-ID": correlation_id}
