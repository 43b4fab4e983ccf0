"""Attacks on tiles, bundles and the archive, and damage that is no attack."""

from pathlib import Path

import pytest
from tests.integration.ledger_attacks.conftest import Case, Make, Shape

from cortex.ledger.archive import object_key
from cortex.ledger.tiles import Tile, bundle
from cortex.ledger.verdicts import Reason, Verdict

SIZES = (600, 1024, 1500)


def flip(path: Path, at: int = 100) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def object_path(case: Case, number: int) -> Path:
    return case.home / "archive" / object_key(number)


@pytest.mark.parametrize("size", SIZES)
def test_dropped_segment(make: Make, size: int) -> None:
    case = make(Shape(size, rotated=True))
    (case.paths.tiles / bundle(1).path()).unlink()

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, 256)
    assert result.reason is Reason.BUNDLE_MISSING


@pytest.mark.parametrize("size", SIZES)
def test_replayed_segment(make: Make, size: int) -> None:
    case = make(Shape(size, rotated=True))
    first = (case.paths.tiles / bundle(0).path()).read_bytes()
    case.write(bundle(1).path(), first)

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, 256)


@pytest.mark.parametrize("size", SIZES)
def test_swapped_segments(make: Make, size: int) -> None:
    case = make(Shape(size, rotated=True))
    paths = [case.paths.tiles / bundle(n).path() for n in (0, 1)]
    first, second = (path.read_bytes() for path in paths)
    paths[0].write_bytes(second)
    paths[1].write_bytes(first)

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, 0)


@pytest.mark.parametrize("size", SIZES)
def test_bit_flip_in_a_segment(make: Make, size: int) -> None:
    case = make(Shape(size, rotated=True))
    flip(case.paths.tiles / bundle(1).path(), 2 + 150)

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, 256)


@pytest.mark.parametrize("size", SIZES)
def test_truncated_segment(make: Make, size: int) -> None:
    case = make(Shape(size, rotated=True))
    path = case.paths.tiles / bundle(1).path()
    path.write_bytes(path.read_bytes()[:-10])

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, 256)


@pytest.mark.parametrize("size", SIZES)
def test_rows_hidden_behind_a_forged_mark(make: Make, size: int) -> None:
    case = make(Shape(size))
    case.sql("DELETE FROM leaves WHERE idx < 256")
    case.sql("INSERT OR REPLACE INTO marks VALUES ('hot_from', 256)")
    (case.paths.tiles / bundle(0).path()).unlink()

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, 0)


@pytest.mark.parametrize("size", SIZES)
def test_rows_edited_under_a_forged_mark(make: Make, size: int) -> None:
    case = make(Shape(size))
    case.put_body(70, case.bodies()[70].replace(b"tester", b"forger"))
    case.sql("INSERT OR REPLACE INTO marks VALUES ('hot_from', 256)")

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, 70)


@pytest.mark.parametrize("size", SIZES)
def test_bit_flip_in_a_published_bundle(make: Make, size: int) -> None:
    case = make(Shape(size))
    flip(case.paths.tiles / bundle(1).path(), 2 + 150)

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, 256)


@pytest.mark.parametrize("size", [600, 1500])
@pytest.mark.parametrize("tail", [0, 3])
def test_bit_flip_in_the_last_bundle_and_tile(make: Make, size: int, tail: int) -> None:
    case = make(Shape(size, tail=tail))
    number, width = divmod(size, 256)
    spoilt = make(Shape(size, tail=tail))
    flip(case.paths.tiles / bundle(number, width).path(), 2 + 150)
    flip(spoilt.paths.tiles / Tile(0, number, width).path(), 32 * 2)

    assert case.verify().reason is Reason.BUNDLE_MISMATCH
    result = spoilt.verify()
    assert (result.reason, result.index) == (Reason.TILE_MISMATCH, number * 256 + 2)


@pytest.mark.parametrize("size", SIZES)
def test_bit_flip_in_a_tile(make: Make, size: int) -> None:
    case = make(Shape(size))
    flip(case.paths.tiles / Tile(0, 1).path(), 32 * 5 + 3)

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, 256 + 5)
    assert result.reason is Reason.TILE_MISMATCH


@pytest.mark.parametrize("size", SIZES)
def test_missing_tile(make: Make, size: int) -> None:
    case = make(Shape(size))
    (case.paths.tiles / Tile(0, 1).path()).unlink()

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.INCOMPLETE, 256)
    assert result.exit_code == 2


@pytest.mark.parametrize("size", SIZES)
def test_bit_flip_in_the_archive(make: Make, size: int) -> None:
    case = make(Shape(size, archived=True))
    flip(object_path(case, 1), 50)

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, 256)
    assert result.reason is Reason.OBJECT_MISMATCH


@pytest.mark.parametrize("size", SIZES)
def test_missing_object_in_the_archive(make: Make, size: int) -> None:
    case = make(Shape(size, archived=True))
    object_path(case, 1).unlink()

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.INCOMPLETE, 256)
    assert result.reason is Reason.OBJECT_MISSING


@pytest.mark.parametrize("size", SIZES)
def test_swapped_objects_in_the_archive(make: Make, size: int) -> None:
    case = make(Shape(size, archived=True))
    first, second = (object_path(case, n).read_bytes() for n in (0, 1))
    object_path(case, 0).write_bytes(second)
    object_path(case, 1).write_bytes(first)

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, 0)


@pytest.mark.parametrize("size", [600, 1500])
def test_torn_last_tiles_are_damage_and_no_attack(make: Make, size: int) -> None:
    case = make(Shape(size))
    width = size % 256
    number = size // 256
    for name in (Tile(0, number, width).path(), bundle(number, width).path()):
        path = case.paths.tiles / name
        path.write_bytes(path.read_bytes()[:-7])

    result = case.verify()
    assert result.verdict is Verdict.INTACT
    assert result.recovered


@pytest.mark.parametrize("size", SIZES)
def test_torn_checkpoint_is_damage_and_no_attack(make: Make, size: int) -> None:
    case = make(Shape(size))
    case.write("checkpoint", case.checkpoint()[:20])

    result = case.verify()
    assert result.verdict is Verdict.INTACT
    assert result.recovered


@pytest.mark.parametrize("size", [1, 2, 40, 255, 256, 257, 600, 1500])
@pytest.mark.parametrize("shape", ["hot", "rotated", "archived", "tail"])
def test_clean_ledgers_are_intact(make: Make, size: int, shape: str) -> None:
    case = make(
        Shape(
            size,
            rotated=shape == "rotated",
            archived=shape == "archived",
            tail=3 if shape == "tail" and size < 600 else 0,
        )
    )
    for result in (case.verify(), case.verify(since=case.pinned_size())):
        assert result.verdict is Verdict.INTACT, result
        assert result.size == size + case.shape.tail
    if shape != "tail":
        assert case.verify(deep=True).verdict is Verdict.INTACT


@pytest.mark.parametrize("size", SIZES)
def test_incremental_check_finds_what_is_new_and_bad(make: Make, size: int) -> None:
    case = make(Shape(size))
    since = max(head for head in case.head_sizes() if head < size)
    pinned = case.head_note(since)
    (case.pins.folder / "head").write_bytes(pinned)
    at = since + 5
    case.put_body(at, case.bodies()[at].replace(b"tester", b"forger"))

    result = case.verify(since=since)
    assert (result.verdict, result.index) == (Verdict.TAMPERED, at)
    assert result.checked_from == since
