"""What an issued token is: its value, what is told of it, and who may make one; pure.

A value is ``cortex_``, 256 random bits and a CRC-32, as other services have it: a
mistyped or made-up one is refused without a look at the database, and scanners find
leaked ones by ``cortex_[A-Za-z0-9_-]{49}``.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from cortex.foundation.errors import PermissionDenied, ValidationError
from cortex.foundation.tenancy import (
    ALL_SCOPES,
    DEFAULT_TENANT,
    Principal,
    check_name,
)
from cortex.security.patterns import Patterns
from cortex.security.scopes import parse_scopes

PREFIX = "cortex_"
SECRET_BYTES = 32

EPHEMERAL_SECONDS_MAX = 3_600.0
"""Longest life of an ephemeral token: one long task of an agent."""

NAMESPACES_PER_TOKEN_MAX = 64
"""Namespace patterns of one token."""

_CHECKSUM_CHARACTERS = 6
_SECRET_CHARACTERS = 43
_LENGTH = len(PREFIX) + _SECRET_CHARACTERS + _CHECKSUM_CHARACTERS


class TokenState(StrEnum):
    """Whether a token is good, and if not, why."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class NewToken:
    """What to issue.

    Attributes:
        name: who it stands for in the ledger; one live token of a tenant has it,
            two while one is being rotated.
        ttl_seconds: life; None never ends.
        ephemeral: made for one task; lives at most ``EPHEMERAL_SECONDS_MAX``.
    """

    name: str
    scopes: frozenset[str]
    tenant: str = DEFAULT_TENANT
    namespaces: tuple[str, ...] = ("*",)
    ttl_seconds: float | None = None
    ephemeral: bool = False


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What may be told of a token; its value is not among it."""

    id: str
    name: str
    tenant: str
    scopes: frozenset[str]
    namespaces: tuple[str, ...]
    created_at: float
    created_by: str
    expires_at: float | None
    revoked_at: float | None
    revoked_by: str
    replaced_by: str
    ephemeral: bool

    def state(self, now: float) -> TokenState:
        """Tell whether it is good at ``now`` (epoch seconds)."""
        if self.revoked_at is not None:
            return TokenState.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return TokenState.EXPIRED
        return TokenState.ACTIVE


@dataclass(frozen=True, slots=True)
class Issued:
    """A fresh token; the only time its value is seen."""

    token: TokenInfo
    value: str = field(repr=False)


def is_well_formed(value: str) -> bool:
    """Tell whether a text could be an issued token: prefix, length and checksum."""
    if len(value) != _LENGTH or not value.startswith(PREFIX) or not value.isascii():
        return False
    secret, checksum = value[:-_CHECKSUM_CHARACTERS], value[-_CHECKSUM_CHARACTERS:]
    return _checksum(secret) == checksum


def make_value(random_bytes: Callable[[int], bytes]) -> str:
    """Return a fresh value from so many random bytes."""
    secret = base64.urlsafe_b64encode(random_bytes(SECRET_BYTES)).rstrip(b"=").decode()
    return PREFIX + secret + _checksum(PREFIX + secret)


def _checksum(text: str) -> str:
    crc = binascii.crc32(text.encode()).to_bytes(4, "big")
    return base64.urlsafe_b64encode(crc).rstrip(b"=").decode()


def check_new(new: NewToken) -> None:
    """Raise ``ValidationError`` unless such a token can be."""
    check_name(new.name, "token name")
    check_name(new.tenant, "tenant")
    parse_scopes(new.scopes)
    if not 1 <= len(new.namespaces) <= NAMESPACES_PER_TOKEN_MAX:
        message = f"a token has 1 to {NAMESPACES_PER_TOKEN_MAX} namespaces"
        raise ValidationError(message, field="namespaces")
    if any("{" in pattern for pattern in Patterns(new.namespaces).texts):
        message = "a token's namespaces take no placeholders"
        raise ValidationError(message, field="namespaces")
    if new.ttl_seconds is not None and not new.ttl_seconds > 0:
        raise ValidationError("ttl_seconds must be above 0", field="ttl_seconds")
    if new.ephemeral and not (new.ttl_seconds or 0) <= EPHEMERAL_SECONDS_MAX:
        message = f"an ephemeral token lives at most {EPHEMERAL_SECONDS_MAX:.0f} s"
        raise ValidationError(message, field="ttl_seconds")
    if new.ephemeral and new.ttl_seconds is None:
        raise ValidationError("an ephemeral token needs a life", field="ttl_seconds")


def check_reach(new: NewToken, by: Principal) -> None:
    """Raise ``PermissionDenied`` when it would reach further than its maker."""
    check_tenant(new.tenant, by)
    beyond = sorted(new.scopes - by.scopes)
    if beyond and ALL_SCOPES not in by.scopes:
        message = f"you cannot give the scope {beyond[0]!r}, which you do not hold"
        raise PermissionDenied(message, hint="Ask someone who holds it.")
    for pattern in new.namespaces:
        if not any(_covers(own, pattern) for own in by.namespaces):
            message = f"you cannot give the namespace {pattern!r}, which you lack"
            raise PermissionDenied(message, hint="Ask someone who has it.")


def check_tenant(tenant: str, by: Principal) -> None:
    """Raise ``PermissionDenied`` unless the tenant is the caller's own."""
    if tenant != by.tenant:
        raise PermissionDenied(
            "tokens of another tenant are out of reach",
            hint="Use a token of that tenant.",
        )


def _covers(own: str, pattern: str) -> bool:
    if own.endswith("*"):
        return pattern.removesuffix("*").startswith(own[:-1])
    return own == pattern


def heir_of(old: TokenInfo) -> NewToken:
    """Return a successor of the same name, reach and life."""
    life = None if old.expires_at is None else old.expires_at - old.created_at
    return NewToken(
        name=old.name,
        scopes=old.scopes,
        tenant=old.tenant,
        namespaces=old.namespaces,
        ttl_seconds=life,
        ephemeral=old.ephemeral,
    )


def principal_of(info: TokenInfo) -> Principal:
    """Return whom the token stands for."""
    return Principal(info.name, info.tenant, info.scopes, info.namespaces)
