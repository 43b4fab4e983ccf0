"""The archive in an S3-compatible store: a real one, over HTTP."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from cortex.bootstrap.archives import archive_at
from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import ValidationError
from cortex.foundation.ids import Uuid7Source
from cortex.ledger.archive import Archive, object_key
from cortex.ledger.errors import ArchiveUnreachable, ObjectExists, ObjectMissing
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import AgentCall, SystemEvent
from cortex.ledger.objects_s3 import S3Objects, S3Place
from cortex.ledger.offline import verify_folder
from cortex.ledger.options import LedgerOptions, LedgerPaths
from cortex.ledger.pins import PinFolder
from cortex.ledger.verdicts import Reason, Verdict, Verification

ENTRIES = 600
BUNDLES = 2
BUCKET = "cold-bucket"
CALL = AgentCall("run", "planner", "plan", "a prompt", "an output")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def place(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> S3Place:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    httpx.post(f"{endpoint}/moto-api/reset").raise_for_status()
    httpx.put(
        f"{endpoint}/{BUCKET}", headers={"Authorization": signature()}
    ).raise_for_status()
    return S3Place(BUCKET, "team/ledger", endpoint, retries_max=0)


def signature() -> str:
    credential = "testing/20261121/us-east-1/s3/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"


def raw(place: S3Place) -> S3Store:
    """Return the same place without any guard: what an intruder has."""
    return S3Store(
        place.bucket,
        prefix=place.prefix,
        config={"endpoint": place.endpoint},
        client_options={"allow_http": True},
    )


async def open_ledger(home: Path, archive: Archive | None) -> Ledger:
    clock = SystemClock()
    options = LedgerOptions(pins=home / "pins", hot_seconds=0.0, warm_seconds=0.0)
    context = LedgerContext(clock, Uuid7Source(clock), archive=archive)
    return await Ledger.open(home, context, options)


async def fill(ledger: Ledger) -> None:
    await ledger.record(CALL)
    events = (SystemEvent(f"e{n}", "test.happened") for n in range(1, ENTRIES))
    await asyncio.gather(*(ledger.append(event) for event in events))
    await ledger.publish()


def verified(home: Path, archive: Archive | None) -> Verification:
    pinned = PinFolder(home / "pins").read()
    return verify_folder(LedgerPaths.below(home), pinned, archive=archive)


def bundles_in(home: Path) -> int:
    return sum(
        path.is_file() and not path.parent.name.endswith(".p")
        for path in (home / "ledger/log/tile/entries").rglob("*")
    )


def test_puts_create_and_never_overwrite(place: S3Place) -> None:
    objects = S3Objects(place)

    objects.put("bundles/000.zst", b"first")
    objects.put("bundles/000.zst", b"first")

    with pytest.raises(ObjectExists, match=r"bundles/000\.zst"):
        objects.put("bundles/000.zst", b"second")
    assert objects.get("bundles/000.zst") == b"first"
    assert list(objects.keys("bundles/0")) == ["bundles/000.zst"]
    with pytest.raises(ObjectMissing):
        objects.get("bundles/001.zst")


def test_a_race_of_two_writers_has_one_winner(place: S3Place) -> None:
    mine, other = S3Objects(place), S3Objects(place)
    mine.put("bundles/000.zst", b"mine")

    with pytest.raises(ObjectExists):
        other.put("bundles/000.zst", b"theirs")
    assert other.get("bundles/000.zst") == b"mine"


def test_a_store_that_overwrites_is_refused(
    place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = S3Objects(place)
    real = obstore.put
    monkeypatch.setattr(
        "cortex.ledger.objects_s3.obstore.put",
        lambda store, key, data, mode: real(store, key, data, mode="overwrite"),
    )

    with pytest.raises(ArchiveUnreachable, match="lets objects be overwritten"):
        objects.put("bundles/000.zst", b"mine")


async def test_entries_go_there_and_come_back(place: S3Place, tmp_path: Path) -> None:
    archive = archive_at(f"s3://{BUCKET}/team/ledger")
    ledger = await open_ledger(tmp_path, archive)
    await fill(ledger)

    moved = await ledger.upkeep.run()

    assert moved.archived == BUNDLES * 256
    assert bundles_in(tmp_path) == 0
    view = await ledger.reading.entry(300, "local")
    assert view.kind == "test.happened"
    assert (await ledger.reading.content(0, "local"))["prompt"] == "a prompt"
    assert (await ledger.verify()).verdict is Verdict.INTACT
    assert await ledger.upkeep.restore(0, ENTRIES) == BUNDLES * 256
    assert bundles_in(tmp_path) == BUNDLES
    await ledger.close()
    assert verified(tmp_path, archive).verdict is Verdict.INTACT
    keys = list(S3Objects(place).keys("bundles/"))
    assert keys == [object_key(0), object_key(1)]


async def test_what_happens_to_objects_is_told_apart(
    place: S3Place, tmp_path: Path
) -> None:
    archive = Archive(S3Objects(place))
    ledger = await open_ledger(tmp_path, archive)
    await fill(ledger)
    await ledger.upkeep.run()
    await ledger.close()
    store, key = raw(place), object_key(1)
    whole = bytes(obstore.get(store, key).bytes())

    assert verified(tmp_path, archive).verdict is Verdict.INTACT
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    obstore.put(store, key, bytes(flipped))
    found = verified(tmp_path, archive)
    assert found.verdict is Verdict.TAMPERED
    assert found.index is not None
    assert 256 <= found.index < 512
    obstore.delete(store, key)
    found = verified(tmp_path, archive)
    assert (found.verdict, found.index) == (Verdict.INCOMPLETE, 256)
    assert found.reason is Reason.OBJECT_MISSING
    obstore.put(store, key, whole)
    assert verified(tmp_path, archive).verdict is Verdict.INTACT


async def test_a_dead_store_is_told_and_loses_nothing(
    place: S3Place, tmp_path: Path
) -> None:
    dead = Archive(S3Objects(replace(place, endpoint="http://127.0.0.1:9")))
    ledger = await open_ledger(tmp_path, dead)
    await fill(ledger)

    with pytest.raises(ArchiveUnreachable, match=f"s3://{BUCKET}/team/ledger"):
        await ledger.upkeep.run()

    assert ledger.health().status == "ok"
    assert (await ledger.record(CALL)).index == ENTRIES
    assert bundles_in(tmp_path) == BUNDLES
    assert (await ledger.verify()).verdict is Verdict.INTACT
    await ledger.close()

    living = Archive(S3Objects(place))
    ledger = await open_ledger(tmp_path, living)
    assert (await ledger.upkeep.run()).archived == BUNDLES * 256
    await ledger.close()
    assert verified(tmp_path, living).verdict is Verdict.INTACT
    found = verified(tmp_path, dead)
    assert (found.verdict, found.exit_code) == (Verdict.UNCHECKABLE, 3)
    assert found.reason is Reason.ARCHIVE_UNREACHABLE
    assert "s3://" in found.detail


def test_a_missing_bucket_is_told(place: S3Place) -> None:
    objects = S3Objects(replace(place, bucket="not-there"))

    with pytest.raises(ArchiveUnreachable, match="not-there"):
        objects.put("bundles/000.zst", b"mine")


@pytest.mark.parametrize("bad", ["s3://", "s3:///prefix", "gs://bucket", "file://"])
def test_other_places_are_refused(bad: str) -> None:
    with pytest.raises(ValidationError):
        archive_at(bad)
