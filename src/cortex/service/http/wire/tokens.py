"""Issued tokens on the wire."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, Strict

from cortex.security.issued_tokens import (
    EPHEMERAL_SECONDS_MAX,
    NAMESPACES_PER_TOKEN_MAX,
    Issued,
    NewToken,
    TokenInfo,
    TokenState,
)
from cortex.security.token_store import LISTED_MAX, OVERLAP_SECONDS_MAX
from cortex.service.fields import Flag, Name, TtlSeconds, Wire

SCOPES_PER_TOKEN_MAX = 32
"""Scopes of one token: more than there are."""

TOKENS_LISTED_DEFAULT = 100


class TokenQuery(Wire):
    """GET /admin/tokens."""

    after: Name | None = Field(None, description="Id of the last one seen.")
    limit: int = Field(TOKENS_LISTED_DEFAULT, ge=1, le=LISTED_MAX)
    dead: bool = Field(default=False, description="Expired and revoked ones, too.")


class TokenBody(Wire):
    """POST /admin/tokens: it reaches no further than the token that asks."""

    name: Name = Field(description="Who it stands for in the ledger.")
    scopes: Annotated[list[Name], Field(min_length=1, max_length=SCOPES_PER_TOKEN_MAX)]
    namespaces: Annotated[
        list[Name] | None,
        Field(
            min_length=1,
            max_length=NAMESPACES_PER_TOKEN_MAX,
            description="Names or prefixes followed by *; all of the maker's without.",
        ),
    ] = None
    ttl_seconds: TtlSeconds | None = None
    ephemeral: Flag = False

    def domain(self, tenant: str, reach: Sequence[str]) -> NewToken:
        """Return what to issue, in the tenant of the maker."""
        return NewToken(
            name=self.name,
            scopes=frozenset(self.scopes),
            tenant=tenant,
            namespaces=tuple(reach if self.namespaces is None else self.namespaces),
            ttl_seconds=self.ttl_seconds,
            ephemeral=self.ephemeral,
        )


class RotationBody(Wire):
    """POST /admin/tokens/{id}/rotate."""

    overlap_seconds: Annotated[float, Strict(), Field(ge=0, le=OVERLAP_SECONDS_MAX)] = (
        Field(EPHEMERAL_SECONDS_MAX, description="How long the old one stays good.")
    )


class TokenAnswer(Wire):
    """What may be told of a token."""

    id: str
    name: str
    tenant: str
    state: TokenState
    scopes: list[str]
    namespaces: list[str]
    created_at: float
    created_by: str
    expires_at: float | None
    revoked_at: float | None
    revoked_by: str
    replaced_by: str
    ephemeral: bool


class TokensAnswer(Wire):
    """A page of tokens, oldest first."""

    tokens: list[TokenAnswer]
    next: str | None


class IssuedAnswer(Wire):
    """A fresh token with its value, which is told this once."""

    token: TokenAnswer
    value: str


class RevokedAnswer(Wire):
    """The ids that ended: the token's, and of all that were made with it."""

    revoked: list[str]


def token(info: TokenInfo, now: float) -> dict[str, object]:
    """Shape one token; its value is not among what is known."""
    return {
        "id": info.id,
        "name": info.name,
        "tenant": info.tenant,
        "state": info.state(now),
        "scopes": sorted(info.scopes),
        "namespaces": info.namespaces,
        "created_at": info.created_at,
        "created_by": info.created_by,
        "expires_at": info.expires_at,
        "revoked_at": info.revoked_at,
        "revoked_by": info.revoked_by,
        "replaced_by": info.replaced_by,
        "ephemeral": info.ephemeral,
    }


def tokens(found: Sequence[TokenInfo], limit: int, now: float) -> dict[str, object]:
    """Shape a page."""
    return {
        "tokens": [token(info, now) for info in found],
        "next": found[-1].id if len(found) == limit else None,
    }


def issued(value: Issued) -> dict[str, object]:
    """Shape a fresh token."""
    return {
        "token": token(value.token, value.token.created_at),
        "value": value.value,
    }
