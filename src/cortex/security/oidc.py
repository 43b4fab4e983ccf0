"""Identity providers: their keys fetched and kept, their tokens verified.

Keys come from the provider's discovery document (OpenID Connect Discovery 1.0,
RFC 8414) or a given key-set address. They are asked for anew when they are old or when
a token names a key that is not among them, but never more often than
``REFETCH_SECONDS_MIN``: a flood of tokens with made-up key ids makes one request. A key
that the provider took back is forgotten with the next fetch. While a provider is down,
the keys at hand are good for ``STALE_SECONDS_MAX``; after that nobody of its people
gets in.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import httpx

from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError, ValidationError
from cortex.foundation.tenancy import Principal
from cortex.security.addresses import require_secure
from cortex.security.errors import IssuerUnavailable
from cortex.security.jwt import (
    ClaimRules,
    SigningKey,
    Unverified,
    parse_key_set,
    principal_of,
    refused,
    take_apart,
    verify_signature,
)
from cortex.security.tokens import hash_token

KEYS_FRESH_SECONDS = 600.0
"""Age at which keys are fetched anew: bounds how long a withdrawn key still works."""

REFETCH_SECONDS_MIN = 30.0
"""Least time between two fetches from one issuer, whatever tokens say."""

STALE_SECONDS_MAX = 86_400.0
"""Age at which keys are no longer believed while the issuer is down."""

FETCH_TIMEOUT_SECONDS = 5.0
"""Longest wait for an issuer."""

DOCUMENT_BYTES_MAX = 256 * 1024
"""Bytes of a discovery document or key set."""

VERIFIED_TOKENS_MAX = 10_000
"""Verified tokens remembered until they expire, about 10 MB; the oldest goes first."""

_DISCOVERY_PATH = "/.well-known/openid-configuration"


class Fetch(Protocol):
    """Gets a document by its address."""

    async def __call__(self, url: str) -> bytes:
        """Return the body; raises ``IssuerUnavailable``."""
        ...


@dataclass(frozen=True, slots=True)
class Issuer:
    """One identity provider.

    Attributes:
        keys_url: address of its key set; empty asks its discovery document.
    """

    rules: ClaimRules
    keys_url: str = ""

    def __post_init__(self) -> None:
        """Refuse addresses that anyone on the way could answer for."""
        for url in filter(None, (self.rules.issuer, self.keys_url)):
            require_secure(url, "issuer")


class HttpFetch:
    """Fetches over HTTP with bounds: time, size, and no redirect."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """Use a client that its owner closes."""
        self._client = client

    async def __call__(self, url: str) -> bytes:
        """Return the body of a 200 answer.

        Raises:
            IssuerUnavailable: no answer in time, another status, or too large.
        """
        try:
            async with self._client.stream(
                "GET", url, timeout=FETCH_TIMEOUT_SECONDS, follow_redirects=False
            ) as answer:
                return await _bounded(answer, url)
        except httpx.HTTPError as error:
            raise _unavailable(url, type(error).__name__) from None


class KeyRing:
    """The current keys of one issuer."""

    def __init__(self, issuer: Issuer, *, fetch: Fetch, clock: Clock) -> None:
        """Fetch nothing yet."""
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._keys: tuple[SigningKey, ...] = ()
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()
        self.generation = 0

    def is_fresh(self) -> bool:
        """Tell whether the keys need no look at the issuer."""
        return self._age() < KEYS_FRESH_SECONDS

    async def key_for(self, token: Unverified) -> SigningKey:
        """Return the key a token says it was signed with.

        Raises:
            Unauthenticated: the issuer has no such key.
            IssuerUnavailable: there are no keys young enough to believe.
        """
        usable = self._find(token) is not None and self._age() < STALE_SECONDS_MAX
        if not usable or not (self.is_fresh() or self._lock.locked()):
            await self._refresh(token)  # one waits for it; others use what is there
        if self._age() >= STALE_SECONDS_MAX:
            raise _unavailable(self._issuer.rules.issuer, "keys are missing or stale")
        key = self._find(token)
        if key is None:
            raise refused("names a key that its issuer does not have")
        return key

    def _age(self) -> float:
        return self._clock.monotonic() - self._fetched_at

    def _find(self, token: Unverified) -> SigningKey | None:
        """Choose by key id; a token without one needs the choice to be clear."""
        fitting = [key for key in self._keys if key.algorithm == token.algorithm]
        if token.kid:
            fitting = [key for key in fitting if key.kid == token.kid]
        return fitting[0] if len(fitting) == 1 else None

    async def _refresh(self, token: Unverified) -> None:
        async with self._lock:
            waited_for_another = self.is_fresh() and self._find(token) is not None
            since = self._clock.monotonic() - self._tried_at
            if waited_for_another or since < REFETCH_SECONDS_MIN:
                return
            tried_before, self._tried_at = self._tried_at, self._clock.monotonic()
            try:
                found = parse_key_set(await self._fetch(await self._keys_url()))
            except asyncio.CancelledError:
                # Nothing was learnt of the issuer: the next one may ask at once.
                self._tried_at = tried_before
                raise
            except CortexError:
                if self._age() >= STALE_SECONDS_MAX:
                    raise
                return  # the keys at hand are still good for a while
            if found != self._keys:
                self.generation += 1
            self._keys = found
            self._fetched_at = self._clock.monotonic()

    async def _keys_url(self) -> str:
        if self._issuer.keys_url:
            return self._issuer.keys_url
        issuer = self._issuer.rules.issuer
        body = await self._fetch(issuer.rstrip("/") + _DISCOVERY_PATH)
        return _keys_url_in(body, issuer)


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token that was accepted, until it ends or its issuer's keys change."""

    principal: Principal
    expires_at: float
    ring: KeyRing
    generation: int


class JwtVerifier:
    """Accepts tokens of the configured issuers; for one event loop."""

    def __init__(
        self, issuers: Iterable[Issuer], *, fetch: Fetch, clock: Clock
    ) -> None:
        """Take the issuers; two with the same ``iss`` are refused."""
        self._clock = clock
        self._issuers: dict[str, tuple[Issuer, KeyRing]] = {}
        for issuer in issuers:
            if issuer.rules.issuer in self._issuers:
                message = f"the issuer {issuer.rules.issuer} is configured twice"
                raise ValidationError(message, field="issuer")
            ring = KeyRing(issuer, fetch=fetch, clock=clock)
            self._issuers[issuer.rules.issuer] = (issuer, ring)
        self._verified: dict[bytes, _Verified] = {}

    def recall(self, token: str) -> Principal | None:
        """Return who holds a token that was verified before and is still good."""
        digest = hash_jwt(token)
        known = self._verified.get(digest)
        if known is None:
            return None
        current = known.generation == known.ring.generation and known.ring.is_fresh()
        if current and self._clock.now() < known.expires_at:
            return known.principal
        del self._verified[digest]
        return None

    async def authenticate(self, token: str) -> Principal:
        """Return who holds the token.

        Raises:
            Unauthenticated: it is malformed, not signed by a configured issuer, not
                meant for this service, or out of its time.
            IssuerUnavailable: its issuer's keys cannot be had.
        """
        known = self.recall(token)
        if known is not None:
            return known
        parts = take_apart(token)
        entry = self._issuers.get(parts.issuer)
        if entry is None:
            raise refused("is from an issuer that is not trusted here")
        issuer, ring = entry
        # Cheap claims first: an expired token must not make anyone fetch keys.
        principal_of(parts.claims, issuer.rules, self._clock.now())
        key = await ring.key_for(parts)
        generation = ring.generation
        verify_signature(parts, key)
        principal, expires_at = principal_of(
            parts.claims, issuer.rules, self._clock.now()
        )
        if len(self._verified) >= VERIFIED_TOKENS_MAX:
            del self._verified[next(iter(self._verified))]
        self._verified[hash_jwt(token)] = _Verified(
            principal, expires_at, ring, generation
        )
        return principal


def hash_jwt(token: str) -> bytes:
    """Return what a verified token is remembered by."""
    half = len(token) // 2  # two halves, because ``hash_token`` bounds its input
    return hash_token(token[:half]) + hash_token(token[half:])


async def _bounded(answer: httpx.Response, url: str) -> bytes:
    if answer.status_code != httpx.codes.OK:
        raise _unavailable(url, f"status {answer.status_code}")
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > DOCUMENT_BYTES_MAX:
            raise _unavailable(url, f"more than {DOCUMENT_BYTES_MAX} bytes")
    return bytes(body)


def _keys_url_in(body: bytes, issuer: str) -> str:
    """Read a discovery document, which must be the issuer's own (section 4.3)."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise _unavailable(issuer, "its discovery document names another issuer")
    url = document.get("jwks_uri")
    if not isinstance(url, str):
        raise _unavailable(issuer, "its discovery document names no keys")
    require_secure(url, "issuer")
    return url


def _unavailable(url: str, why: str) -> IssuerUnavailable:
    return IssuerUnavailable(
        f"the identity provider at {url} cannot be used: {why}",
        hint="Check its address and that this host can reach it.",
        retry_after_seconds=REFETCH_SECONDS_MIN,
    )
