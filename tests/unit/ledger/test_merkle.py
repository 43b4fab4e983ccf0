import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cortex.ledger import merkle
from cortex.ledger.errors import ProofInvalid
from cortex.ledger.merkle import CompactRange, leaf_hash, node_hash, tree_root

SHIPPED = Path(__file__).parents[2] / "data" / "tlog" / "merkle.json"

# The leaves and roots of the certificate transparency reference implementation.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def vectors() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(SHIPPED.read_text())
    data = os.environ.get("CORTEX_DATA", "")
    folder = Path(data) / "tlog" / "transparency-dev-merkle"
    for path in sorted(folder.rglob("*.json")) if data else ():
        kind = path.relative_to(folder).parts[0]
        found.append(json.loads(path.read_text()) | {"kind": kind})
    return found


def decode(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def check(vector: dict[str, Any]) -> Callable[[], None]:
    proof = [decode(item) for item in vector["proof"] or []]
    match vector["kind"]:
        case "inclusion":
            return lambda: merkle.verify_inclusion(
                decode(vector["leafHash"]),
                vector["leafIdx"],
                vector["treeSize"],
                proof,
                decode(vector["root"]),
            )
        case "consistency":
            return lambda: merkle.verify_consistency(
                vector["size1"],
                vector["size2"],
                decode(vector["root1"]),
                decode(vector["root2"]),
                proof,
            )
        case "subtreeinclusion":
            return lambda: merkle.verify_subtree_inclusion(
                decode(vector["leafHash"]),
                vector["leafIdx"],
                (vector["start"], vector["end"]),
                proof,
                decode(vector["root"]),
            )
        case _:
            return lambda: merkle.verify_subtree_consistency(
                (vector["start"], vector["end"]),
                vector["size"],
                decode(vector["root1"]),
                decode(vector["root2"]),
                proof,
            )


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference(size: int) -> None:
    hashes = [leaf_hash(leaf) for leaf in LEAVES[:size]]
    grown = CompactRange()
    for item in hashes:
        grown.append(item)

    assert tree_root(hashes).hex() == ROOTS[size]
    assert grown.root().hex() == ROOTS[size]


def test_vectors_of_other_implementations() -> None:
    wrong = []
    for vector in vectors():
        verify = check(vector)
        try:
            verify()
            refused = False
        except ProofInvalid:
            refused = True
        if refused != vector["wantErr"]:
            wrong.append(f"{vector['kind']}: {vector['desc']}")
    assert wrong == []


def test_an_inner_node_cannot_pass_for_a_leaf() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")

    assert leaf_hash(left + right) != node_hash(left, right)
    with pytest.raises(ProofInvalid):
        merkle.verify_inclusion(
            leaf_hash(left + right), 0, 1, [], node_hash(left, right)
        )


def test_a_compact_range_refuses_the_wrong_number_of_peaks() -> None:
    with pytest.raises(ProofInvalid):
        CompactRange(3, [leaf_hash(b"a")])


def test_a_subtree_must_align() -> None:
    grown = CompactRange()
    grown.append(leaf_hash(b"a"))

    with pytest.raises(ProofInvalid):
        grown.append_subtree(leaf_hash(b"b"), 2)
