"""Personal content under a subject's key, and commitments to it (pure).

Content is encrypted with AES-256-GCM bound to the entry's id. The entry in the log
holds, for each field, HMAC-SHA-256 of the content under a random salt; the salts lie
inside the ciphertext. Once the key is destroyed the commitments say nothing, and
while it exists a single field can be disclosed and checked with its own salt.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import ValidationError
from cortex.ledger.entry import canonical_bytes
from cortex.ledger.errors import ContentForgotten

KEY_BYTES = 32
NONCE_BYTES = 12
SALT_BYTES = 16

_COMPRESS_FROM_BYTES = 512
_PLAIN, _ZSTD = b"\x00", b"\x01"


@dataclass(frozen=True, slots=True)
class Sealed:
    """Encrypted content and what may be said of it in the open.

    Attributes:
        ciphertext: nonce, then AES-GCM output.
        commitments: salted commitment of each field, hexadecimal.
    """

    ciphertext: bytes
    commitments: Mapping[str, str]

    @property
    def sha256(self) -> str:
        """Return the name under which the ciphertext is kept."""
        return hashlib.sha256(self.ciphertext).hexdigest()


class Sealer:
    """Encrypts content; owned by the one writer, hence by one thread at a time."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        """Take the source of nonces and salts."""
        self._entropy = entropy
        self._compressor = zstandard.ZstdCompressor(level=1)

    def seal(
        self, fields: Mapping[str, JsonValue], key: bytes, entry_id: str
    ) -> Sealed:
        """Encrypt fields under a subject's key for one entry.

        Raises:
            ValidationError: a field holds what JSON cannot carry.
        """
        random = self._entropy(NONCE_BYTES + SALT_BYTES * len(fields))
        nonce, rest = random[:NONCE_BYTES], random[NONCE_BYTES:]
        salts = {
            name: rest[at * SALT_BYTES : (at + 1) * SALT_BYTES]
            for at, name in enumerate(fields)
        }
        opened = {name: salt.hex() for name, salt in salts.items()}
        try:
            body = orjson.dumps({"fields": fields, "salts": opened})
        except TypeError as error:
            message = f"this content has no JSON form: {error}"
            raise ValidationError(message, field="body") from error
        packed = _PLAIN + body
        if len(body) >= _COMPRESS_FROM_BYTES:
            packed = _ZSTD + self._compressor.compress(body)
        ciphertext = nonce + AESGCM(key).encrypt(nonce, packed, entry_id.encode())
        return Sealed(
            ciphertext,
            {name: commitment(value, salts[name]) for name, value in fields.items()},
        )


def unseal(ciphertext: bytes, key: bytes, entry_id: str) -> dict[str, JsonValue]:
    """Return the fields again.

    Raises:
        ContentForgotten: the key does not open it: it was destroyed, or this is not
            the content that was sealed.
    """
    nonce, rest = ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:]
    try:
        packed = AESGCM(key).decrypt(nonce, rest, entry_id.encode())
    except (InvalidTag, ValueError) as error:
        message = "this content cannot be opened any more"
        raise ContentForgotten(message, entry_id=entry_id) from error
    body = packed[1:]
    if packed[:1] == _ZSTD:
        body = zstandard.ZstdDecompressor().decompress(body)
    fields: dict[str, JsonValue] = orjson.loads(body)["fields"]
    return fields


def commitment(value: JsonValue, salt: bytes) -> str:
    """Return the commitment to one field, hexadecimal."""
    data = value.encode() if isinstance(value, str) else canonical_bytes(value)
    return hmac.digest(salt, data, "sha256").hex()
