"""Canonical JSON (RFC 8785): one byte string for one value, fit for hashing."""

import hashlib
from typing import TypeAlias

import rfc8785

from cortex.foundation.errors import ValidationError

JsonValue: TypeAlias = (
    "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
)


def canonical_json(value: object) -> bytes:
    """Return the RFC 8785 form of a JSON value.

    Raises:
        ValidationError: the value holds something JSON cannot carry exactly, such as
            NaN or an integer beyond ±(2**53 - 1).
    """
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        message = f"this value has no canonical JSON form: {error}"
        raise ValidationError(message, field="body") from error


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
