"""Signatures over canonical JSON (RFC 8785), for packs that clients verify."""

import hashlib
import hmac
from collections.abc import Mapping

from cortex.foundation.canonical import JsonValue, canonical_json

SIGNING_KEY_BYTES_MIN = 16
"""A shorter HMAC key could be guessed."""


class PackSigner:
    """HMAC-SHA-256 (RFC 2104) over an object without its ``signature`` member."""

    def __init__(self, key: bytes) -> None:
        """Take the key; shorter than 16 bytes raises ``ValueError``."""
        if len(key) < SIGNING_KEY_BYTES_MIN:
            message = f"a signing key has at least {SIGNING_KEY_BYTES_MIN} bytes"
            raise ValueError(message)
        self._key = key

    def sign(self, unsigned: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Return a copy with ``signature`` (lower-case hexadecimal) added."""
        body = {key: value for key, value in unsigned.items() if key != "signature"}
        return {**body, "signature": self._digest(body)}

    def verify(self, signed: Mapping[str, JsonValue]) -> bool:
        """Tell whether the object carries this key's signature, in constant time."""
        body = {key: value for key, value in signed.items() if key != "signature"}
        given = signed.get("signature")
        return isinstance(given, str) and hmac.compare_digest(
            given.encode(), self._digest(body).encode()
        )

    def _digest(self, body: Mapping[str, JsonValue]) -> str:
        return hmac.new(self._key, canonical_json(body), hashlib.sha256).hexdigest()
