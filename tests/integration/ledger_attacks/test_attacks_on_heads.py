"""Attacks on heads, keys and history: truncation, forks, rollback, substitution."""

import shutil
from pathlib import Path

import pytest
from tests.integration.ledger_attacks.conftest import Case, Make, Shape

from cortex.ledger.keys import SIGNING, KeyFolder
from cortex.ledger.verdicts import Reason, Verdict

SIZES = (40, 300, 1100)


def own_key(folder: Path, origin: str, fill: bytes) -> KeyFolder:
    keys = KeyFolder(folder, entropy=lambda count: fill * count)
    keys.load(origin)
    return keys


def truncate(case: Case, size: int) -> list[bytes]:
    case.sql("DELETE FROM leaves WHERE idx >= ?", size)
    case.sql("DELETE FROM entries WHERE idx >= ?", size)
    return case.bodies()


@pytest.mark.parametrize("size", SIZES)
def test_tail_cut_off_under_its_checkpoint(make: Make, size: int) -> None:
    case = make(Shape(size))
    truncate(case, size - 5)

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, size - 5)
    assert result.reason is Reason.TRUNCATED


@pytest.mark.parametrize("size", SIZES)
def test_tail_cut_off_with_an_older_checkpoint_put_back(make: Make, size: int) -> None:
    case = make(Shape(size))
    older = case.head_sizes()[-2]
    note = case.head_note(older)
    truncate(case, older)
    case.sql("DELETE FROM heads WHERE size > ?", older)
    case.write("checkpoint", note)

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, older)


@pytest.mark.parametrize("size", SIZES)
def test_tail_cut_off_and_signed_by_the_stolen_key(make: Make, size: int) -> None:
    case = make(Shape(size))
    bodies = truncate(case, size - 7)
    case.retile(bodies)
    case.sign(bodies)

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, size - 7)


@pytest.mark.parametrize("size", SIZES)
def test_tail_cut_off_and_grown_again_past_the_pin(make: Make, size: int) -> None:
    case = make(Shape(size))
    kept = case.bodies()[: size - 7]
    other = [b.replace(b"tester", b"forger") for b in case.bodies()[size - 7 :]] * 3
    other = [b.replace(b"2023-11-14", b"2023-12-31") for b in other]
    bodies = case.rechained([*kept, *other], len(kept))
    case.replace(bodies)
    case.retile(bodies)
    case.sign(bodies)

    result = case.verify()
    assert result.verdict is Verdict.TAMPERED
    assert result.index is not None
    assert result.index <= size - 7


@pytest.mark.parametrize("size", SIZES)
def test_stale_checkpoint(make: Make, size: int) -> None:
    case = make(Shape(size))
    older = case.head_sizes()[-2]
    case.write("checkpoint", case.head_note(older))

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, older)
    assert result.reason is Reason.STALE_CHECKPOINT


@pytest.mark.parametrize("size", SIZES)
def test_same_size_other_root(make: Make, size: int) -> None:
    case, at = make(Shape(size)), size // 2
    bodies = case.bodies()
    bodies[at] = bodies[at].replace(b"tester", b"forger")
    case.sign(case.rechained(bodies, at))

    result = case.verify()
    assert result.verdict is Verdict.TAMPERED
    assert Reason.FORKED in {finding.reason for finding in result.findings}


@pytest.mark.parametrize("size", SIZES)
def test_keys_replaced_and_everything_signed_anew(
    make: Make, tmp_path: Path, size: int
) -> None:
    case, at = make(Shape(size)), size // 2
    origin = case.signers()[0].name
    foreign = own_key(tmp_path / "foreign", origin, b"\x55")
    bodies = case.bodies()
    bodies[at] = bodies[at].replace(b"tester", b"forger")
    bodies = case.rechained(bodies, at)
    case.replace(bodies)
    case.retile(bodies)
    shutil.copy(tmp_path / "foreign" / SIGNING, case.paths.keys / SIGNING)
    case.sign(bodies, foreign.load("").signers)

    result = case.verify()
    assert result.verdict is Verdict.TAMPERED
    reasons = {finding.reason for finding in result.findings}
    assert Reason.UNKNOWN_KEY in reasons
    assert result.index is not None


@pytest.mark.parametrize("size", SIZES)
def test_foreign_ledger_of_another_origin_under_the_same_key(
    make: Make, size: int
) -> None:
    case = make(Shape(size))
    foreign = make(Shape(size, origin="log.example/other"))
    shutil.rmtree(case.paths.root)
    shutil.copytree(foreign.paths.root, case.paths.root)

    result = case.verify()
    assert result.verdict is Verdict.TAMPERED
    reasons = {finding.reason for finding in result.findings}
    assert reasons & {Reason.FOREIGN_ORIGIN, Reason.UNKNOWN_KEY}


@pytest.mark.parametrize("size", SIZES)
def test_foreign_ledger_of_the_same_origin_and_key(make: Make, size: int) -> None:
    case = make(Shape(size))
    foreign = make(Shape(size + 3, first=5000))
    shutil.rmtree(case.paths.root)
    shutil.copytree(foreign.paths.root, case.paths.root)

    result = case.verify()
    assert result.verdict is Verdict.TAMPERED
    assert result.index is not None


@pytest.mark.parametrize("size", SIZES)
def test_checkpoint_with_extension_lines(make: Make, size: int) -> None:
    case = make(Shape(size))
    case.sign(case.bodies(), extensions=("and another thing",))

    result = case.verify()
    assert result.verdict is Verdict.TAMPERED
    assert result.reason is Reason.EXTENSION_LINES


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"=\n", b"\n"),
        (b"=\n", b"==\n"),
        (b"\n\n", b"\n\n\n"),
        (b"\xe2\x80\x94 ", b"- "),
        (b"log.example", b"log.exampIe"),
    ],
)
def test_checkpoint_in_another_spelling(
    make: Make, size: int, old: bytes, new: bytes
) -> None:
    case = make(Shape(size))
    note = case.checkpoint()
    assert old in note
    case.write("checkpoint", note.replace(old, new, 1))

    assert case.verify().verdict is Verdict.TAMPERED


@pytest.mark.parametrize("size", SIZES)
def test_checkpoint_with_stray_bits_in_its_base64(make: Make, size: int) -> None:
    case = make(Shape(size))
    lines = case.checkpoint().split(b"\n")
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet.index(lines[2][42:43])
    lines[2] = lines[2][:42] + alphabet[last + 1 : last + 2] + b"="
    case.write("checkpoint", b"\n".join(lines))

    result = case.verify()
    assert result.verdict is Verdict.TAMPERED
    assert result.reason in (Reason.CHECKPOINT_MALFORMED, Reason.BAD_SIGNATURE)


@pytest.mark.parametrize("size", SIZES)
def test_all_heads_removed(make: Make, size: int) -> None:
    case = make(Shape(size))
    case.sql("DELETE FROM heads")
    (case.paths.tiles / "checkpoint").unlink()

    result = case.verify()
    assert result.verdict is Verdict.TAMPERED
    assert result.reason is Reason.CHECKPOINT_MISSING


@pytest.mark.parametrize("size", SIZES)
def test_everything_deleted(make: Make, size: int) -> None:
    case = make(Shape(size))
    shutil.rmtree(case.paths.root)

    result = case.verify()
    assert (result.verdict, result.index) == (Verdict.TAMPERED, 0)


@pytest.mark.parametrize("size", SIZES)
def test_forged_snapshot(make: Make, size: int) -> None:
    case = make(Shape(size))
    state = next(case.paths.snapshots.glob("*.json"))
    data = state.read_bytes()
    assert b'"entries"' in data
    state.write_bytes(data.replace(b'"local":', b'"local":9'))

    result = case.verify()
    assert result.verdict is Verdict.TAMPERED
    assert result.reason is Reason.SNAPSHOT_FORGED


@pytest.mark.parametrize("size", SIZES)
def test_without_a_key_nothing_is_claimed(make: Make, size: int) -> None:
    case = make(Shape(size))
    (case.pins.folder / "verifier.vkey").unlink()

    result = case.verify()
    assert result.verdict is Verdict.UNCHECKABLE
    assert result.exit_code == 3
