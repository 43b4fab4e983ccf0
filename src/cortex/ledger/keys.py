"""The log's signing keys: made once, readable by their owner only.

``keys/signing.key`` signs; while a rotation lasts ``keys/previous.key`` signs beside
it, so that a verifier with either key is served. The private form is that of Go's
``sumdb/note``: ``PRIVATE+KEY+name+id+base64``. The key's name is the log's origin.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from cortex.ledger.cosignatures import Cosigner
from cortex.ledger.errors import KeyUnusable, NoteInvalid
from cortex.ledger.files import create_file, read_file, write_file
from cortex.ledger.notes import (
    COSIGNATURE_ML_DSA_44,
    ED25519,
    Ed25519Signer,
    VerifierKey,
    decode64,
    encode64,
    is_key_name,
    key_id,
    public_bytes,
)
from cortex.storage.connections import sync_directory

SEED_BYTES = 32
SIGNING = "signing.key"
PREVIOUS = "previous.key"
POST_QUANTUM = "ml-dsa-44.key"

_OTHERS = 0o077
_PREFIX = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What the log signs with now.

    Attributes:
        signers: the current key first, then the previous one while both sign.
        cosigner: the post-quantum key, if configured.
    """

    signers: tuple[Ed25519Signer, ...]
    cosigner: Cosigner | None = None

    @property
    def origin(self) -> str:
        """Return the log's origin."""
        return self.signers[0].name

    @property
    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """Return what a verifier should pin."""
        keys = tuple(signer.verifier_key for signer in self.signers)
        return keys if self.cosigner is None else (*keys, self.cosigner.verifier_key)


class KeyFolder:
    """The folder the keys lie in."""

    def __init__(self, folder: Path, *, entropy: Callable[[int], bytes]) -> None:
        """Name the folder; nothing is read yet."""
        self._folder = folder
        self._entropy = entropy

    def load(self, origin: str, *, post_quantum: bool = False) -> SigningKeys:
        """Return the keys, making them at the first start.

        Args:
            origin: the log's identity; empty takes the stored one, or makes one up.
            post_quantum: sign with ML-DSA-44 as well.

        Raises:
            KeyUnusable: a file is malformed, open to others, or of another origin.
        """
        if not (self._folder / SIGNING).exists():
            name = origin or f"cortex.local/{self._entropy(8).hex()}"
            self._create(SIGNING, name, ED25519)
        signers = [self._ed25519(SIGNING)]
        name = signers[0].name
        if origin and origin != name:
            message = f"the ledger's key belongs to {name!r}, not to {origin!r}"
            hint = "An origin never changes; set it back, or start a new ledger."
            raise KeyUnusable(message, hint=hint)
        if (self._folder / PREVIOUS).exists():
            signers.append(self._ed25519(PREVIOUS))
        cosigner = None
        if post_quantum:
            if not (self._folder / POST_QUANTUM).exists():
                self._create(POST_QUANTUM, name, COSIGNATURE_ML_DSA_44)
            _, kind, seed = self._read(POST_QUANTUM)
            if kind != COSIGNATURE_ML_DSA_44:
                raise KeyUnusable(f"{POST_QUANTUM} holds a key of another type")
            cosigner = Cosigner(name, MLDSA44PrivateKey.from_seed_bytes(seed))
        return SigningKeys(tuple(signers), cosigner)

    def prepare_next(self) -> VerifierKey:
        """Make the key that will sign after a rotation; idempotent."""
        name, _, _ = self._read(SIGNING)
        if not (self._folder / "next.key").exists():
            self._create("next.key", name, ED25519)
        return self._ed25519("next.key").verifier_key

    def rotate(self) -> None:
        """Let the prepared key sign, with the present one beside it."""
        current = self._folder / SIGNING
        write_file(self._folder / PREVIOUS, current.read_bytes())
        (self._folder / "next.key").replace(current)
        sync_directory(self._folder)

    def end_overlap(self) -> None:
        """Destroy the previous key: from now on only the current one signs."""
        (self._folder / PREVIOUS).unlink(missing_ok=True)
        sync_directory(self._folder)

    def _create(self, filename: str, name: str, kind: int) -> None:
        if not is_key_name(name):
            message = f"{name!r} cannot be an origin: no spaces and no plus"
            raise KeyUnusable(message, field="origin")
        seed = self._entropy(SEED_BYTES)
        public = _public(kind, seed)
        material = encode64(bytes([kind]) + seed)
        text = f"{_PREFIX}{name}+{key_id(name, kind, public).hex()}+{material}\n"
        create_file(self._folder / filename, text.encode())

    def _ed25519(self, filename: str) -> Ed25519Signer:
        name, kind, seed = self._read(filename)
        if kind != ED25519:
            raise KeyUnusable(f"{filename} holds a key of another type")
        return Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(seed))

    def _read(self, filename: str) -> tuple[str, int, bytes]:
        path = self._folder / filename
        data = read_file(path)
        if data is None:
            raise KeyUnusable(f"there is no key at {path}")
        if path.stat().st_mode & _OTHERS:
            message = f"{path} is open to others than its owner"
            raise KeyUnusable(message, hint=f"Run: chmod 600 {path}")
        return _parse_private(data, path)


def read_verifier_keys(data: bytes) -> tuple[VerifierKey, ...]:
    """Read a file of verifier keys: one a line, blank lines and ``#`` allowed.

    Raises:
        KeyUnusable: a line is no verifier key, or there is none.
    """
    try:
        lines = [line.strip() for line in data.decode().splitlines()]
    except UnicodeDecodeError as error:
        raise KeyUnusable("a file of verifier keys is text") from error
    keys = tuple(VerifierKey.decode(line) for line in lines if line and line[0] != "#")
    if not keys:
        raise KeyUnusable("the file holds no verifier key")
    return keys


def _parse_private(data: bytes, path: Path) -> tuple[str, int, bytes]:
    try:
        text = data.decode().removesuffix("\n")
        name, _, rest = text.removeprefix(_PREFIX).partition("+")
        hex_id, _, encoded = rest.partition("+")
        material = decode64(encoded)
    except (UnicodeDecodeError, NoteInvalid) as error:
        raise KeyUnusable(f"{path} holds no signing key") from error
    kind, seed = (material[0], material[1:]) if material else (0, b"")
    good = text.startswith(_PREFIX) and is_key_name(name) and len(seed) == SEED_BYTES
    if not good or kind not in (ED25519, COSIGNATURE_ML_DSA_44):
        raise KeyUnusable(f"{path} holds no signing key")
    if key_id(name, kind, _public(kind, seed)).hex() != hex_id:
        raise KeyUnusable(f"the key in {path} does not match its id")
    return name, kind, seed


def _public(kind: int, seed: bytes) -> bytes:
    if kind == COSIGNATURE_ML_DSA_44:
        return MLDSA44PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
    return public_bytes(Ed25519PrivateKey.from_private_bytes(seed))


def system_entropy(count: int) -> bytes:
    """Return random bytes of the operating system."""
    return os.urandom(count)
