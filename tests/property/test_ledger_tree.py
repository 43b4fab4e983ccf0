"""Trees, tiles and entries hold for every size and value."""

import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.ledger.entry import (
    NO_PREVIOUS,
    canonical_bytes,
    is_canonical,
    leaf_bytes,
    parse_leaf,
    time_microseconds,
    time_text,
)
from cortex.ledger.errors import ProofInvalid
from cortex.ledger.merkle import (
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    subtree_layers,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from cortex.ledger.tiles import (
    Tile,
    TileEdge,
    decode_bundle,
    decode_tile,
    encode_bundle,
    tile_node,
    tiles_of,
)

HASHES = [leaf_hash(n.to_bytes(4, "big")) for n in range(70_000)]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def node(level: int, index: int) -> bytes:
    return tree_root(HASHES[index << level : (index + 1) << level])


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


@settings(deadline=None)
@given(size=st.integers(1, 3000), data=st.data())
def test_inclusion_proofs_verify_and_break(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root = tree_root(HASHES[:size])
    proof = inclusion_proof(index, size, node)
    verify_inclusion(HASHES[index], index, size, proof, root)

    bit = data.draw(st.integers(0, 255))
    at = data.draw(st.integers(0, len(proof)))
    if at < len(proof):
        proof[at] = flipped(proof[at], bit)
    else:
        root = flipped(root, bit)
    try:
        verify_inclusion(HASHES[index], index, size, proof, root)
    except ProofInvalid:
        return
    raise AssertionError("a changed proof was accepted")


@settings(deadline=None)
@given(new=st.integers(1, 3000), data=st.data())
def test_consistency_proofs_verify_and_break(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    roots = tree_root(HASHES[:old]), tree_root(HASHES[:new])
    proof = consistency_proof(old, new, node)
    verify_consistency(old, new, *roots, proof)

    other = flipped(roots[0], data.draw(st.integers(0, 255)))
    try:
        verify_consistency(old, new, other, roots[1], proof)
    except ProofInvalid:
        return
    raise AssertionError("another root was accepted")


@settings(deadline=None)
@given(st.lists(st.integers(1, 700), max_size=8))
def test_ways_to_grow_a_tree_agree(steps: list[int]) -> None:
    edge, grown, single = TileEdge(), CompactRange(), CompactRange()
    size = 0
    for step in steps:
        part = HASHES[size : size + step]
        edge.extend(part)
        grown.extend(part)
        for item in part:
            single.append(item)
        size += step
    root = tree_root(HASHES[:size])
    assert edge.root() == grown.root() == single.root() == root
    assert edge.compact().hashes == grown.hashes


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 70_000), st.integers(0, 1_000))
def test_tiles_hold_the_tree(size: int, later: int) -> None:
    later = min(size + later, len(HASHES))
    stored: dict[Tile, bytes] = {}
    edge = TileEdge()
    for stop in (size, later):
        stored.update(edge.extend(HASHES[edge.size : stop]))
        stored.update(edge.partials())
        for tile in tiles_of(stop):
            assert len(stored[tile]) == tile.width * 32

    def read(tile: Tile) -> list[bytes]:
        return decode_tile(stored[tile], tile.width)

    def layers(tile: Tile) -> list[bytes]:
        return subtree_layers(stored[tile])

    loaded = TileEdge.load(size, read)
    assert loaded.root() == tree_root(HASHES[:size])
    for at in {0, size // 3, size - 1} if size else ():
        proof = inclusion_proof(
            at, later, lambda level, index: tile_node(later, layers, level, index)
        )
        verify_inclusion(HASHES[at], at, later, proof, edge.root())


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_read_back(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries), len(entries)) == entries


@settings(deadline=None)
@given(json_values)
def test_canonical_json_is_that_of_the_standard(value: object) -> None:
    encoded = canonical_bytes(value)  # type: ignore[arg-type]

    assert encoded == rfc8785.dumps(value)  # type: ignore[arg-type]
    assert is_canonical(encoded)


@settings(deadline=None)
@given(st.integers(0, 4_000_000_000_000_000))
def test_times_read_back_and_sort_as_text(microseconds: int) -> None:
    text = time_text(microseconds)

    assert time_microseconds(text) == microseconds
    assert len(text) == 27
    assert text <= time_text(microseconds + 1)


@settings(deadline=None)
@given(st.integers(0, 2**40), st.text(), json_values)
def test_leaves_read_back(index: int, text: str, data: object) -> None:
    event = {
        "actor": text,
        "correlation_id": "",
        "data": {"value": data},
        "id": "1",
        "kind": "test",
        "subject": "",
        "tenant": "local",
    }
    body = canonical_bytes(event)  # type: ignore[arg-type]
    leaf = leaf_bytes(index, NO_PREVIOUS, time_text(5), body)

    entry = parse_leaf(leaf)

    assert (entry.index, entry.prev, entry.time) == (index, NO_PREVIOUS, time_text(5))
    assert entry.event["actor"] == text
