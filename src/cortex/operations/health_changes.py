"""Tells once when a component ceases to be well, and once when it is well again.

Both have to last: what comes and goes between two looks is told to nobody.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from cortex.bus.events import Event
from cortex.bus.registry import EVENT_TEXT_CHARACTERS_MAX
from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError
from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import DEFAULT_TENANT
from cortex.storage import outbox
from cortex.storage.queries import Queries
from cortex.storage.sqlite import Connection, Database

UNWELL_SECONDS = 10.0
"""How long a component is unwell before that is told: a hiccup is not."""

WELL_SECONDS = 30.0
"""How long it is well before that is told. With the above, a component that comes and
goes is told of at most three times in two minutes."""

UNTOLD_MAX = 256
"""Events kept while the file takes none; the oldest give way."""

DEGRADED = "health.degraded"
RECOVERED = "health.recovered"
WELL = "ok"
GONE = "it is no longer checked"

_SOURCE = "cortex/operations"
_SQL = Queries.load("cortex.operations", "health")


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look at a component found; ``status`` is ``ok`` or says how bad."""

    component: str
    status: str = WELL
    reason: str = ""

    @property
    def well(self) -> bool:
        """Return whether all is well with it."""
        return self.status == WELL


@dataclass(frozen=True, slots=True)
class Standing:
    """What was told of a component.

    Attributes:
        unwell: whether others were told that it is unwell.
        turned_at: since when it has been otherwise, monotonic seconds; None if not.
    """

    unwell: bool = False
    turned_at: float | None = None


def step(standing: Standing, seen: Seen, now: float) -> Standing:
    """Return the standing after a look; ``unwell`` changed if others must be told."""
    if seen.well is not standing.unwell:
        return Standing(standing.unwell)
    since = now if standing.turned_at is None else standing.turned_at
    lasting = WELL_SECONDS if standing.unwell else UNWELL_SECONDS
    if now - since >= lasting:
        return Standing(not standing.unwell)
    return replace(standing, turned_at=since)


class ChangeStore(Protocol):
    """Where it survives what was told; ``HealthStore`` is one."""

    async def load(self) -> frozenset[str]:
        """Return the components that are unwell, as was told last."""
        ...

    async def save(self, events: Sequence[Event]) -> None:
        """Append events and what they say to what is kept, all or nothing."""
        ...


class HealthStore:
    """Keeps which components are unwell, in one transaction with the events."""

    def __init__(self, database: Database) -> None:
        """Use an opened database with the migrations of this room."""
        self._database = database

    async def load(self) -> frozenset[str]:
        """Return the components that are unwell, as was told last."""

        def query(connection: Connection) -> frozenset[str]:
            return frozenset(name for (name,) in connection.execute(_SQL["unwell"]))

        return await self._database.read(query)

    async def save(self, events: Sequence[Event]) -> None:
        """Append events and what they say to what is kept, all or nothing."""

        def unit(connection: Connection) -> None:
            for event in events:
                named: dict[str, object] = {"component": event.subject}
                if event.type == DEGRADED:
                    fell = {**named, "since": event.time}
                    connection.execute(_SQL["fell"], fell)
                else:
                    connection.execute(_SQL["rose"], named)
                outbox.append(connection, event)

        await self._database.write(unit)


class HealthChanges:
    """Follows all components; for one event loop, and one process of many."""

    def __init__(self, store: ChangeStore, *, clock: Clock, ids: IdSource) -> None:
        """Begin with nothing told."""
        self._store = store
        self._clock = clock
        self._ids = ids
        self._standing: dict[str, Standing] = {}
        self._untold: list[Event] = []

    async def follow(self) -> None:
        """Take over what was told, by this process or another."""
        unwell = await self._store.load()
        self._standing = {name: Standing(unwell=True) for name in unwell}

    async def evaluate(self, looked: Iterable[Seen]) -> None:
        """Take every component one step, and tell what changed.

        What a failing store does not take waits there, and is told with the time at
        which it happened once the store works again.
        """
        now = self._clock.monotonic()
        found = {seen.component: seen for seen in looked}
        for name in self._standing.keys() - found.keys():
            found[name] = Seen(name, reason=GONE)
        for name, seen in found.items():
            before = self._standing.get(name, Standing())
            after = self._standing[name] = step(before, seen, now)
            if after.unwell is not before.unwell:
                self._untold.append(self._event(seen))
        del self._untold[:-UNTOLD_MAX]
        await self._tell()

    async def _tell(self) -> None:
        if not self._untold:
            return
        try:
            await self._store.save(self._untold)
        except CortexError:
            return  # A full disk or a busy file: the next look tries again.
        self._untold.clear()

    def _event(self, seen: Seen) -> Event:
        return Event(
            id=self._ids.new(),
            type=RECOVERED if seen.well else DEGRADED,
            source=_SOURCE,
            time=self._clock.now(),
            subject=seen.component,
            tenant=DEFAULT_TENANT,
            data={
                "component": seen.component,
                "status": seen.status,
                "reason": seen.reason[:EVENT_TEXT_CHARACTERS_MAX],
            },
        )
