from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from cortex.ledger.checkpoint import (
    Checkpoint,
    open_checkpoint,
    parse_checkpoint,
    parse_text,
    sign_checkpoint,
)
from cortex.ledger.cosignatures import Cosigner, cosigned_at
from cortex.ledger.errors import KeyUnusable, NoteInvalid, PolicyInvalid, ProofInvalid
from cortex.ledger.merkle import EMPTY_ROOT, inclusion_proof, leaf_hash, tree_root
from cortex.ledger.notes import Ed25519Signer, Note
from cortex.ledger.policy import parse_policy
from cortex.ledger.proof import LogProof, parse_proof, verify_proof

ORIGIN = "log.example/audit"
SIGNER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"k" * 32))
KEYS = [SIGNER.verifier_key]
LEAVES = [f"entry {n}".encode() for n in range(11)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
HEAD = sign_checkpoint(Checkpoint(ORIGIN, 11, tree_root(HASHES)), [SIGNER])


def node(level: int, index: int) -> bytes:
    return tree_root(HASHES[index << level : (index + 1) << level])


def receipt(index: int) -> LogProof:
    return LogProof(index, tuple(inclusion_proof(index, 11, node)), HEAD)


def test_a_checkpoint_reads_back() -> None:
    assert open_checkpoint(HEAD.encode(), ORIGIN, KEYS) == HEAD
    assert parse_checkpoint(HEAD.encode()).checkpoint.size == 11


def test_the_empty_tree_has_a_checkpoint() -> None:
    head = sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), [SIGNER])

    assert open_checkpoint(head.encode(), ORIGIN, KEYS).size == 0


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"origin\n1\n",
        b"origin\n01\n" + HEAD.note.text.split(b"\n")[2] + b"\n",
        b"origin\n-1\n" + HEAD.note.text.split(b"\n")[2] + b"\n",
        b"origin\n+1\n" + HEAD.note.text.split(b"\n")[2] + b"\n",
        b"origin\n9223372036854775808\n" + HEAD.note.text.split(b"\n")[2] + b"\n",
        b"\n1\n" + HEAD.note.text.split(b"\n")[2] + b"\n",
        b"origin\n1\nAAAA\n",
        b"origin\n1\n" + HEAD.note.text.split(b"\n")[2] + b"\n\nmore\n",
        b"origin\n1\n" + HEAD.note.text.split(b"\n")[2],
    ],
)
def test_malformed_checkpoint_texts_are_refused(text: bytes) -> None:
    with pytest.raises(NoteInvalid):
        parse_text(text)


def test_another_origin_is_refused() -> None:
    with pytest.raises(NoteInvalid) as caught:
        open_checkpoint(HEAD.encode(), "log.example/other", KEYS)
    assert caught.value.data["reason"] == "foreign_origin"


def test_extension_lines_are_refused_of_our_own_log_and_read_of_others() -> None:
    extended = sign_checkpoint(Checkpoint(ORIGIN, 1, HASHES[0], ("more",)), [SIGNER])

    assert parse_checkpoint(extended.encode()).checkpoint.extensions == ("more",)
    with pytest.raises(NoteInvalid) as caught:
        open_checkpoint(extended.encode(), ORIGIN, KEYS)
    assert caught.value.data["reason"] == "extension_lines"


@pytest.mark.parametrize("index", range(11))
def test_a_receipt_verifies_offline(index: int) -> None:
    data = receipt(index).encode()

    assert verify_proof(data, LEAVES[index], ORIGIN, KEYS).index == index
    with pytest.raises(ProofInvalid):
        verify_proof(data, b"another entry", ORIGIN, KEYS)


def test_a_receipt_may_carry_extra_bytes() -> None:
    proof = LogProof(0, receipt(0).path, HEAD, b"context")

    assert parse_proof(proof.encode()).extra == b"context"
    assert verify_proof(proof.encode(), LEAVES[0], ORIGIN, KEYS) == proof


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"@v1", b"@v2"),
        lambda data: data.replace(b"index 3", b"index 03"),
        lambda data: data.replace(b"index 3", b"index 4"),
        lambda data: data.replace(b"index 3\n", b""),
        lambda data: data.replace(b"\n\n", b"\n", 1),
        lambda data: b"\xff" + data,
        lambda data: data.replace(b"index 3\n", b"index 3\nAAAA\n"),
        lambda data: data.replace(b"index 3\n", b"extra !\nindex 3\n"),
    ],
)
def test_malformed_receipts_are_refused(change: Any) -> None:
    with pytest.raises(ProofInvalid):
        verify_proof(change(receipt(3).encode()), LEAVES[3], ORIGIN, KEYS)


@pytest.mark.parametrize("kind", ["ed25519", "ml-dsa-44"])
def test_a_cosignature_tells_when(kind: str) -> None:
    private = (
        Ed25519PrivateKey.from_private_bytes(b"w" * 32)
        if kind == "ed25519"
        else MLDSA44PrivateKey.from_seed_bytes(b"w" * 32)
    )
    witness = Cosigner("witness.example", private)

    line = witness.cosign(HEAD, 1_700_000_000)

    other = sign_checkpoint(Checkpoint(ORIGIN, 10, tree_root(HASHES[:10])), [SIGNER])
    assert cosigned_at(HEAD, line, witness.verifier_key) == 1_700_000_000
    assert cosigned_at(other, line, witness.verifier_key) is None


def test_a_policy_counts_witnesses() -> None:
    witnesses = [
        Cosigner(f"w{n}.example", Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32))
        for n in range(1, 4)
    ]
    lines = [f"witness w{n} {w.verifier_key.encode()}" for n, w in enumerate(witnesses)]
    text = "\n".join(
        [
            "# who must agree",
            f"log {KEYS[0].encode()} https://log.example/audit",
            *lines,
            "group both 2 w0 w1 w2",
            "quorum both",
            "",
        ]
    )
    policy = parse_policy(text.encode())

    def cosigned(count: int) -> Any:
        extra = tuple(w.cosign(HEAD, 5) for w in witnesses[:count])
        note = Note(HEAD.note.text, (*HEAD.note.signatures, *extra))
        return parse_checkpoint(note.encode())

    assert not policy.is_met(cosigned(1))
    assert policy.is_met(cosigned(2))
    assert parse_policy(b"quorum none\n").is_met(HEAD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "quorum missing\n",
        "quorum none\nquorum none\n",
        "group g any\nquorum none\n",
        "group none any x\nquorum none\n",
        "frobnicate\nquorum none\n",
        "log nonsense\nquorum none\n",
        f"log {KEYS[0].encode()}\nlog {KEYS[0].encode()}\nquorum none\n",
        f"witness w {KEYS[0].encode()}\nquorum none\n",
        "quorum none\r\n",
    ],
)
def test_malformed_policies_are_refused(text: str) -> None:
    with pytest.raises(PolicyInvalid):
        parse_policy(text.encode())


@pytest.mark.parametrize("threshold", ["0", "3", "all", "any", "01", "-1", "x"])
def test_thresholds(threshold: str) -> None:
    witnesses = [
        Cosigner(f"w{n}.example", Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32))
        for n in range(1, 3)
    ]
    lines = [f"witness w{n} {w.verifier_key.encode()}" for n, w in enumerate(witnesses)]
    text = "\n".join([*lines, f"group g {threshold} w0 w1", "quorum g", ""])

    if threshold in ("all", "any"):
        assert parse_policy(text.encode()).groups["g"].threshold in (1, 2)
    else:
        with pytest.raises(PolicyInvalid):
            parse_policy(text.encode())


def test_a_name_with_spaces_cannot_sign() -> None:
    with pytest.raises(KeyUnusable):
        Ed25519Signer("two words", Ed25519PrivateKey.from_private_bytes(b"k" * 32))
