"""Checks the signature of a ContextPack.

HMAC-SHA-256 (RFC 2104) over the canonical JSON (RFC 8785) of exactly the returned
object without ``signature``.
"""

import hashlib
import hmac
from collections.abc import Mapping

import rfc8785

from cortex_client.errors import SignatureError

SCHEME = "hmac-sha256:"
"""Optional prefix that names the algorithm."""


def sign(value: Mapping[str, object], key: str | bytes) -> str:
    """Return the hexadecimal signature of ``value``, its ``signature`` left out."""
    unsigned = {name: item for name, item in value.items() if name != "signature"}
    secret = key.encode() if isinstance(key, str) else key
    try:
        message = rfc8785.dumps(unsigned)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        text = f"the answer has no canonical JSON form: {error}"
        raise SignatureError(text) from error
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def verify(value: object, key: str | bytes) -> None:
    """Raise ``SignatureError`` unless ``value`` is what the key's holder signed."""
    if not isinstance(value, Mapping):
        message = "a signed object was expected"
        raise SignatureError(message)
    given = value.get("signature")
    if not isinstance(given, str) or not given:
        message = "the answer is not signed"
        raise SignatureError(
            message, hint="Set CORTEX_SIGNING_KEY at the server, or ask without a key."
        )
    expected = sign(value, key)
    if not hmac.compare_digest(given.removeprefix(SCHEME).lower(), expected):
        message = "the signature does not match the answer"
        raise SignatureError(
            message, hint="It was changed on its way, or signed with another key."
        )
