"""History in SQLite: one packed row an instant, rolled up as it grows old."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import orjson

from cortex.foundation.clock import Clock
from cortex.storage.observations.tiers import TIERS, Tier, merged, tier_for
from cortex.storage.observations.vectors import columns, pack, resized, unpack
from cortex.storage.queries import Queries
from cortex.storage.sqlite import Connection, Database
from cortex.telemetry.history.model import (
    Catalogued,
    Floats,
    Kind,
    Labels,
    Run,
    Sample,
    Selector,
    Series,
)

SERIES_MAX = 20_000
"""Series kept; samples of further ones are dropped: labels must be bounded."""

BYTES_MAX = 256 * 1024 * 1024
"""Bytes of packed values; beyond, the oldest of the finest tier go first."""

SET_BACK_SECONDS = 60.0
"""A last instant so far ahead of the clock tells that the clock was set back; less is
another process that was quicker."""

LEAP_SECONDS = 86_400.0
"""A gap so long is a leap of the clock, or a long rest; which, is not known at once."""

LEAP_DOUBT_SECONDS = 3_600.0
"""How long nothing is dropped for its age behind a leap: time to set a clock right."""

_SHRINK_TO = 0.9
"""Part of ``BYTES_MAX`` that is left after making room."""

_SQL = Queries.load("cortex.storage.observations", "series")

_Key = tuple[str, Labels]


@dataclass(slots=True)
class _State:
    """What the writer knows of the file; read again when another process wrote."""

    at: float = 0.0
    run: str = ""
    exposed: Floats = field(default_factory=lambda: np.zeros(0))
    totals: Floats = field(default_factory=lambda: np.zeros(0))
    ids: dict[_Key, int] = field(default_factory=dict)
    counters: set[int] = field(default_factory=set)

    def mask(self, size: int) -> Floats:
        """Return 1 for counters and 0 for gauges, by position."""
        mask = np.zeros(size)
        mask[[number - 1 for number in self.counters if number <= size]] = 1.0
        return mask


class SqliteHistory:
    """Keeps history in a database with this package's migrations.

    Several processes may share the file: of each instant the first to come is kept.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        """Keep history in an open database."""
        self._database = database
        self._clock = clock
        self._state = _State()

    async def append(self, at: float, samples: Sequence[Sample], run: Run) -> bool:
        """Keep all samples of one instant; see ``History.append``."""
        return await self._database.write(lambda c: self._unit(c, at, samples, run))

    async def select(
        self, selector: Selector, start: float, end: float, *, step: float = 0.0
    ) -> list[Series]:
        """Return series between two times, both in; see ``History.select``."""
        tier = tier_for(start, step, self._clock.now())
        return await self._database.read(
            lambda c: _select(c, selector, (start, end), tier)
        )

    async def catalog(self) -> list[Catalogued]:
        """Return every metric that is kept, by name."""
        rows = await self._database.read(
            lambda c: c.execute(_SQL["catalog"]).fetchall()
        )
        return [Catalogued(name, Kind(kind), count) for name, kind, count in rows]

    def _unit(
        self, connection: Connection, at: float, samples: Sequence[Sample], run: Run
    ) -> bool:
        try:
            return self._append(connection, at, samples, run)
        except BaseException:
            # What it named in memory was undone in the file: read it again.
            self._state = _State(at=np.nan)
            raise

    def _append(
        self, connection: Connection, at: float, samples: Sequence[Sample], run: Run
    ) -> bool:
        state = self._refreshed(connection)
        if state.at - at >= SET_BACK_SECONDS:
            # What was kept of the time that comes again would hide all that is new.
            connection.execute(_SQL["forget_from"], {"at": at})
            last = _scalar(connection, "last_instant", {"tier": TIERS[0].number})
            state.at = at - 1.0 if last is None else last
        if at <= state.at:
            return False
        same = state.run == run.name
        born = state.at if same else min(run.started_at, at)
        positions, values = self._placed(connection, samples, born)
        size = max(state.ids.values(), default=0)
        before = resized(state.exposed, size, 0.0) if same else np.zeros(size)
        totals = resized(state.totals, size, 0.0)
        mask = state.mask(size)
        exposed = before.copy()
        exposed[positions] = values
        grown = np.where(exposed >= before, exposed - before, exposed)
        totals = totals + np.where(mask > 0, np.nan_to_num(grown), 0.0)
        gauges = np.full(size, np.nan)
        gauges[positions] = values
        instant = np.where(mask > 0, totals, gauges)
        state.exposed, state.totals = np.where(mask > 0, exposed, 0.0), totals
        state.at, state.run = at, run.name
        self._write(connection, instant)
        return True

    def _write(self, connection: Connection, instant: Floats) -> None:
        state = self._state
        _put(connection, TIERS[0], state.at, instant)
        row = {
            "at": state.at,
            "run": state.run,
            "exposed": pack(state.exposed),
            "totals": pack(state.totals),
        }
        connection.execute(_SQL["write_counters"], row)
        for fine, coarse in pairwise(TIERS):
            _roll_up(connection, fine, coarse, state)

    def _placed(
        self, connection: Connection, samples: Sequence[Sample], born: float
    ) -> tuple[list[int], list[float]]:
        """Return positions in the vector and values, giving new series a place."""
        ids = self._state.ids
        positions: list[int] = []
        values: list[float] = []
        for sample in samples:
            number = ids.get((sample.name, sample.labels))
            if number is None:
                if len(ids) >= SERIES_MAX:
                    continue
                number = self._add(connection, sample, born)
            positions.append(number - 1)
            values.append(sample.value)
        return positions, values

    def _add(self, connection: Connection, sample: Sample, born: float) -> int:
        row = {
            "name": sample.name,
            "labels": orjson.dumps(sample.labels).decode(),
            "kind": sample.kind.value,
            "born": born,
        }
        number = int(connection.execute(_SQL["insert_series"], row).fetchone()[0])
        self._state.ids[sample.name, sample.labels] = number
        if sample.kind is Kind.COUNTER:
            self._state.counters.add(number)
        return number

    def _refreshed(self, connection: Connection) -> _State:
        """Return the state, read anew unless this process wrote last."""
        row = connection.execute(_SQL["read_counters"]).fetchone()
        if row is None:
            self._state = _State()
        elif row[0] != self._state.at or row[1] != self._state.run:
            at, run, exposed, totals = row
            self._state = _State(at, run, unpack(exposed), unpack(totals))
        else:
            return self._state
        for number, name, labels, kind, _born in connection.execute(_SQL["all_series"]):
            self._state.ids[name, _labels(labels)] = number
            if kind == Kind.COUNTER:
                self._state.counters.add(number)
        return self._state


def _put(connection: Connection, tier: Tier, at: float, vector: Floats) -> None:
    row = {"tier": tier.number, "at": at, "vector": pack(vector)}
    connection.execute(_SQL["insert_instant"], row)


def _roll_up(connection: Connection, fine: Tier, coarse: Tier, state: _State) -> None:
    """Merge every stretch that is over, then drop what is older than its time."""
    over = state.at // coarse.seconds * coarse.seconds
    last = _scalar(connection, "last_instant", {"tier": coarse.number})
    rolled = 0.0 if last is None else _stretch_end(last, coarse)
    following = {"tier": fine.number, "at": rolled}
    begin = _scalar(connection, "first_after", following)
    while begin is not None and _stretch_end(begin, coarse) <= over:
        end = _stretch_end(begin, coarse)
        rows = _packed(connection, fine, begin, end)
        found = [unpack(packed) for _, packed in rows]
        size = found[-1].size
        vectors = [resized(vector, size, np.nan) for vector in found]
        _put(connection, coarse, rows[-1][0], merged(vectors, state.mask(size)))
        begin = _scalar(connection, "first_after", {"tier": fine.number, "at": end})
        if begin is None or _stretch_end(begin, coarse) > over:
            _prune(connection, fine, state.at)
            if coarse is TIERS[-1]:
                _prune(connection, coarse, state.at)
                _make_room(connection)


def _stretch_end(at: float, tier: Tier) -> float:
    """Return the end of the stretch ``at`` is in; a stretch holds its end."""
    return float(np.ceil(at / tier.seconds) * tier.seconds)


def _prune(connection: Connection, tier: Tier, now: float) -> None:
    """Drop what is older than its time, unless the clock may have leapt lately."""
    then = now - LEAP_DOUBT_SECONDS
    settled = _scalar(connection, "last_until", {"tier": TIERS[0].number, "at": then})
    if settled is not None and then - settled > LEAP_SECONDS:
        return
    row = {"tier": tier.number, "before": now - tier.kept_seconds}
    connection.execute(_SQL["prune"], row)


def _make_room(connection: Connection) -> None:
    """Drop the older part of the finest tiers when all of them are too large."""
    sizes = {
        tier: connection.execute(_SQL["tier_bytes"], {"tier": tier.number}).fetchone()
        for tier in TIERS
    }
    excess = sum(row[0] for row in sizes.values()) - BYTES_MAX
    if excess <= 0:
        return
    excess += int(BYTES_MAX * (1 - _SHRINK_TO))
    for tier, (size, _count, first, last) in sizes.items():
        if excess <= 0 or not size:
            return
        part = min(1.0, excess / size)
        before = first + (last - first) * part
        connection.execute(_SQL["prune"], {"tier": tier.number, "before": before})
        excess -= size


def _select(
    connection: Connection, selector: Selector, span: tuple[float, float], tier: Tier
) -> list[Series]:
    start, end = span
    found = list(_chosen(connection, selector))
    if not found:
        return []
    rows = list(_read(connection, tier, start, end))
    times = np.array([at for at, _ in rows])
    matrix = columns([packed for _, packed in rows], [one[0] for one in found])
    answer = []
    for column, (_position, labels, kind, born) in enumerate(found):
        values = matrix[:, column]
        series = _trimmed(Series(selector.name, labels, kind, times, values))
        if kind is Kind.COUNTER and start <= born <= end:
            series = _with_birth(series, born)
        if series.times.size:
            answer.append(series)
    return answer


def _chosen(
    connection: Connection, selector: Selector
) -> Iterator[tuple[int, Labels, Kind, float]]:
    """Yield position, labels, kind and birth of the series that are meant."""
    rows = connection.execute(_SQL["series_of"], {"name": selector.name})
    for number, _name, text, kind, born in rows:
        pairs = orjson.loads(text)
        names = dict(pairs)
        if all(matcher.accepts(names) for matcher in selector.matchers):
            labels = tuple((label, value) for label, value in pairs)
            yield number - 1, labels, Kind(kind), born


def _read(
    connection: Connection, tier: Tier, start: float, end: float
) -> Iterator[tuple[float, bytes]]:
    """Yield a tier's packed vectors, then what only the finer tiers hold so far."""
    last = -np.inf
    for finer in reversed(TIERS[: tier.number + 1]):
        for at, packed in _packed(connection, finer, start, end):
            if at > last:
                last = at
                yield at, packed


def _packed(
    connection: Connection, tier: Tier, start: float, end: float
) -> list[tuple[float, bytes]]:
    bounds = {"tier": tier.number, "start": start, "end": end}
    return connection.execute(_SQL["vectors"], bounds).fetchall()


def _trimmed(series: Series) -> Series:
    there = ~np.isnan(series.values)
    return Series(
        series.name,
        series.labels,
        series.kind,
        series.times[there],
        series.values[there],
    )


def _with_birth(series: Series, born: float) -> Series:
    """Return the series with the zero it was born with."""
    if series.times.size and series.times[0] <= born:
        return series
    return Series(
        series.name,
        series.labels,
        series.kind,
        np.concatenate(([born], series.times)),
        np.concatenate(([0.0], series.values)),
    )


def _labels(text: str) -> Labels:
    return tuple((name, value) for name, value in orjson.loads(text))


def _scalar(connection: Connection, name: str, row: dict[str, float]) -> float | None:
    value = connection.execute(_SQL[name], row).fetchone()[0]
    return None if value is None else float(value)
