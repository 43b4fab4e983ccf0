"""Encryption at rest: data keys wrapped by a master key, content sealed by data keys.

The cipher is XAES-256-GCM (https://c2sp.org/XAES-256-GCM): AES-256-GCM under a key
derived for each message from a data key and half of a 192-bit random nonce. Plain
AES-GCM must not see more than 2**32 random nonces under one key (NIST SP 800-38D);
here the bound is 2**80, so nothing has to count messages.

What is sealed is bound to its tenant and to a *context* (which table, which row): moved
elsewhere, it does not open. Rotating the master key wraps the data keys anew and
touches no content; rotating a data key leaves older content readable; destroying a
data key makes all it sealed unreadable.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

from cortex.foundation.errors import ValidationError
from cortex.security.errors import DecryptionFailed

KEY_BYTES = 32
KEY_ID_BYTES = 16
NONCE_BYTES = 24
TAG_BYTES = 16

FORMAT = b"\x01"
"""First byte of everything sealed; another one is another format."""

OVERHEAD_BYTES = len(FORMAT) + KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES
"""How much longer sealed content is than plain."""

_HEADER_BYTES = len(FORMAT) + KEY_ID_BYTES
_BLOCK_BYTES = 16
_CMAC_POLYNOMIAL = 0x87
_CONTENT = b"cortex-content/1"
_BLINDING = b"cortex-blinding/1"
_DATA_KEY = b"cortex-data-key/1"
_MASTER_ID = b"cortex-master-key-id/1"


class Xaes:
    """XAES-256-GCM under one key."""

    __slots__ = ("_block", "_subkey")

    def __init__(self, key: bytes) -> None:
        """Prepare the key derivation (CMAC of two fixed blocks)."""
        if len(key) != KEY_BYTES:
            message = f"a key has {KEY_BYTES} bytes"
            raise ValueError(message)
        # ECB of single blocks is how CMAC is defined; no content passes through it.
        self._block = Cipher(AES256(key), ECB())  # noqa: S305
        first = int.from_bytes(self._encrypt_blocks(bytes(_BLOCK_BYTES)), "big")
        doubled = first << 1
        if doubled >> (8 * _BLOCK_BYTES):
            doubled = (doubled ^ _CMAC_POLYNOMIAL) & ((1 << 8 * _BLOCK_BYTES) - 1)
        self._subkey = doubled.to_bytes(_BLOCK_BYTES, "big")

    def seal(self, nonce: bytes, plaintext: bytes, extra: bytes) -> bytes:
        """Return ciphertext and tag; a nonce is 24 bytes, used once."""
        return self._derived(nonce).encrypt(nonce[12:], plaintext, extra)

    def open(self, nonce: bytes, sealed: bytes, extra: bytes) -> bytes:
        """Return the plaintext; raises ``InvalidTag``."""
        return self._derived(nonce).decrypt(nonce[12:], sealed, extra)

    def _derived(self, nonce: bytes) -> AESGCM:
        first = _xor(b"\x00\x01X\x00" + nonce[:12], self._subkey)
        second = _xor(b"\x00\x02X\x00" + nonce[:12], self._subkey)
        return AESGCM(self._encrypt_blocks(first + second))

    def _encrypt_blocks(self, blocks: bytes) -> bytes:
        return self._block.encryptor().update(blocks)


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as it is stored: useless without the master key.

    Attributes:
        id: 16 random bytes, also in front of all it sealed.
        purpose: what it is for, such as ``memory`` or a subject of the ledger.
        master_id: which master key wrapped it.
    """

    id: bytes
    tenant: str
    purpose: str
    master_id: str
    wrapped: bytes = field(repr=False)


class DataKey:
    """One tenant's key for one purpose; seals and opens content.

    Pure and quick, so that a store may use it inside a transaction.
    """

    __slots__ = ("_blinding", "_cipher", "_random_bytes", "_scope", "id")

    def __init__(
        self,
        key_id: bytes,
        secret: bytes,
        scope: bytes,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """Made by a ``Keyring``; ``scope`` binds tenant and purpose."""
        self.id = key_id
        self._cipher = Xaes(secret)
        self._blinding = hmac.digest(secret, _BLINDING + scope, "sha256")
        self._scope = scope
        self._random_bytes = random_bytes

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Return the content sealed for exactly this context."""
        nonce = self._random_bytes(NONCE_BYTES)
        header = FORMAT + self.id
        extra = _bound(_CONTENT, header, self._scope, context)
        return header + nonce + self._cipher.seal(nonce, plaintext, extra)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return the content.

        Raises:
            DecryptionFailed: it was changed, or belongs to another key, tenant,
                purpose or context.
        """
        if key_id_of(sealed) != self.id:
            raise _failed("was sealed by another key")
        header, body = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        nonce, rest = body[:NONCE_BYTES], body[NONCE_BYTES:]
        extra = _bound(_CONTENT, header, self._scope, context)
        try:
            return self._cipher.open(nonce, rest, extra)
        except InvalidTag:
            raise _failed("was changed or moved") from None

    def blind(self, plaintext: bytes) -> bytes:
        """Return a keyed hash (HMAC-SHA256), the same each time, to compare by."""
        return hmac.digest(self._blinding, plaintext, "sha256")

    def __repr__(self) -> str:
        """Show the id only."""
        return f"DataKey({self.id.hex()})"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The key that wraps data keys; comes from a secret store, never from the disk.

    Attributes:
        id: derived from the key, so that it cannot be mixed up.
    """

    secret: bytes = field(repr=False)
    id: str = ""

    def __post_init__(self) -> None:
        """Check the length and derive the id."""
        if len(self.secret) != KEY_BYTES:
            raise ValidationError(
                f"a master key has {KEY_BYTES} bytes",
                hint="Make one with: openssl rand -hex 32",
                field="master_key",
            )
        digest = hashlib.sha256(_MASTER_ID + self.secret).hexdigest()
        object.__setattr__(self, "id", digest[:16])

    @classmethod
    def parse(cls, text: str) -> "MasterKey":
        """Read 64 hexadecimal digits or base64 of 32 bytes.

        Raises:
            ValidationError: it is neither; the text is not repeated.
        """
        try:
            return cls(bytes.fromhex(text))
        except ValueError:
            pass
        try:
            return cls(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            raise ValidationError(
                "the master key is neither hexadecimal nor base64",
                hint="Make one with: openssl rand -hex 32",
                field="master_key",
            ) from None


class Keyring:
    """The master keys: one that wraps, and older ones that still unwrap."""

    def __init__(
        self,
        current: MasterKey,
        older: Iterable[MasterKey] = (),
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Take the keys and the source of new ones."""
        self.current = current
        self._ciphers = {key.id: Xaes(key.secret) for key in (*older, current)}
        self._random_bytes = random_bytes

    @property
    def ids(self) -> frozenset[str]:
        """Return the ids of all keys on the ring."""
        return frozenset(self._ciphers)

    def make(self, tenant: str, purpose: str) -> WrappedKey:
        """Return a new data key, wrapped."""
        key_id = self._random_bytes(KEY_ID_BYTES)
        return self._wrap(key_id, tenant, purpose, self._random_bytes(KEY_BYTES))

    def unwrap(self, key: WrappedKey) -> DataKey:
        """Return the data key, ready for use.

        Raises:
            DecryptionFailed: its master key is not on the ring, or it was changed.
        """
        secret = self._unwrapped(key)
        scope = _bound(key.tenant.encode(), key.purpose.encode())
        return DataKey(key.id, secret, scope, self._random_bytes)

    def rewrap(self, key: WrappedKey) -> WrappedKey:
        """Return the same data key, wrapped by the current master key.

        Raises:
            DecryptionFailed: as ``unwrap``.
        """
        if key.master_id == self.current.id:
            return key
        return self._wrap(key.id, key.tenant, key.purpose, self._unwrapped(key))

    def _wrap(
        self, key_id: bytes, tenant: str, purpose: str, secret: bytes
    ) -> WrappedKey:
        nonce = self._random_bytes(NONCE_BYTES)
        extra = _bound(_DATA_KEY, key_id, tenant.encode(), purpose.encode())
        cipher = self._ciphers[self.current.id]
        wrapped = nonce + cipher.seal(nonce, secret, extra)
        return WrappedKey(key_id, tenant, purpose, self.current.id, wrapped)

    def _unwrapped(self, key: WrappedKey) -> bytes:
        cipher = self._ciphers.get(key.master_id)
        if cipher is None:
            raise DecryptionFailed(
                f"the master key {key.master_id} is not at hand",
                hint="Keep older master keys configured until all is wrapped anew.",
                master_key=key.master_id,
            )
        extra = _bound(_DATA_KEY, key.id, key.tenant.encode(), key.purpose.encode())
        nonce, rest = key.wrapped[:NONCE_BYTES], key.wrapped[NONCE_BYTES:]
        try:
            return cipher.open(nonce, rest, extra)
        except (InvalidTag, ValueError):
            raise _failed("is a data key that was changed") from None


def key_id_of(sealed: bytes) -> bytes:
    """Return the id of the data key that sealed something.

    Raises:
        DecryptionFailed: nothing of this format.
    """
    if len(sealed) < OVERHEAD_BYTES or not sealed.startswith(FORMAT):
        raise _failed("is not sealed content of a known format")
    return sealed[len(FORMAT) : _HEADER_BYTES]


def _bound(*parts: bytes) -> bytes:
    """Join parts so that no two different lists give the same bytes."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def _xor(first: bytes, second: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(first, second, strict=True))


def _failed(why: str) -> DecryptionFailed:
    return DecryptionFailed(
        f"this content {why}",
        hint="Check that file and keys belong together; restore a backup if not.",
    )
