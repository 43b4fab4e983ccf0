"""Facts that leave a room: written with the change, delivered after its commit.

``append`` puts an event into the caller's transaction: it exists exactly if the change
does. ``Relay`` then hands it to each subscriber at least once and in commit order, from
a cursor that lives in the same file; a subscriber recognises repeats by the event's id.

The outbox does not know what an event is beyond ``Fact``; ``cortex.bus.events.Event``
is one, and ``decode`` turns the stored bytes back into it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Generic, Protocol, TypeVar

import orjson

from cortex.foundation.errors import ValidationError
from cortex.storage.queries import Queries
from cortex.storage.sqlite import Connection, Database

T = TypeVar("T")

ERROR_CHARACTERS_MAX = 500
"""Characters of an error kept with a dead letter: its sentence, not its data."""

_SQL = Queries.load("cortex.storage", "outbox")


class Fact(Protocol):
    """What the outbox must know of an event."""

    @property
    def id(self) -> str:
        """Return what makes the event one and the same when it comes twice."""
        ...

    @property
    def type(self) -> str:
        """Return the registered name, such as ``memory.stored``."""
        ...

    @property
    def tenant(self) -> str:
        """Return whose event it is."""
        ...

    @property
    def time(self) -> float:
        """Return when it happened, in epoch seconds."""
        ...

    def to_json(self) -> bytes:
        """Return the whole event as JSON bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One stored event and its place in the order of commits."""

    position: int
    event: T


@dataclass(frozen=True, slots=True)
class Row:
    """One stored event before it is decoded."""

    position: int
    id: str
    type: str
    tenant: str
    body: bytes


@dataclass(frozen=True, slots=True)
class DeadLetter(Generic[T]):
    """An event that a subscriber refused too often.

    Attributes:
        tries: how often it was offered, over all retries.
        failed_at: the last time, in epoch seconds.
    """

    subscriber: str
    event_id: str
    event: T
    error: str
    tries: int
    failed_at: float


@dataclass(frozen=True, slots=True)
class Letters:
    """Which dead letters are meant; None leaves a condition out."""

    tenant: str | None = None
    subscriber: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Sought:
    """Which events of a tenant are meant; None leaves a condition out.

    Attributes:
        types: any of these; all when there are none.
        since: epoch seconds, as ``until``; both in.
        before: the position that all of them come before.
    """

    tenant: str
    types: tuple[str, ...] = ()
    subject: str | None = None
    since: float | None = None
    until: float | None = None
    before: int | None = None


def append(connection: Connection, event: Fact) -> None:
    """Add the event to the caller's transaction; the same id twice is one event."""
    row = (event.id, event.type, event.tenant, event.time, event.to_json())
    connection.execute(_SQL["append"], row)


def read_after(connection: Connection, position: int, limit: int) -> list[Row]:
    """Return up to ``limit`` events after a position, in commit order."""
    rows = connection.execute(_SQL["read_after"], (position, limit))
    return [Row(*row) for row in rows]


def position_of(connection: Connection, event_id: str) -> int | None:
    """Return the place of an event, or None when it was pruned or never there."""
    row = connection.execute(_SQL["position_of"], (event_id,)).fetchone()
    return None if row is None else int(row[0])


def last_position(connection: Connection) -> int:
    """Return the place of the newest event; 0 when there is none."""
    return int(connection.execute(_SQL["last_position"]).fetchone()[0])


def cursor_of(connection: Connection, subscriber: str) -> int:
    """Return the last position the subscriber has dealt with; 0 at first."""
    row = connection.execute(_SQL["cursor"], (subscriber,)).fetchone()
    return 0 if row is None else int(row[0])


def advance(connection: Connection, subscriber: str, position: int) -> None:
    """Move the subscriber's cursor forward; it never goes back."""
    connection.execute(_SQL["advance_cursor"], (subscriber, position))


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of what was delivered is kept, so that streams can resume.

    Attributes:
        before: events older than this (epoch seconds) go.
        events_max: of the younger ones, only the newest so many stay.
    """

    before: float
    events_max: int


def prune(
    connection: Connection, *, delivered: int, retention: Retention, limit: int
) -> int:
    """Delete up to ``limit`` delivered events past their retention; return how many.

    Args:
        connection: the writer's.
        delivered: the position that every durable subscriber has passed.
        retention: what to keep all the same.
        limit: rows in one go, to keep the transaction short.
    """
    bounds = {
        "delivered": delivered,
        "oldest_kept": last_position(connection) - retention.events_max,
        "before": retention.before,
        "limit": limit,
    }
    return int(connection.execute(_SQL["prune"], bounds).rowcount)


class Journal(Generic[T]):
    """Reads stored events back, for streams that resume and people who look.

    What this release cannot read, because another one wrote it, is passed over: it
    must not hide what stands beside it.
    """

    def __init__(self, database: Database, decode: Callable[[bytes], T]) -> None:
        """Read from ``database``.

        ``decode`` undoes ``Fact.to_json`` and raises ``ValidationError`` for what it
        does not know.
        """
        self._database = database
        self._decode = decode

    async def position_of(self, event_id: str) -> int | None:
        """Return where an event stands, or None when it is no longer kept."""
        return await self._database.read(lambda c: position_of(c, event_id))

    async def last_position(self) -> int:
        """Return where the newest event stands; 0 when there is none."""
        return await self._database.read(last_position)

    async def after(self, position: int, *, limit: int) -> list[Entry[T]]:
        """Return up to ``limit`` events that were committed after a position."""
        while True:
            rows = await self._database.read(
                lambda c, after=position: read_after(c, after, limit)  # type: ignore[misc]
            )
            read = ((row.position, self._read(row.body)) for row in rows)
            known = [Entry(at, event) for at, event in read if event is not None]
            if known or len(rows) < limit:
                return known
            position = rows[-1].position

    async def before(self, sought: Sought, *, limit: int) -> list[Entry[T]]:
        """Return up to ``limit`` events that are sought, the newest first."""
        types = orjson.dumps(sought.types).decode()
        bounds = {**asdict(sought), "types": types, "limit": limit}

        def select(connection: Connection) -> list[Row]:
            return [
                Row(*row) for row in connection.execute(_SQL["read_before"], bounds)
            ]

        while True:
            rows = await self._database.read(select)
            read = ((row.position, self._read(row.body)) for row in rows)
            known = [Entry(at, event) for at, event in read if event is not None]
            if known or len(rows) < limit:
                return known
            bounds["before"] = rows[-1].position

    async def dead_letters(
        self, which: Letters | None = None, *, limit: int
    ) -> list[DeadLetter[T]]:
        """Return refused events, the oldest failure first."""
        bounds = {**asdict(which or Letters()), "limit": limit}

        def select(connection: Connection) -> list[tuple[str, ...]]:
            return connection.execute(_SQL["dead_letters"], bounds).fetchall()

        letters = map(self._letter, await self._database.read(select))
        return [letter for letter in letters if letter is not None]

    async def dead_letter(self, subscriber: str, event_id: str) -> DeadLetter[T] | None:
        """Return one refused event."""

        def select(connection: Connection) -> tuple[str, ...] | None:
            cursor = connection.execute(_SQL["dead_letter"], (subscriber, event_id))
            row: tuple[str, ...] | None = cursor.fetchone()
            return row

        row = await self._database.read(select)
        return None if row is None else self._letter(row)

    def _read(self, body: bytes) -> T | None:
        try:
            return self._decode(body)
        except ValidationError:
            return None

    def _letter(self, row: tuple[object, ...]) -> DeadLetter[T] | None:
        subscriber, event_id, _type, body, error, tries, failed_at = row
        event = self._read(bytes(body))  # type: ignore[call-overload]
        if event is None:
            return None
        return DeadLetter(
            subscriber=str(subscriber),
            event_id=str(event_id),
            event=event,
            error=str(error),
            tries=int(tries),  # type: ignore[call-overload]
            failed_at=float(failed_at),  # type: ignore[arg-type]
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """Why and when a subscriber gave up on an event."""

    subscriber: str
    error: str
    tries: int
    failed_at: float


def bury(connection: Connection, row: Row, failure: Failure) -> None:
    """Keep the event as a dead letter; the relay moves the cursor past it."""
    connection.execute(
        _SQL["bury"],
        (
            failure.subscriber,
            row.id,
            row.type,
            row.body,
            failure.error[:ERROR_CHARACTERS_MAX],
            failure.tries,
            failure.failed_at,
        ),
    )


def bury_again(connection: Connection, event_id: str, failure: Failure) -> None:
    """Note one more failure of a dead letter, unless it is gone."""
    error = failure.error[:ERROR_CHARACTERS_MAX]
    row = (error, failure.tries, failure.failed_at, failure.subscriber, event_id)
    connection.execute(_SQL["bury_again"], row)


def exhume(connection: Connection, subscriber: str, event_id: str) -> None:
    """Forget a dead letter, because it has been delivered after all."""
    connection.execute(_SQL["exhume"], (subscriber, event_id))
