"""Attacks on the entries themselves: each is found, and the first bad entry named."""

from collections.abc import Callable

import pytest
from tests.integration.ledger_attacks.conftest import Case, Make, Shape

from cortex.ledger.entry import CHAIN_END, leaf_bytes
from cortex.ledger.merkle import leaf_hash
from cortex.ledger.verdicts import Reason, Verdict

SIZES = (40, 300, 1100)


def edited(body: bytes) -> bytes:
    return body.replace(b'"actor":"tester"', b'"actor":"nobody"')


def found(case: Case, index: int, *reasons: Reason) -> None:
    result = case.verify()
    assert result.verdict is Verdict.TAMPERED
    assert result.index == index
    assert not reasons or result.reason in reasons


def found_near(case: Case, index: int) -> None:
    """Where all tiles are forged too, the last good head bounds the place."""
    result = case.verify()
    assert result.verdict is Verdict.TAMPERED
    assert result.index is not None
    assert result.index <= index


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.97])
def test_edit(make: Make, size: int, part: float) -> None:
    case, at = make(Shape(size)), int(size * part)
    case.put_body(at, edited(case.bodies()[at]))

    found(case, at)


@pytest.mark.parametrize("size", SIZES)
def test_edit_of_the_last_entry(make: Make, size: int) -> None:
    case, at = make(Shape(size)), size - 1
    case.put_body(at, edited(case.bodies()[at]))

    found(case, at, Reason.ROOT_MISMATCH)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.97])
def test_edit_with_rechaining(make: Make, size: int, part: float) -> None:
    case, at = make(Shape(size)), int(size * part)
    bodies = case.bodies()
    bodies[at] = edited(bodies[at])
    case.replace(case.rechained(bodies, at))

    found(case, at, Reason.ROOT_MISMATCH)


@pytest.mark.parametrize("size", SIZES)
def test_edit_with_rechaining_and_tiles(make: Make, size: int) -> None:
    case, at = make(Shape(size)), size // 2
    bodies = case.bodies()
    bodies[at] = edited(bodies[at])
    bodies = case.rechained(bodies, at)
    case.replace(bodies)
    case.retile(bodies)

    found_near(case, at)


@pytest.mark.parametrize("size", SIZES)
def test_edit_with_everything_signed_anew_by_the_stolen_key(
    make: Make, size: int
) -> None:
    case, at = make(Shape(size)), size // 2
    bodies = case.bodies()
    bodies[at] = edited(bodies[at])
    bodies = case.rechained(bodies, at)
    case.replace(bodies)
    case.retile(bodies)
    case.sign(bodies)

    found_near(case, at)


@pytest.mark.parametrize("size", SIZES)
def test_delete(make: Make, size: int) -> None:
    case, at = make(Shape(size)), size // 2
    case.sql("DELETE FROM leaves WHERE idx = ?", at)
    case.sql("DELETE FROM entries WHERE idx = ?", at)

    found(case, at, Reason.ENTRY_MISSING)


@pytest.mark.parametrize("size", SIZES)
def test_delete_and_renumber(make: Make, size: int) -> None:
    case, at = make(Shape(size)), size // 2
    bodies = case.bodies()
    del bodies[at]
    case.replace(bodies)

    found(case, at, Reason.CHAIN_BROKEN)


@pytest.mark.parametrize("size", SIZES)
def test_delete_with_rechaining(make: Make, size: int) -> None:
    case, at = make(Shape(size)), size // 2
    bodies = case.bodies()
    del bodies[at]
    case.replace(case.rechained(bodies, at))

    result = case.verify()
    assert result.verdict is Verdict.TAMPERED
    assert result.index == at


@pytest.mark.parametrize("size", SIZES)
def test_delete_with_rechaining_and_tiles(make: Make, size: int) -> None:
    case, at = make(Shape(size)), size // 2
    bodies = case.bodies()
    del bodies[at]
    bodies = case.rechained(bodies, at)
    case.replace(bodies)
    case.retile(bodies)

    found_near(case, at)


@pytest.mark.parametrize("size", SIZES)
def test_insert(make: Make, size: int) -> None:
    case, at = make(Shape(size)), size // 2
    bodies = case.bodies()
    bodies.insert(at, edited(bodies[at]))
    case.replace(bodies)

    result = case.verify()
    assert result.verdict is Verdict.TAMPERED
    assert result.index in (at, at + 1)


@pytest.mark.parametrize("size", SIZES)
def test_insert_with_rechaining(make: Make, size: int) -> None:
    case, at = make(Shape(size)), size // 2
    bodies = case.bodies()
    bodies.insert(at, edited(bodies[at]))
    case.replace(case.rechained(bodies, at))

    found(case, at)


@pytest.mark.parametrize("size", SIZES)
def test_reorder(make: Make, size: int) -> None:
    case, at = make(Shape(size)), size // 2
    bodies = case.bodies()
    bodies[at], bodies[at + 1] = bodies[at + 1], bodies[at]
    case.replace(bodies)

    found(case, at, Reason.CHAIN_BROKEN)


@pytest.mark.parametrize("size", SIZES)
def test_reorder_with_rechaining(make: Make, size: int) -> None:
    case, at = make(Shape(size)), size // 2
    bodies = case.bodies()
    bodies[at], bodies[at + 1] = bodies[at + 1], bodies[at]
    case.replace(case.rechained(bodies, at))

    found(case, at)


@pytest.mark.parametrize("size", SIZES)
def test_replay_of_an_entry(make: Make, size: int) -> None:
    case, at = make(Shape(size)), size // 2
    bodies = case.bodies()
    case.put_body(at, bodies[at - 3])

    found(case, at)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "form",
    [
        pytest.param(
            lambda body: body.replace(b'"kind":', b'"kind":"other","kind":'),
            id="duplicate key",
        ),
        pytest.param(
            lambda body: body.replace(b'"ratio":0.5', b'"ratio":0.50'), id="number"
        ),
        pytest.param(
            lambda body: body.replace(b'"ratio":0.5', b'"ratio":5e-1'), id="exponent"
        ),
        pytest.param(lambda body: body.replace("é".encode(), b"\\u00e9"), id="escape"),
        pytest.param(
            lambda body: body.replace("é".encode(), "e\u0301".encode()),
            id="decomposed",
        ),
        pytest.param(lambda body: body.replace(b',"id"', b', "id"'), id="space"),
        pytest.param(lambda body: body + b"\n", id="newline"),
    ],
)
def test_another_spelling_of_the_same_json(
    make: Make, size: int, form: Callable[[bytes], bytes]
) -> None:
    case, at = make(Shape(size)), size // 2
    body = case.bodies()[at]
    assert form(body) != body
    case.put_body(at, form(body))

    found(case, at)


@pytest.mark.parametrize(
    "form",
    [
        lambda body: body.replace(b'"kind":', b'"kind":"other","kind":'),
        lambda body: body.replace(b'"data":{}', b'"data":{"n":1.0}'),
        lambda body: body.replace(b'"data":{}', b'"data":{"n":1e2}'),
        lambda body: body.replace(b'"data":{}', b'"data":{"b":1,"a":2}'),
        lambda body: body.replace(b'"data":{}', b'"data":{"n":"\\u0041"}'),
        lambda body: body.replace(b'"tenant":"local"', b'"tenant":"local","x":1'),
        lambda body: body.replace(b'"v":1', b'"v":2'),
        lambda body: b"not json",
    ],
)
def test_odd_json_in_the_tail_that_no_head_covers_yet(
    make: Make, form: Callable[[bytes], bytes]
) -> None:
    case = make(Shape(40, tail=3))
    body = case.bodies()[41]
    assert form(body) != body
    case.put_body(41, form(body))

    found(case, 41)


def test_edit_in_the_tail_that_no_head_covers_yet(make: Make) -> None:
    case = make(Shape(40, tail=5))
    case.put_body(42, case.bodies()[42].replace(b"tail-42", b"tail-99"))

    found(case, 42, Reason.CHAIN_BROKEN)


@pytest.mark.parametrize("size", SIZES)
def test_an_inner_node_in_place_of_leaves(make: Make, size: int) -> None:
    case = make(Shape(size))
    bodies = case.bodies()
    node = leaf_hash(bodies[0]) + leaf_hash(bodies[1])
    case.replace([node, *bodies[2:]])

    found(case, 0, Reason.ENTRY_MALFORMED)


@pytest.mark.parametrize("size", SIZES)
def test_back_dated_entries(make: Make, size: int) -> None:
    case = make(Shape(size, tail=3))
    bodies = case.bodies()
    at = size + 1
    content = bodies[at].split(CHAIN_END, 1)[1][:-1]
    prev = leaf_hash(bodies[at - 1]).hex()
    bodies[at] = leaf_bytes(at, prev, "2001-01-01T00:00:00.000000Z", content)
    case.replace(case.rechained(bodies, at + 1), keep_index=True)

    found(case, at, Reason.TIME_WENT_BACK)


@pytest.mark.parametrize("size", SIZES)
def test_row_deleted_from_the_search_index(make: Make, size: int) -> None:
    case, at = make(Shape(size)), size // 2
    case.sql("DELETE FROM entries WHERE idx = ?", at)

    result = case.verify(deep=True)
    assert (result.verdict, result.index) == (Verdict.TAMPERED, at)
    assert result.reason is Reason.INDEX_MISMATCH


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("column", ["tenant", "kind", "correlation_id", "agent"])
def test_entry_hidden_from_a_search(make: Make, size: int, column: str) -> None:
    case, at = make(Shape(size)), size // 2
    case.sql(f"UPDATE entries SET {column} = 'other' WHERE idx = ?", at)

    result = case.verify(deep=True)
    assert (result.reason, result.index) == (Reason.INDEX_MISMATCH, at)


@pytest.mark.parametrize("size", SIZES)
def test_content_beside_an_entry_is_changed_or_removed(make: Make, size: int) -> None:
    case = make(Shape(size))
    case.sql("UPDATE blobs SET body = X'00' WHERE idx = 0")
    changed = case.verify(deep=True)
    case.sql("DELETE FROM blobs")
    removed = case.verify(deep=True)

    assert (changed.reason, changed.index) == (Reason.BLOB_MISMATCH, 0)
    assert (removed.verdict, removed.reason) == (
        Verdict.INCOMPLETE,
        Reason.BLOB_MISSING,
    )
