"""Daily quotas: how many tokens, embeddings and bytes a tenant may use up.

A day is a day of UTC. What a call uses is known when it is over, so a tenant that has
anything left may finish the call that uses it up; the next one is refused until
midnight. Usage is kept in the database: it survives a restart, and the workers of one
server see each other's within `FLUSH_SECONDS`.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from cortex.foundation.clock import Clock
from cortex.operations.errors import QuotaExceeded
from cortex.storage.queries import Queries
from cortex.storage.sqlite import Connection, Database

FLUSH_SECONDS: Final = 1.0
"""Time after which usage is stored, and what other workers stored is seen."""

DAYS_KEPT: Final = 35
"""Days of usage kept to look back on: a month and some."""

TENANTS_MAX: Final = 100_000
"""Tenants counted a day in memory: about 30 MB; more share one count."""

_DAY_SECONDS: Final = 86_400
_OTHERS: Final = "~others"
_SQL = Queries.load("cortex.operations", "quotas")


class Measure(StrEnum):
    """What is counted."""

    TOKENS = "tokens"
    EMBEDDINGS = "embeddings"
    BYTES = "bytes"


Key: TypeAlias = tuple[str, Measure]


@dataclass(frozen=True, slots=True)
class Quotas:
    """What one tenant may use a day; None is without limit.

    Attributes:
        tokens: of embedded texts and of contexts built.
        embeddings: texts and files embedded or stored.
        bytes: of texts stored, in UTF-8, and of files.
    """

    tokens: int | None = None
    embeddings: int | None = None
    bytes: int | None = None

    def of(self, measure: Measure) -> int | None:
        """Return the limit of one measure."""
        limit: int | None = getattr(self, measure.value)
        return limit


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tenant used today.

    Attributes:
        seconds_left: until all counts start anew.
    """

    used: Mapping[Measure, int]
    quotas: Quotas
    seconds_left: float


def day_of(now: float) -> int:
    """Return the number of a moment's day."""
    return int(now // _DAY_SECONDS)


def seconds_left(now: float) -> float:
    """Return the time until the next day begins."""
    return (day_of(now) + 1) * _DAY_SECONDS - now


class Meter:
    """Counts what tenants use, and refuses those that used up a quota."""

    def __init__(self, quotas: Quotas, database: Database, *, clock: Clock) -> None:
        """Use an opened database with the migrations of this room."""
        self._quotas = quotas
        self._database = database
        self._clock = clock
        self._day = day_of(clock.now())
        self._stored: dict[Key, int] = {}
        self._added: Counter[Key] = Counter()

    def check(self, tenant: str, *measures: Measure) -> None:
        """Return if the tenant has something left of each measure.

        Raises:
            QuotaExceeded: one is used up; says which, and when it starts anew.
        """
        self._turn()
        for measure in measures:
            limit = self._quotas.of(measure)
            used = self._used((tenant, measure))
            if limit is not None and used >= limit:
                raise QuotaExceeded(
                    f"this tenant used up its {limit} {measure.value} of today",
                    hint="Try again after midnight UTC, or have the quota raised.",
                    retry_after_seconds=seconds_left(self._clock.now()),
                    measure=measure.value,
                    used=used,
                    limit=limit,
                )

    def limit(self, quotas: Quotas) -> None:
        """Let tenants use so much from now on; what they used today counts."""
        self._quotas = quotas

    def add(self, tenant: str, used: Mapping[Measure, int]) -> None:
        """Count what a call used."""
        self._turn()
        for measure, amount in used.items():
            if amount:
                self._added[self._key(tenant, measure)] += amount

    def usage(self, tenant: str) -> Usage:
        """Return what a tenant used today, and what it may."""
        self._turn()
        used = {measure: self._used((tenant, measure)) for measure in Measure}
        now = self._clock.now()
        return Usage(used, self._quotas, seconds_left(now))

    async def open(self) -> None:
        """Read what was used today."""
        self._stored = await self._database.read(self._read)

    async def flush(self) -> None:
        """Store what was added, and see what others did."""
        self._turn()
        day, added = self._day, self._added
        self._added = Counter()
        if added:
            try:
                await self._database.write(lambda c: _store(c, day, added))
            except BaseException:
                if day == self._day:
                    self._added.update(added)
                raise
        stored = await self._database.read(self._read)
        if day == self._day:
            self._stored = stored

    async def run(self) -> None:
        """Flush again and again; runs until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    def _used(self, key: Key) -> int:
        return self._stored.get(key, 0) + self._added[key]

    def _key(self, tenant: str, measure: Measure) -> Key:
        key = (tenant, measure)
        if key in self._stored or len(self._stored) < TENANTS_MAX:
            return key
        return (_OTHERS, measure)

    def _turn(self) -> None:
        """Begin a new day when the clock says so."""
        today = day_of(self._clock.now())
        if today != self._day:
            self._day, self._stored, self._added = today, {}, Counter()

    def _read(self, connection: Connection) -> dict[Key, int]:
        rows = connection.execute(_SQL["usage"], {"day": self._day})
        return {(tenant, Measure(measure)): used for tenant, measure, used in rows}


def _store(connection: Connection, day: int, added: Mapping[Key, int]) -> None:
    for (tenant, measure), used in added.items():
        connection.execute(
            _SQL["add_usage"],
            {"day": day, "tenant": tenant, "measure": measure.value, "used": used},
        )
    connection.execute(_SQL["forget_usage"], {"day": day - DAYS_KEPT})
