from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cortex.ledger.checkpoint import Checkpoint, SignedCheckpoint, sign_checkpoint
from cortex.ledger.cosignatures import Cosigner, cosigned_at
from cortex.ledger.errors import NoteInvalid
from cortex.ledger.merkle import EMPTY_ROOT, consistency_proof, leaf_hash, tree_root
from cortex.ledger.notes import Ed25519Signer
from cortex.ledger.witness import (
    AddCheckpoint,
    Witness,
    cosigned,
    parse_request,
    request_for,
)

ORIGIN = "log.example/audit"
SIGNER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"k" * 32))
STRANGER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"s" * 32))
COSIGNER = Cosigner("w.example", Ed25519PrivateKey.from_private_bytes(b"w" * 32))
HASHES = [leaf_hash(bytes([n])) for n in range(64)]


class Clock:
    def now(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


def head(size: int, signer: Ed25519Signer = SIGNER) -> SignedCheckpoint:
    root = tree_root(HASHES[:size])
    return sign_checkpoint(Checkpoint(signer.name, size, root), [signer])


def proof(old: int, new: int) -> list[bytes]:
    return consistency_proof(
        old,
        new,
        lambda level, index: tree_root(HASHES[index << level : (index + 1) << level]),
    )


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    logs = {ORIGIN: [SIGNER.verifier_key]}
    return Witness(tmp_path / "state", COSIGNER, logs, Clock())


def grow(witness: Witness, old: int, new: int) -> int:
    return witness.add_checkpoint(request_for(head(new), old, proof(old, new))).status


def test_it_cosigns_a_growing_log(witness: Witness) -> None:
    answer = witness.add_checkpoint(request_for(head(5), 0, []))
    assert answer.status == 200
    both = cosigned(head(5), answer.body.encode(), [COSIGNER.verifier_key])

    assert len(both.note.signatures) == 2
    line = both.note.signatures[1]
    assert cosigned_at(head(5), line, COSIGNER.verifier_key) == 1_700_000_000
    assert grow(witness, 5, 17) == 200
    assert grow(witness, 17, 17) == 200
    latest = witness.latest(ORIGIN)
    assert latest is not None
    assert latest.size == 17


def test_it_remembers_after_a_restart(witness: Witness, tmp_path: Path) -> None:
    grow(witness, 0, 9)
    again = Witness(
        tmp_path / "state", COSIGNER, {ORIGIN: [SIGNER.verifier_key]}, Clock()
    )

    answer = again.add_checkpoint(request_for(head(12), 0, []))

    assert (answer.status, answer.body) == (409, "9\n")
    assert answer.content_type == "text/x.tlog.size"


def test_it_refuses_to_go_back(witness: Witness) -> None:
    grow(witness, 0, 9)

    answer = witness.add_checkpoint(request_for(head(5), 5, []))

    assert (answer.status, answer.body) == (409, "9\n")


def test_it_refuses_another_tree(witness: Witness) -> None:
    grow(witness, 0, 9)
    root = tree_root(HASHES[20:32])
    fork = sign_checkpoint(Checkpoint(ORIGIN, 12, root), [SIGNER])
    same = sign_checkpoint(Checkpoint(ORIGIN, 9, root), [SIGNER])

    forked = witness.add_checkpoint(request_for(fork, 9, proof(9, 12)))
    assert forked.status == 422
    assert witness.add_checkpoint(request_for(same, 9, [])).status == 409
    assert grow(witness, 9, 12) == 200


def test_it_refuses_strangers(witness: Witness) -> None:
    foreign = sign_checkpoint(Checkpoint("log.example/other", 1, HASHES[0]), [SIGNER])
    assert witness.add_checkpoint(request_for(foreign, 0, [])).status == 404
    forged = head(5, STRANGER)
    assert witness.add_checkpoint(request_for(forged, 0, [])).status == 403


def test_it_refuses_a_proof_where_none_belongs(witness: Witness) -> None:
    assert witness.add_checkpoint(request_for(head(5), 0, [HASHES[0]])).status == 422
    empty = sign_checkpoint(Checkpoint(ORIGIN, 0, HASHES[0]), [SIGNER])
    assert witness.add_checkpoint(request_for(empty, 0, [])).status == 422
    empty = sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), [SIGNER])
    assert witness.add_checkpoint(request_for(empty, 0, [])).status == 200


def test_an_old_size_beyond_the_checkpoint_is_malformed(witness: Witness) -> None:
    assert witness.add_checkpoint(request_for(head(5), 6, [])).status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        b"old 00\n\n" + head(1).encode(),
        b"old -1\n\n" + head(1).encode(),
        b"new 0\n\n" + head(1).encode(),
        b"old 0\nAAAA\n\n" + head(1).encode(),
        b"old 0\n!\n\n" + head(1).encode(),
        b"\xff\n\n" + head(1).encode(),
        b"old 0\n\nnonsense",
        AddCheckpoint(0, (HASHES[0],) * 64, head(1).encode()).encode(),
    ],
)
def test_malformed_requests(witness: Witness, body: bytes) -> None:
    assert witness.add_checkpoint(body).status == 400


def test_requests_read_back() -> None:
    request = AddCheckpoint(7, (HASHES[0], HASHES[1]), head(9).encode())
    assert parse_request(request.encode()) == request


def test_cosignatures_of_strangers_do_not_count() -> None:
    other = Cosigner("x.example", Ed25519PrivateKey.from_private_bytes(b"x" * 32))
    line = other.cosign(head(3), 5).line().encode()

    with pytest.raises(NoteInvalid):
        cosigned(head(3), line, [COSIGNER.verifier_key])
