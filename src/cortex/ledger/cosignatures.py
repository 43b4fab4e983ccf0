"""Cosignatures (c2sp.org/tlog-cosignature): what a witness says of a checkpoint.

Both kinds carry the time of signing, so that a stale head can be told from a fresh one.
The ML-DSA-44 kind also names the cosigner and holds against quantum computers.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
    MLDSA44PublicKey,
)

from cortex.ledger.checkpoint import SignedCheckpoint
from cortex.ledger.errors import KeyUnusable
from cortex.ledger.notes import (
    COSIGNATURE_ED25519,
    COSIGNATURE_ML_DSA_44,
    Signature,
    VerifierKey,
    is_key_name,
    public_bytes,
    verify_ed25519,
)

_TIME_BYTES = 8
_TIME_MAX = 2**63 - 1
_NAME_BYTES_MAX = 255
_SUBTREE_LABEL = b"subtree/v1\n\x00"


class Cosigner:
    """Signs checkpoints together with a time."""

    def __init__(
        self, name: str, private: Ed25519PrivateKey | MLDSA44PrivateKey
    ) -> None:
        """Take the key and the name it signs under."""
        if not is_key_name(name) or len(name.encode()) > _NAME_BYTES_MAX:
            message = f"{name!r} cannot name a key: no spaces, no plus, not too long"
            raise KeyUnusable(message, field="name")
        self._private = private
        if isinstance(private, MLDSA44PrivateKey):
            public = private.public_key().public_bytes_raw()
            self.verifier_key = VerifierKey(name, COSIGNATURE_ML_DSA_44, public)
        else:
            public = public_bytes(private)
            self.verifier_key = VerifierKey(name, COSIGNATURE_ED25519, public)

    def cosign(self, signed: SignedCheckpoint, time: int) -> Signature:
        """Return the signature line for a head at ``time`` (epoch seconds)."""
        key = self.verifier_key
        value = self._private.sign(_message(key, signed, time))
        stamp = time.to_bytes(_TIME_BYTES, "big")
        return Signature(key.name, key.key_id, stamp + value)


def cosigned_at(
    signed: SignedCheckpoint, signature: Signature, key: VerifierKey
) -> int | None:
    """Return when the key cosigned this head (epoch seconds), or None if it did not."""
    if (signature.name, signature.key_id) != (key.name, key.key_id):
        return None
    stamp, value = signature.value[:_TIME_BYTES], signature.value[_TIME_BYTES:]
    time = int.from_bytes(stamp, "big")
    if len(stamp) != _TIME_BYTES or time > _TIME_MAX:
        return None
    message = _message(key, signed, time)
    if key.kind == COSIGNATURE_ED25519:
        return time if verify_ed25519(key.public, value, message) else None
    if key.kind == COSIGNATURE_ML_DSA_44:
        return time if _verify_ml_dsa(key.public, value, message) else None
    return None


def _verify_ml_dsa(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _message(key: VerifierKey, signed: SignedCheckpoint, time: int) -> bytes:
    if key.kind == COSIGNATURE_ED25519:
        return f"cosignature/v1\ntime {time}\n".encode() + signed.note.text
    checkpoint = signed.checkpoint
    return b"".join(
        (
            _SUBTREE_LABEL,
            _short_text(key.name),
            time.to_bytes(_TIME_BYTES, "big"),
            _short_text(checkpoint.origin),
            (0).to_bytes(_TIME_BYTES, "big"),
            checkpoint.size.to_bytes(_TIME_BYTES, "big"),
            checkpoint.root,
        )
    )


def _short_text(text: str) -> bytes:
    data = text.encode()
    if len(data) > _NAME_BYTES_MAX:
        message = f"a name has at most {_NAME_BYTES_MAX} bytes here"
        raise KeyUnusable(message, field="name")
    return bytes([len(data)]) + data
