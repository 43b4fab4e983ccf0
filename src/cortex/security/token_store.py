"""Issued bearer tokens: made here, shown once, kept as SHA-256, revocable at once.

A value is 256 random bits, so a fast hash is right: nobody finds a preimage by trying,
however fast the hash. A slow one (bcrypt, Argon2) protects what people choose; here it
would only let every junk token cost milliseconds.

A verified token is remembered in memory. ``revoke`` forgets it before it returns;
other processes notice within ``REVOCATION_SECONDS_MAX``, by a counter in the file. If
that counter cannot be read, nobody is let in: a revoked token must not come back to
life because a disk is sick.
"""

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

from cortex.bus.events import Event
from cortex.foundation.clock import Clock
from cortex.foundation.errors import Conflict, Unauthenticated, ValidationError
from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import Principal
from cortex.security.errors import TokenEnded, TokenNotFound
from cortex.security.issued_tokens import (
    EPHEMERAL_SECONDS_MAX,
    Issued,
    NewToken,
    TokenInfo,
    TokenState,
    check_new,
    check_reach,
    check_tenant,
    heir_of,
    is_well_formed,
    make_value,
    principal_of,
)
from cortex.security.tokens import hash_token
from cortex.storage import outbox
from cortex.storage.queries import Queries
from cortex.storage.sqlite import Connection, Database

WHICH_TOKENS = "`cortex tokens list`, or GET /admin/tokens, tells which there are."

REVOCATION_SECONDS_MAX = 1.0
"""Seconds until a revocation made by another process holds in this one."""

VERIFIED_TOKENS_MAX = 10_000
"""Verified tokens remembered: about 6 MB; the oldest goes first."""

OVERLAP_SECONDS_MAX = 7 * 86_400.0
"""Longest time a rotated token and its successor are both good."""

TOKENS_PER_TENANT_MAX = 10_000
"""Live tokens of one tenant: none can fill the table for the others."""

LISTED_MAX = 500
"""Tokens on one page of a listing."""

_SOURCE = "/cortex/security"
_SQL = Queries.load("cortex.security", "tokens")


@dataclass(frozen=True, slots=True)
class TokenStoreOptions:
    """How the store behaves.

    Attributes:
        reserved_names: names that no issued token may have: those of static tokens,
            so that a name in the ledger means one holder.
        random_bytes: the source of token values.
    """

    reserved_names: frozenset[str] = frozenset()
    revocation_seconds_max: float = REVOCATION_SECONDS_MAX
    verified_tokens_max: int = VERIFIED_TOKENS_MAX
    random_bytes: Callable[[int], bytes] = secrets.token_bytes


class TokenStore:
    """Issues, checks, rotates and revokes tokens; for any thread."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        ids: IdSource,
        options: TokenStoreOptions | None = None,
    ) -> None:
        """Use an opened database with the migrations of storage and security."""
        self._database = database
        self._clock = clock
        self._ids = ids
        self._options = options or TokenStoreOptions()
        self._verified: dict[bytes, tuple[float | None, Principal]] = {}
        self._lock = threading.Lock()
        self._generation = 0
        self._version = -1
        self._followed_at = float("-inf")

    def authenticate(self, value: str) -> Principal:
        """Return who holds the token; at most one indexed read of the file.

        Raises:
            Unauthenticated: it is unknown, expired or revoked.
            StorageError: the file cannot be asked.
        """
        self._follow()
        digest = hash_token(value)
        principal = self._remembered(digest)
        if principal is not None:
            return principal
        found = self._load(digest) if is_well_formed(value) else None
        if found is None:
            raise Unauthenticated(
                "this token is not known", hint="Ask for one, or check for a typo."
            )
        state = found.state(self._clock.now())
        if state is not TokenState.ACTIVE:
            raise TokenEnded(
                f"this token is {state}", hint="Ask for a new one.", token=found.name
            )
        return principal_of(found)

    def recall(self, value: str) -> Principal | None:
        """Return who holds the token if that is already known; asks no file.

        Except once in ``REVOCATION_SECONDS_MAX``, for the counter of changes.
        """
        self._follow()
        return self._remembered(hash_token(value))

    async def issue(
        self, new: NewToken, *, by: Principal, correlation_id: str = ""
    ) -> Issued:
        """Make a token that reaches no further than its maker.

        Raises:
            ValidationError: a name, scope, namespace or life is wrong.
            PermissionDenied: the maker lacks a scope or namespace it would give, or
                belongs to another tenant.
            Conflict: a live token has the name, or the tenant has too many.
        """
        check_new(new)
        check_reach(new, by)
        if new.name in self._options.reserved_names:
            raise _name_taken(new.name)
        now = self._clock.now()
        value = make_value(self._options.random_bytes)
        info = self._info(new, by.subject, now)

        def unit(connection: Connection) -> None:
            asked = {"tenant": new.tenant, "name": new.name, "now": now}
            if _count(connection, "live_of_name", asked):
                raise _name_taken(new.name)
            _check_room(connection, asked)
            _insert(connection, info, value)
            event = self._event("security.token_issued", info, by, correlation_id)
            outbox.append(connection, event)

        await self._database.write(unit)
        return Issued(info, value)

    async def rotate(
        self,
        tenant: str,
        token_id: str,
        *,
        by: Principal,
        overlap_seconds: float = EPHEMERAL_SECONDS_MAX,
        correlation_id: str = "",
    ) -> Issued:
        """Give a token a successor of the same name, reach and life.

        Both are good for ``overlap_seconds``, or until the old one ends anyway.

        Raises:
            TokenNotFound: the tenant has no such token.
            ValidationError: the overlap is negative or too long.
            PermissionDenied: the caller could not issue it.
            Conflict: it is dead, or has a successor already.
        """
        if not 0 <= overlap_seconds <= OVERLAP_SECONDS_MAX:
            message = f"overlap_seconds must be 0 to {OVERLAP_SECONDS_MAX:.0f}"
            raise ValidationError(message, field="overlap_seconds")
        now = self._clock.now()
        value = make_value(self._options.random_bytes)

        def unit(connection: Connection) -> TokenInfo:
            old = _find(connection, tenant, token_id)
            if old.replaced_by or old.state(now) is not TokenState.ACTIVE:
                why = "has a successor" if old.replaced_by else f"is {old.state(now)}"
                raise Conflict(f"this token {why}", hint="Issue a new one instead.")
            heir = heir_of(old)
            check_reach(heir, by)
            info = self._info(heir, by.subject, now)
            _insert(connection, info, value)
            retired = {"replaced_by": info.id, "expires_at": now + overlap_seconds}
            connection.execute(
                _SQL["retire"], {"tenant": tenant, "id": old.id, **retired}
            )
            connection.execute(_SQL["changed"])
            event = self._event("security.token_rotated", info, by, correlation_id)
            outbox.append(connection, event)
            return info

        info = await self._database.write(unit)
        self._forget_verified()
        return Issued(info, value)

    async def revoke(
        self, tenant: str, token_id: str, *, by: Principal, correlation_id: str = ""
    ) -> tuple[str, ...]:
        """End a token and all that were made with it; return the ids that ended.

        When it returns, this process refuses them; others follow within
        ``REVOCATION_SECONDS_MAX``. Again on a dead one: nothing, an empty tuple.

        Raises:
            TokenNotFound: the tenant has no such token.
            PermissionDenied: the caller belongs to another tenant.
        """
        check_tenant(tenant, by)
        now = self._clock.now()

        def unit(connection: Connection) -> tuple[str, ...]:
            info = _find(connection, tenant, token_id)
            asked = {"tenant": tenant, "id": token_id, "now": now, "by": by.subject}
            rows = connection.execute(_SQL["revoke_with_offspring"], asked).fetchall()
            ended = tuple(sorted(str(row[0]) for row in rows))
            if ended:
                connection.execute(_SQL["changed"])
                event = self._event(
                    "security.token_revoked", info, by, correlation_id, len(ended)
                )
                outbox.append(connection, event)
            return ended

        ended = await self._database.write(unit)
        self._forget_verified()
        return ended

    async def list(
        self, tenant: str, *, after: str = "", limit: int = LISTED_MAX, dead: bool
    ) -> list[TokenInfo]:
        """Return tokens of a tenant after an id, oldest first; ``dead`` ones too."""
        asked = {
            "tenant": tenant,
            "after": after,
            "limit": max(1, min(limit, LISTED_MAX)),
            "dead": dead,
            "now": self._clock.now(),
        }
        rows = await self._database.read(
            lambda connection: connection.execute(_SQL["list"], asked).fetchall()
        )
        return [_info_of(row) for row in rows]

    async def purge(self, dead_before: float) -> int:
        """Delete records of tokens that died before a time; return how many."""
        return await self._database.write(
            lambda connection: int(
                connection.execute(_SQL["purge"], (dead_before,)).rowcount
            )
        )

    def _remembered(self, digest: bytes) -> Principal | None:
        found = self._verified.get(digest)
        if found is None:
            return None
        expires_at, principal = found
        if expires_at is not None and expires_at <= self._clock.now():
            return None
        return principal

    def _load(self, digest: bytes) -> TokenInfo | None:
        generation = self._generation
        row = self._database.read_inline(
            lambda connection: connection.execute(
                _SQL["by_digest"], (digest,)
            ).fetchone()
        )
        if row is None:
            return None
        found = _info_of(row)
        if found.state(self._clock.now()) is TokenState.ACTIVE:
            self._remember(digest, found, generation)
        return found

    def _remember(self, digest: bytes, found: TokenInfo, generation: int) -> None:
        with self._lock:
            if generation != self._generation:
                return  # something was revoked since the row was read
            if len(self._verified) >= self._options.verified_tokens_max:
                del self._verified[next(iter(self._verified))]
            self._verified[digest] = (found.expires_at, principal_of(found))

    def _forget_verified(self) -> None:
        with self._lock:
            self._generation += 1
            self._verified.clear()

    def _follow(self) -> None:
        """Notice what other processes changed, at most so often."""
        now = self._clock.monotonic()
        if now - self._followed_at < self._options.revocation_seconds_max:
            return
        version = self._database.read_inline(
            lambda connection: int(connection.execute(_SQL["version"]).fetchone()[0])
        )
        if version != self._version:
            self._forget_verified()
            self._version = version
        self._followed_at = now

    def _info(self, new: NewToken, maker: str, now: float) -> TokenInfo:
        return TokenInfo(
            id=self._ids.new(),
            name=new.name,
            tenant=new.tenant,
            scopes=new.scopes,
            namespaces=new.namespaces,
            created_at=now,
            created_by=maker,
            expires_at=None if new.ttl_seconds is None else now + new.ttl_seconds,
            revoked_at=None,
            revoked_by="",
            replaced_by="",
            ephemeral=new.ephemeral,
        )

    def _event(
        self,
        kind: str,
        info: TokenInfo,
        by: Principal,
        correlation_id: str,
        count: int = 1,
    ) -> Event:
        return Event(
            id=self._ids.new(),
            type=kind,
            source=_SOURCE,
            time=self._clock.now(),
            subject=info.id,
            tenant=info.tenant,
            data={"token": info.name, "actor": by.subject, "count": count},
            correlation_id=correlation_id,
        )


def _check_room(connection: Connection, asked: dict[str, object]) -> None:
    if _count(connection, "live_of_tenant", asked) >= TOKENS_PER_TENANT_MAX:
        raise Conflict(
            f"this tenant has {TOKENS_PER_TENANT_MAX} live tokens",
            hint="Revoke what is no longer used.",
        )


def _count(connection: Connection, query: str, asked: dict[str, object]) -> int:
    return int(connection.execute(_SQL[query], asked).fetchone()[0])


def _name_taken(name: str) -> Conflict:
    return Conflict(
        f"a token named {name!r} is in use",
        hint="Rotate that one, or choose another name.",
        name=name,
    )


def _find(connection: Connection, tenant: str, token_id: str) -> TokenInfo:
    row = connection.execute(_SQL["by_id"], (tenant, token_id)).fetchone()
    if row is None:
        raise TokenNotFound("this tenant has no such token", hint=WHICH_TOKENS)
    return _info_of(row)


def _insert(connection: Connection, info: TokenInfo, value: str) -> None:
    row = {
        "id": info.id,
        "digest": hash_token(value),
        "name": info.name,
        "tenant": info.tenant,
        "scopes": json.dumps(sorted(info.scopes)),
        "namespaces": json.dumps(info.namespaces),
        "created_at": info.created_at,
        "created_by": info.created_by,
        "expires_at": info.expires_at,
        "ephemeral": info.ephemeral,
    }
    connection.execute(_SQL["insert"], row)


def _info_of(row: tuple[object, ...]) -> TokenInfo:
    (token_id, name, tenant, scopes, namespaces, *rest) = row
    created_at, created_by, expires_at, revoked_at, revoked_by, heir, ephemeral = rest
    return TokenInfo(
        id=str(token_id),
        name=str(name),
        tenant=str(tenant),
        scopes=frozenset(json.loads(str(scopes))),
        namespaces=tuple(json.loads(str(namespaces))),
        created_at=_seconds(created_at) or 0.0,
        created_by=str(created_by),
        expires_at=_seconds(expires_at),
        revoked_at=_seconds(revoked_at),
        revoked_by=str(revoked_by),
        replaced_by=str(heir),
        ephemeral=bool(ephemeral),
    )


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
