"""Static bearer tokens: read once, kept only as SHA-256, found in constant time.

Two written forms are understood (``CORTEX_TOKENS``):

JSON, an object by token name::

    {"ci": {"token": "…", "scopes": ["memory", "context"], "tenant": "acme",
            "namespaces": ["team/*"], "expires_at": "2027-01-01T00:00:00Z"}}

where ``sha256`` (64 hexadecimal digits) may stand for ``token``, and everything but
one of these two and ``scopes`` may be left out. Or short, separated by commas::

    name:token:scope+scope[:tenant]
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cortex.foundation.clock import Clock
from cortex.foundation.errors import Unauthenticated, ValidationError
from cortex.foundation.tenancy import DEFAULT_TENANT, Principal, check_name
from cortex.security.errors import TokenEnded
from cortex.security.scopes import parse_scopes

STRONG_TOKEN_CHARACTERS_MIN = 16
"""A shorter token can be guessed; production refuses it."""

TOKEN_CHARACTERS_MAX = 4096
"""Longest token looked at: hashing must not cost more for a hostile caller."""

_SHA256_HEX = re.compile(r"[0-9a-f]{64}")
_FIELDS = frozenset({"token", "sha256", "scopes", "tenant", "namespaces", "expires_at"})
_SHORT_PARTS = (3, 4)
_HINT = (
    'Write name:token:scope+scope[:tenant] or {"name": {"token": …, "scopes": […]}}.'
)


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is kept of a token.

    Attributes:
        digest: SHA-256 of the token, 32 bytes.
        expires_at: epoch seconds; None never expires.
        strong: whether it is long enough to face a network; unknown counts as yes.
    """

    name: str
    digest: bytes
    scopes: frozenset[str]
    tenant: str = DEFAULT_TENANT
    namespaces: tuple[str, ...] = ("*",)
    expires_at: float | None = None
    strong: bool = True


_UNKNOWN = "Check CORTEX_TOKENS of the server."
_UNKNOWN_OPEN = (
    "The server lets callers in without a token: send none, or make this one known "
    "to it by CORTEX_TOKENS."
)


class Tokens:
    """Finds the principal behind a bearer token."""

    def __init__(
        self,
        records: Iterable[TokenRecord],
        clock: Clock,
        *,
        anonymous: Principal | None = None,
    ) -> None:
        """Take the records; ``anonymous`` answers for callers without a token.

        Pass ``anonymous`` only for a development server on loopback.
        """
        self._clock = clock
        self._anonymous = anonymous
        self._entries = {
            record.digest: (
                record,
                Principal(record.name, record.tenant, record.scopes, record.namespaces),
            )
            for record in records
        }

    @property
    def open(self) -> bool:
        """Return whether callers without a token are let in."""
        return self._anonymous is not None

    def authenticate(self, token: str | None) -> Principal:
        """Return who holds the token.

        The lookup is by digest, so its time tells nothing about any stored token.

        Raises:
            Unauthenticated: no token, an unknown one, or an expired one.
        """
        if token is None:
            if self._anonymous is not None:
                return self._anonymous
            raise Unauthenticated(
                "this request carries no token",
                hint="Send 'Authorization: Bearer TOKEN'.",
            )
        digest = hash_token(token)
        entry = self._entries.get(digest)
        if entry is None or not hmac.compare_digest(entry[0].digest, digest):
            raise Unauthenticated(
                "this token is not known", hint=_UNKNOWN_OPEN if self.open else _UNKNOWN
            )
        record, principal = entry
        if record.expires_at is not None and record.expires_at <= self._clock.now():
            raise TokenEnded(
                "this token has expired", hint="Ask for a new one.", token=record.name
            )
        return principal


def hash_token(token: str) -> bytes:
    """Return the SHA-256 of a token; over-long ones hash like no stored one."""
    if len(token) > TOKEN_CHARACTERS_MAX:
        return b""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def parse_tokens(text: str) -> tuple[TokenRecord, ...]:
    """Return the tokens written in ``text`` (see the module); empty text has none.

    Raises:
        ValidationError: a form, name, scope or time is wrong. The message names the
            token by its name, never by its value.
    """
    stripped = text.strip()
    if not stripped:
        return ()
    if stripped.startswith("{"):
        records = _parse_json(stripped)
    else:
        records = tuple(
            _parse_short(part.strip(), number)
            for number, part in enumerate(stripped.split(","), start=1)
            if part.strip()
        )
    if len({record.digest for record in records}) < len(records):
        raise _refusal("two tokens have the same value")
    if len({record.name for record in records}) < len(records):
        raise _refusal("two tokens have the same name")
    return records


def _parse_short(part: str, number: int) -> TokenRecord:
    pieces = part.split(":")
    if len(pieces) not in _SHORT_PARTS:
        raise _refusal(f"token {number} has {len(pieces)} parts instead of 3 or 4")
    name, token, scopes, *tenant = pieces
    return _record(
        name,
        {
            "token": token,
            "scopes": scopes.split("+"),
            "tenant": tenant[0] if tenant else DEFAULT_TENANT,
        },
    )


def _parse_json(text: str) -> tuple[TokenRecord, ...]:
    try:
        value = json.loads(text)
    except ValueError:
        raise _refusal("the tokens begin like JSON but are not") from None
    if not isinstance(value, dict):
        raise _refusal("the tokens are not a JSON object")
    records = []
    for name, fields in value.items():
        if not isinstance(fields, dict):
            raise _refusal(f"token {name!r} is not a JSON object")
        records.append(_record(name, fields))
    return tuple(records)


def _record(name: str, fields: Mapping[str, object]) -> TokenRecord:
    check_name(name, "token name")
    unknown = sorted(set(fields) - _FIELDS)
    if unknown:
        raise _refusal(f"token {name!r} has the unknown field {unknown[0]!r}")
    tenant = fields.get("tenant", DEFAULT_TENANT)
    if not isinstance(tenant, str):
        raise _refusal(f"token {name!r}: tenant is not a text")
    check_name(tenant, "tenant")
    digest, strong = _digest(name, fields)
    return TokenRecord(
        name=name,
        digest=digest,
        scopes=parse_scopes(_texts(name, fields, "scopes", ())),
        tenant=tenant,
        namespaces=_texts(name, fields, "namespaces", ("*",)),
        expires_at=_expiry(name, fields.get("expires_at")),
        strong=strong,
    )


def _digest(name: str, fields: Mapping[str, object]) -> tuple[bytes, bool]:
    token, sha256 = fields.get("token"), fields.get("sha256")
    if isinstance(token, str) and sha256 is None:
        if not token or len(token) > TOKEN_CHARACTERS_MAX or not token.isprintable():
            raise _refusal(
                f"token {name!r} is empty, too long or holds control characters"
            )
        return hash_token(token), len(token) >= STRONG_TOKEN_CHARACTERS_MIN
    if isinstance(sha256, str) and token is None and _SHA256_HEX.fullmatch(sha256):
        return bytes.fromhex(sha256), True
    raise _refusal(
        f"token {name!r} needs either 'token' or 'sha256' (64 hexadecimal digits)"
    )


def _texts(
    name: str, fields: Mapping[str, object], field: str, default: tuple[str, ...]
) -> tuple[str, ...]:
    value = fields.get(field, list(default))
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise _refusal(f"token {name!r}: {field} is not a list of texts")


def _expiry(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _refusal(
                f"token {name!r}: expires_at is not an ISO 8601 time"
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    raise _refusal(f"token {name!r}: expires_at is neither a time nor epoch seconds")


def _refusal(message: str) -> ValidationError:
    return ValidationError(message, hint=_HINT, field="tokens")
