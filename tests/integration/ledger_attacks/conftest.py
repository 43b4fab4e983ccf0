"""Ledgers to attack, and an adversary who may write to every file of the store."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from cortex.foundation.ids import Uuid7Source
from cortex.ledger.archive import Archive
from cortex.ledger.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from cortex.ledger.entry import CHAIN_END, NO_PREVIOUS, entry_hash, leaf_bytes
from cortex.ledger.keys import KeyFolder
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.merkle import leaf_hash, tree_root
from cortex.ledger.model import AgentCall, SystemEvent
from cortex.ledger.notes import Signer
from cortex.ledger.objects import FolderObjects
from cortex.ledger.offline import verify_folder
from cortex.ledger.options import LedgerOptions, LedgerPaths
from cortex.ledger.pins import PinFolder
from cortex.ledger.tiles import TILE_WIDTH, TileEdge, bundle, encode_bundle
from cortex.ledger.verdicts import Verification
from cortex.ledger.verify import Request

START = 1_700_000_000.0
ORIGIN = "log.example/audit"


class StepClock:
    """A clock that moves a second with every look."""

    def __init__(self) -> None:
        self.seconds = START

    def now(self) -> float:
        self.seconds += 1
        return self.seconds

    def monotonic(self) -> float:
        return self.now()

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)


def event(number: int) -> SystemEvent:
    return SystemEvent(
        id=f"event-{number}",
        kind="test.happened",
        subject=f"thing {number}",
        data={"number": number, "text": "é", "ratio": 0.5},
        correlation_id=f"correlation-{number % 7}",
        actor="tester",
    )


@dataclass(frozen=True)
class Shape:
    """What kind of ledger to build.

    rotated: full bundles have left the database; archived: and the disk as well.
    tail: entries behind the last signed head.
    """

    size: int
    rotated: bool = False
    archived: bool = False
    tail: int = 0
    origin: str = ORIGIN
    first: int = 0


async def build(
    home: Path, pins: Path, shape: Shape, seed: bytes | None = None
) -> None:
    clock = StepClock()

    def entropy(count: int) -> bytes:
        return (seed or b"\x07" * 32)[:1] * count

    archive = Archive(FolderObjects(home / "archive")) if shape.archived else None
    options = LedgerOptions(
        origin=shape.origin,
        pins=pins,
        hot_seconds=0.0 if shape.rotated or shape.archived else 1e9,
        warm_seconds=0.0,
        snapshot_entries=1,
    )
    context = LedgerContext(clock, Uuid7Source(clock), entropy, archive)
    ledger = await Ledger.open(home, context, options)
    third = max(1, shape.size // 3)
    await ledger.record(AgentCall("run", "planner", "plan", "a prompt", "an output"))
    done = 1
    while done < shape.size:
        stop = min(done + third, shape.size)
        numbers = range(shape.first + done, shape.first + stop)
        await asyncio.gather(*(ledger.append(event(n)) for n in numbers))
        await ledger.publish()
        done = stop
    await ledger.publish()
    await ledger.upkeep.run()
    await ledger.close()
    if shape.tail:
        await grow(home, shape.size + shape.first, shape.tail)


async def grow(home: Path, first: int, count: int) -> None:
    """Append without ever publishing, as a crash right afterwards would leave it."""
    rows = read_bodies(home)
    bodies = list(rows)
    for number in range(first, first + count):
        text = f'{{"actor":"","correlation_id":"","data":{{}},"id":"tail-{number}",'
        text += '"kind":"tail","subject":"","tenant":"local"}'
        prev = entry_hash(bodies[-1])
        time = bodies[-1].split(b'"time":"')[1][:27].decode()
        bodies.append(leaf_bytes(len(bodies), prev, time, text.encode()))
    Adversary(home).replace(bodies, keep_index=True)


def read_bodies(home: Path) -> list[bytes]:
    with sqlite3.connect(LedgerPaths.below(home).database) as connection:
        rows = connection.execute("SELECT body FROM leaves ORDER BY idx").fetchall()
    connection.close()
    return [row[0] for row in rows]


class Adversary:
    """Someone with write access to all of ``CORTEX_HOME``."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.paths = LedgerPaths.below(home)

    def sql(self, statement: str, *parameters: object) -> None:
        connection = sqlite3.connect(self.paths.database)
        with connection:
            connection.execute(statement, parameters)
        connection.close()

    def bodies(self) -> list[bytes]:
        return read_bodies(self.home)

    def replace(self, bodies: Sequence[bytes], *, keep_index: bool = False) -> None:
        """Put these leaves in place of all, with a matching search index."""
        connection = sqlite3.connect(self.paths.database)
        with connection:
            old = dict(connection.execute("SELECT idx, id FROM entries").fetchall())
            connection.execute("DELETE FROM leaves")
            connection.executemany(
                "INSERT INTO leaves (idx, body) VALUES (?, ?)", enumerate(bodies)
            )
            if not keep_index:
                connection.execute("DELETE FROM entries")
                old = {}
            connection.executemany(
                "INSERT INTO entries (idx, hash, time_us, id, tenant, kind)"
                " VALUES (?, ?, 1, ?, 'local', 'test.happened')",
                [
                    (at, leaf_hash(body), f"id-{at}")
                    for at, body in enumerate(bodies)
                    if at not in old
                ],
            )
        connection.close()

    def put_body(self, index: int, body: bytes) -> None:
        self.sql("UPDATE leaves SET body = ? WHERE idx = ?", body, index)

    def rechained(self, bodies: Sequence[bytes], start: int = 0) -> list[bytes]:
        """Return leaves renumbered and chained anew from ``start`` on."""
        chained = list(bodies[:start])
        for body in bodies[start:]:
            prev = entry_hash(chained[-1]) if chained else NO_PREVIOUS
            time = body.split(b'"time":"')[1][:27].decode()
            content = body.split(CHAIN_END, 1)[1][:-1]
            chained.append(leaf_bytes(len(chained), prev, time, content))
        return chained

    def retile(self, bodies: Sequence[bytes], size: int | None = None) -> None:
        """Write all tiles and bundles as these leaves make them."""
        bodies = bodies[:size]
        edge = TileEdge()
        full = edge.extend([leaf_hash(body) for body in bodies])
        for tile, data in [*full, *edge.partials()]:
            self.write(tile.path(), data)
        for start in range(0, len(bodies), TILE_WIDTH):
            part = bodies[start : start + TILE_WIDTH]
            name = bundle(start // TILE_WIDTH, len(part))
            self.write(name.path(), encode_bundle(part))

    def write(self, name: str, data: bytes) -> None:
        path = self.paths.tiles / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def signers(self) -> tuple[Signer, ...]:
        """Steal the signing key."""
        folder = KeyFolder(self.paths.keys, entropy=lambda count: b"\x05" * count)
        return folder.load("").signers

    def sign(
        self, bodies: Sequence[bytes], signers: Sequence[Signer] = (), **more: object
    ) -> bytes:
        """Sign a head over these leaves and make it the only one."""
        chosen = tuple(signers) or self.signers()
        root = tree_root([leaf_hash(body) for body in bodies])
        extensions = tuple(more.get("extensions", ()))  # type: ignore[call-overload]
        origin = str(more.get("origin", chosen[0].name))
        head = Checkpoint(origin, len(bodies), root, extensions)
        note = sign_checkpoint(head, chosen).encode()
        self.sql("DELETE FROM heads")
        self.sql("INSERT INTO heads VALUES (?, ?, ?, 1)", len(bodies), root, note)
        self.write("checkpoint", note)
        return note

    def head_sizes(self) -> list[int]:
        connection = sqlite3.connect(self.paths.database)
        rows = connection.execute("SELECT size FROM heads ORDER BY size").fetchall()
        connection.close()
        return [row[0] for row in rows]

    def head_note(self, size: int) -> bytes:
        connection = sqlite3.connect(self.paths.database)
        row = connection.execute(
            "SELECT note FROM heads WHERE size = ?", (size,)
        ).fetchone()
        connection.close()
        return bytes(row[0])

    def checkpoint(self) -> bytes:
        return (self.paths.tiles / "checkpoint").read_bytes()


class Case(Adversary):
    """One ledger under attack, with what is pinned outside it."""

    def __init__(self, home: Path, pins: Path, shape: Shape) -> None:
        super().__init__(home)
        self.pins = PinFolder(pins)
        self.shape = shape

    @property
    def size(self) -> int:
        return self.shape.size

    def verify(self, *, deep: bool = False, since: int = 0) -> Verification:
        pinned = self.pins.read()
        archive = None
        if self.shape.archived:
            archive = Archive(FolderObjects(self.home / "archive"))
        request = Request(deep=deep, since=since)
        return verify_folder(self.paths, pinned, request, archive)

    def pinned_size(self) -> int:
        note = self.pins.head_note()
        assert note is not None
        return parse_checkpoint(note).size


Make = Callable[[Shape], Case]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Shape], Path]:
    """Build each kind of ledger once."""
    known: dict[Shape, Path] = {}

    def get(shape: Shape) -> Path:
        if shape not in known:
            folder = tmp_path_factory.mktemp("ledger")
            asyncio.run(build(folder / "home", folder / "pins", shape))
            known[shape] = folder
        return known[shape]

    return get


@pytest.fixture
def make(built: Callable[[Shape], Path], tmp_path: Path) -> Make:
    """Return a fresh copy of such a ledger."""

    def get(shape: Shape) -> Case:
        copy = tmp_path / f"copy-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(built(shape), copy)
        return Case(copy / "home", copy / "pins", shape)

    return get
