"""JSON Web Tokens: taken apart, verified and mapped to a principal; pure.

JWS compact form (RFC 7515) with RS256, ES256 or EdDSA over Ed25519, and nothing else
(RFC 8725, JSON Web Token Best Current Practices): no ``none``, no HMAC, so a public
key can never be taken for a shared secret. The key decides the algorithm, the header
only has to agree; keys inside a token (``jwk``, ``jku``, ``x5c``, ``x5u``) are not
looked at; a token with ``crit`` is refused, because it asks for something unknown.

Written over ``cryptography``, which Cortex has anyway: for three algorithms and one
direction that is less code than what a library's options need to be made safe.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPublicKey,
    RSAPublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from cortex.foundation.errors import Unauthenticated, ValidationError
from cortex.foundation.tenancy import DEFAULT_TENANT, Principal, check_name
from cortex.security.errors import TokenEnded
from cortex.security.scopes import Scope

JWT_CHARACTERS_MAX = 8_192
"""Longest token looked at: what fits into one header line of usual servers."""

LEEWAY_SECONDS_MAX = 300.0
"""Largest clock skew that can be allowed; more would undo expiry."""

RSA_BITS_MIN = 2_048
"""Shortest RSA key that is trusted (RFC 7518, section 3.3)."""

RSA_BITS_MAX = 8_192
"""Longest: a larger key only costs time."""

KEYS_PER_SET_MAX = 64
"""Keys of one issuer; real ones have two to ten."""

SUBJECT_CHARACTERS_MAX = 255
"""Characters of ``sub`` (OpenID Connect Core, section 2)."""

_PART = re.compile(r"[A-Za-z0-9_-]+")
_PARTS = 3
_ES256_BYTES = 64
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One public key of an issuer, with the only algorithm it is used for."""

    kid: str
    algorithm: str
    key: PublicKey


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token taken apart; nothing in it is to be believed yet.

    Attributes:
        issuer: what it says of itself, to choose whose keys to verify with.
    """

    algorithm: str
    kid: str
    issuer: str
    claims: Mapping[str, object] = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What one issuer's tokens must say, and how that becomes a principal.

    Attributes:
        name: short name of the issuer; subjects are ``name:sub``, so that no issuer
            can speak for another's people.
        issuer: exact value of ``iss``.
        audiences: one of these must be in ``aud``.
        leeway_seconds: allowed skew between the two clocks.
        scope_claims: claims that list scopes, as text or list; names that Cortex
            does not know are left out.
        scope_prefix: removed from the front of a scope; scopes without it are left
            out. ``*`` is never taken from a token.
        roles_claim: dotted path of a claim that lists roles; empty for none.
        roles: scopes of each role, such as a policy's.
        tenant_claim: dotted path of the claim that names the tenant; empty for the
            fixed ``tenant``.
        tenants: tenants this issuer may vouch for; empty is any.
        namespaces: patterns given to each of its principals.
    """

    name: str
    issuer: str
    audiences: frozenset[str]
    leeway_seconds: float = 60.0
    scope_claims: tuple[str, ...] = ("scope", "scp")
    scope_prefix: str = ""
    roles_claim: str = ""
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    tenant_claim: str = ""
    tenant: str = DEFAULT_TENANT
    tenants: frozenset[str] = frozenset()
    namespaces: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        """Refuse rules that would let in too much."""
        check_name(self.name, "issuer name")
        if not self.issuer or not self.audiences:
            raise ValidationError(
                "an issuer needs its exact 'iss' and at least one audience",
                hint="Without an audience, tokens for other services would pass.",
                field="audiences",
            )
        if not 0 <= self.leeway_seconds <= LEEWAY_SECONDS_MAX:
            message = f"leeway_seconds must be 0 to {LEEWAY_SECONDS_MAX:.0f}"
            raise ValidationError(message, field="leeway_seconds")


def looks_like_jwt(token: str) -> bool:
    """Tell whether a bearer token has the shape of a signed JWT."""
    return token.startswith("eyJ") and token.count(".") == _PARTS - 1


def take_apart(token: str) -> Unverified:
    """Return the parts of a token.

    Raises:
        Unauthenticated: it is too long, malformed, or asks for what is not done here.
    """
    parts = token.split(".") if len(token) <= JWT_CHARACTERS_MAX else []
    if len(parts) != _PARTS:
        raise refused("is not a signed JWT of bearable length")
    header, claims = _json(parts[0]), _json(parts[1])
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _VERIFY:
        raise refused("is not signed by RS256, ES256 or EdDSA")
    if "crit" in header or "zip" in header or "enc" in header:
        raise refused("asks for an extension that is not known here")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise refused("is not an access token")
    kid, issuer = header.get("kid", ""), claims.get("iss", "")
    if not isinstance(kid, str) or not isinstance(issuer, str):
        raise refused("has a 'kid' or 'iss' that is not a text")
    return Unverified(
        algorithm=algorithm,
        kid=kid,
        issuer=issuer,
        claims=claims,
        signed=f"{parts[0]}.{parts[1]}".encode(),
        signature=_bytes(parts[2]),
    )


def verify_signature(token: Unverified, key: SigningKey) -> None:
    """Return if the key made the signature by the key's own algorithm.

    Raises:
        Unauthenticated: it did not.
    """
    if key.algorithm != token.algorithm:
        raise refused("is signed by another algorithm than its key is for")
    try:
        _VERIFY[key.algorithm](key.key, token.signature, token.signed)
    except InvalidSignature:
        raise refused("has a signature that does not fit") from None


def principal_of(
    claims: Mapping[str, object], rules: ClaimRules, now: float
) -> tuple[Principal, float]:
    """Return whom verified claims stand for, and until when (epoch seconds).

    Raises:
        Unauthenticated: a claim is missing or wrong; the message says which, never
            its value.
    """
    expires_at = _check_times(claims, rules.leeway_seconds, now)
    if claims.get("iss") != rules.issuer:
        raise refused("is from another issuer")
    audience = claims.get("aud")
    named = {audience} if isinstance(audience, str) else _texts(audience)
    if not rules.audiences & named:
        raise refused("is meant for another service")
    subject = claims.get("sub")
    if not _is_subject(subject):
        raise refused("has no usable 'sub'")
    principal = Principal(
        subject=f"{rules.name}:{subject}",
        tenant=_tenant(claims, rules),
        scopes=_scopes(claims, rules),
        namespaces=rules.namespaces,
    )
    return principal, expires_at


def parse_key_set(body: bytes) -> tuple[SigningKey, ...]:
    """Return the usable signature keys of a JWK Set (RFC 7517).

    Keys for other uses, of other kinds or too weak are left out, as the standard
    wants; so are two keys of one ``kid``, of which none can be chosen.

    Raises:
        ValidationError: it is not a key set, or has too many keys.
    """
    try:
        tree = json.loads(body)
    except ValueError:
        tree = None
    entries = tree.get("keys") if isinstance(tree, dict) else None
    if not isinstance(entries, list) or len(entries) > KEYS_PER_SET_MAX:
        message = f"this is not a JWK Set of at most {KEYS_PER_SET_MAX} keys"
        raise ValidationError(message, field="keys")
    found = [key for entry in entries if (key := _key(entry)) is not None]
    kids = [key.kid for key in found]
    return tuple(key for key in found if kids.count(key.kid) == 1)


def refused(why: str, kind: type[Unauthenticated] = Unauthenticated) -> Unauthenticated:
    """Return the one error for a token that is not accepted."""
    return kind(f"this token {why}", hint="Ask your identity provider for a fresh one.")


def _verify_rs256(key: PublicKey, signature: bytes, signed: bytes) -> None:
    if not isinstance(key, RSAPublicKey):
        raise InvalidSignature
    key.verify(signature, signed, PKCS1v15(), SHA256())


def _verify_es256(key: PublicKey, signature: bytes, signed: bytes) -> None:
    """Verify the fixed-length form of RFC 7518, section 3.4."""
    if not isinstance(key, EllipticCurvePublicKey) or len(signature) != _ES256_BYTES:
        raise InvalidSignature
    half = _ES256_BYTES // 2
    r = int.from_bytes(signature[:half], "big")
    s = int.from_bytes(signature[half:], "big")
    key.verify(encode_dss_signature(r, s), signed, ECDSA(SHA256()))


def _verify_eddsa(key: PublicKey, signature: bytes, signed: bytes) -> None:
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidSignature
    key.verify(signature, signed)


_VERIFY: Mapping[str, Callable[[PublicKey, bytes, bytes], None]] = MappingProxyType(
    {"RS256": _verify_rs256, "ES256": _verify_es256, "EdDSA": _verify_eddsa}
)


def _bytes(text: str) -> bytes:
    """Decode base64url in its only canonical form: no padding, no stray bits."""
    if not _PART.fullmatch(text):
        raise refused("is not base64url")
    try:
        value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise refused("is not base64url") from None
    if base64.urlsafe_b64encode(value).rstrip(b"=").decode() != text:
        raise refused("is not canonical base64url")
    return value


def _json(text: str) -> dict[str, object]:
    try:
        value = json.loads(_bytes(text), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise refused("does not hold JSON") from None
    if not isinstance(value, dict):
        raise refused("does not hold a JSON object")
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a member that is there twice: readers would differ on which counts."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise refused("names a member twice")
    return value


def _check_times(claims: Mapping[str, object], leeway: float, now: float) -> float:
    expires_at = _time(claims, "exp")
    if expires_at is None:
        raise refused("has no 'exp'")
    if now >= expires_at + leeway:
        raise refused("has expired", TokenEnded)
    for name in ("nbf", "iat"):
        start = _time(claims, name)
        if start is not None and now < start - leeway:
            raise refused("is not valid yet")
    return expires_at + leeway


def _time(claims: Mapping[str, object], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refused(f"has an {name!r} that is not a number")
    if not abs(value) < 2**53:  # also refuses NaN
        raise refused(f"has an {name!r} out of range")
    return float(value)


def _is_subject(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= SUBJECT_CHARACTERS_MAX
        and value.isprintable()
    )


def _tenant(claims: Mapping[str, object], rules: ClaimRules) -> str:
    if not rules.tenant_claim:
        return rules.tenant
    value = _at(claims, rules.tenant_claim)
    if not isinstance(value, str):
        raise refused(f"lacks the claim {rules.tenant_claim!r}")
    try:
        check_name(value, "tenant")
    except ValidationError:
        raise refused("names a tenant that cannot be") from None
    if rules.tenants and value not in rules.tenants:
        raise refused("names a tenant its issuer may not vouch for")
    return value


def _scopes(claims: Mapping[str, object], rules: ClaimRules) -> frozenset[str]:
    named: set[str] = set()
    for claim in rules.scope_claims:
        value = _at(claims, claim)
        named |= set(value.split()) if isinstance(value, str) else _texts(value)
    prefix = rules.scope_prefix
    known = frozenset(scope.value for scope in Scope)
    scopes = known & {n.removeprefix(prefix) for n in named if n.startswith(prefix)}
    held = _texts(_at(claims, rules.roles_claim)) if rules.roles_claim else set()
    return scopes.union(*(rules.roles.get(role, frozenset()) for role in held))


def _at(claims: Mapping[str, object], path: str) -> object:
    """Return a claim by its name, else by a dotted path into nested objects."""
    if path in claims:
        return claims[path]
    value: object = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _texts(value: object) -> set[str]:
    return (
        {item for item in value if isinstance(item, str)}
        if isinstance(value, list)
        else set()
    )


def _key(entry: object) -> SigningKey | None:
    """Read one JWK; None for one that is not to be used here."""
    if not isinstance(entry, dict) or not _is_for_verifying(entry):
        return None
    reader = _KEY_KINDS.get((str(entry.get("kty")), str(entry.get("crv", ""))))
    if reader is None or entry.get("alg", reader[0]) != reader[0]:
        return None
    algorithm, read = reader
    try:
        key = read(entry)
    except (ValueError, KeyError, TypeError, Unauthenticated):
        return None
    if isinstance(key, RSAPublicKey) and not (
        RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX
    ):
        return None
    return SigningKey(str(entry.get("kid", "")), algorithm, key)


def _is_for_verifying(entry: Mapping[str, object]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    usable = isinstance(operations, list) and "verify" in operations
    return usable and entry.get("use", "sig") == "sig"


def _number(entry: Mapping[str, object], name: str) -> int:
    return int.from_bytes(_bytes(str(entry[name])), "big")


def _rsa(entry: Mapping[str, object]) -> PublicKey:
    return RSAPublicNumbers(_number(entry, "e"), _number(entry, "n")).public_key()


def _p256(entry: Mapping[str, object]) -> PublicKey:
    x, y = _number(entry, "x"), _number(entry, "y")
    return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()


def _ed25519(entry: Mapping[str, object]) -> PublicKey:
    return Ed25519PublicKey.from_public_bytes(_bytes(str(entry["x"])))


_KEY_KINDS: Mapping[
    tuple[str, str], tuple[str, Callable[[Mapping[str, object]], PublicKey]]
] = MappingProxyType(
    {
        ("RSA", ""): ("RS256", _rsa),
        ("EC", "P-256"): ("ES256", _p256),
        ("OKP", "Ed25519"): ("EdDSA", _ed25519),
    }
)
