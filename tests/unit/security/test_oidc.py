"""Tokens of a real issuer on loopback, over real HTTP, with keys that rotate."""

import asyncio
import hashlib
import hmac
import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from cortex.foundation.errors import Unauthenticated, ValidationError
from cortex.foundation.tenancy import Principal
from cortex.security.errors import IssuerUnavailable
from cortex.security.jwt import (
    ClaimRules,
    looks_like_jwt,
    parse_key_set,
    take_apart,
)
from cortex.security.oidc import (
    KEYS_FRESH_SECONDS,
    REFETCH_SECONDS_MIN,
    STALE_SECONDS_MAX,
    HttpFetch,
    Issuer,
    JwtVerifier,
)

_SPEC = importlib.util.spec_from_file_location(
    "local_issuer", Path(__file__).with_name("issuer.py")
)
local = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(local)

ALGORITHMS = ["RS256", "ES256", "EdDSA"]


@pytest.fixture(scope="module")
def signers():
    return {name: local.Signer(f"key-{name}", name) for name in ALGORITHMS}


@pytest.fixture
def issuer(signers):
    issuer = local.LocalIssuer()
    issuer.signers = list(signers.values())
    yield issuer
    issuer.close()


@pytest.fixture
def rules(issuer):
    return ClaimRules(name="corp", issuer=issuer.url, audiences=frozenset({"cortex"}))


@pytest.fixture
async def http():
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
def make(http, clock):
    def verifier(rules: ClaimRules, **more: str) -> JwtVerifier:
        return JwtVerifier([Issuer(rules, **more)], fetch=HttpFetch(http), clock=clock)

    return verifier


@pytest.fixture
def claims(issuer, clock):
    return {
        "iss": issuer.url,
        "sub": "ana",
        "aud": ["cortex", "other"],
        "exp": clock.now() + 300,
        "nbf": clock.now() - 1,
        "iat": clock.now() - 1,
        "scope": "openid memory context",
    }


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_of_the_issuer_lets_in(
    make, rules, claims, signers, algorithm, issuer
):
    verifier = make(rules)
    token = signers[algorithm].token(claims)
    assert looks_like_jwt(token)
    assert verifier.recall(token) is None
    principal = await verifier.authenticate(token)
    assert principal == Principal(
        "corp:ana", "local", frozenset({"memory", "context"}), ("*",)
    )
    assert verifier.recall(token) == principal
    assert issuer.requests == ["/.well-known/openid-configuration", "/keys"]


async def test_a_given_key_set_address_needs_no_discovery(
    make, rules, claims, signers, issuer
):
    verifier = make(rules, keys_url=f"{issuer.url}/keys")
    await verifier.authenticate(signers["ES256"].token(claims))
    assert issuer.requests == ["/keys"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"exp": None}, "no 'exp'"),
        ({"exp": -61}, "expired"),
        ({"exp": "soon"}, "not a number"),
        ({"exp": True}, "not a number"),
        ({"exp": 1e300}, "out of range"),
        ({"nbf": 61}, "not valid yet"),
        ({"iat": 61}, "not valid yet"),
        ({"iss": "https://evil.example"}, "not trusted"),
        ({"iss": 7}, "not a text"),
        ({"aud": "other"}, "another service"),
        ({"aud": None}, "another service"),
        ({"sub": ""}, "no usable 'sub'"),
        ({"sub": "a\nb"}, "no usable 'sub'"),
        ({"sub": "x" * 256}, "no usable 'sub'"),
    ],
)
async def test_claims_that_do_not_fit(make, rules, claims, signers, clock, change, why):
    for name, value in change.items():
        shifted = type(value) is int and name in {"exp", "nbf", "iat"}
        claims[name] = clock.now() + value if shifted else value
        if value is None:
            del claims[name]
    with pytest.raises(Unauthenticated, match=why):
        await make(rules).authenticate(signers["EdDSA"].token(claims))


async def test_skew_is_allowed_up_to_the_leeway(make, rules, claims, signers, clock):
    claims["exp"], claims["nbf"] = clock.now() - 59, clock.now() + 59
    await make(rules).authenticate(signers["EdDSA"].token(claims))
    strict = replace(rules, leeway_seconds=0)
    with pytest.raises(Unauthenticated):
        await make(strict).authenticate(signers["EdDSA"].token(claims))
    with pytest.raises(ValidationError):
        replace(rules, leeway_seconds=301)


async def test_a_remembered_token_still_ends_on_time(
    make, rules, claims, signers, clock
):
    verifier = make(rules)
    token = signers["RS256"].token(claims)
    await verifier.authenticate(token)
    clock.advance(359)
    assert verifier.recall(token) is not None
    clock.advance(1)
    assert verifier.recall(token) is None
    with pytest.raises(Unauthenticated, match="expired"):
        await verifier.authenticate(token)


async def test_none_and_shared_secret_signatures_are_refused(
    make, rules, claims, signers, issuer
):
    """The classic confusion: the RSA public key used as an HMAC secret."""
    verifier = make(rules)
    body = json.dumps(claims)
    public = json.dumps(signers["RS256"].jwk()).encode()
    attacks = [
        local.sign_raw(f'{{"alg":"{alg}","kid":"key-RS256"}}', body, sign)
        for alg in ("none", "None", "HS256", "RS512", "PS256", "ES384", "")
        for sign in (
            lambda _: b"x",
            lambda text: hmac.new(public, text, hashlib.sha256).digest(),
        )
    ]
    unsigned = attacks[0].rpartition(".")[0] + "."
    for token in (*attacks, unsigned):
        with pytest.raises(Unauthenticated):
            await verifier.authenticate(token)
    assert issuer.requests == []


async def test_the_key_decides_the_algorithm(make, rules, claims, signers):
    """A header that names a good algorithm with another algorithm's key id."""
    verifier = make(rules)
    for alg in ALGORITHMS:
        for other in ALGORITHMS:
            if alg != other:
                token = signers[alg].token(claims, kid=f"key-{other}")
                with pytest.raises(Unauthenticated):
                    await verifier.authenticate(token)


async def test_another_issuers_key_of_the_same_name_does_not_fit(make, rules, claims):
    for algorithm in ALGORITHMS:
        foreign = local.Signer(f"key-{algorithm}", algorithm)
        with pytest.raises(Unauthenticated, match="does not fit"):
            await make(rules).authenticate(foreign.token(claims))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_every_changed_character_is_noticed(
    make, rules, claims, signers, algorithm
):
    verifier = make(rules)
    token = signers[algorithm].token(claims)
    await verifier.authenticate(token)
    for at in range(0, len(token), 7):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        with pytest.raises(Unauthenticated):
            await verifier.authenticate(changed)


async def test_headers_that_bring_their_own_key_or_ask_for_more(make, rules, claims):
    mine = local.Signer("mine", "EdDSA")
    for header in (
        {"jwk": mine.jwk()},
        {"jku": "http://127.0.0.1:1/keys"},
        {"crit": ["b64"], "b64": False},
        {"typ": "dpop+jwt"},
        {"typ": 5},
        {"kid": 5},
        {"zip": "DEF"},
    ):
        with pytest.raises(Unauthenticated):
            await make(rules).authenticate(mine.token(claims, **header))


@pytest.mark.parametrize(
    "token",
    [
        "eyJ",
        "a.b.c",
        "..",
        "eyJhbGciOiJSUzI1NiJ9.e30.",
        "eyJhbGciOiJSUzI1NiJ9=.e30.AA",
        "eyJhbGciOiJSUzI1NiJ9 .e30.AA",
        "A" * 9000 + ".e30.AA",
        "W10.e30.AA",
        local.b64(b"[" * 5000) + ".e30.AA",
        local.b64(b'{"alg":"RS256","alg":"none"}') + ".e30.AA",
        local.b64(b'{"alg":["RS256"]}') + ".e30.AA",
        "eyJhbGciOiJSUzI1NiJ9.e30.AB",
    ],
)
def test_what_is_no_token(token):
    with pytest.raises(Unauthenticated):
        take_apart(token)


async def test_a_new_key_is_found_and_a_withdrawn_one_forgotten(
    make, rules, claims, signers, issuer, clock
):
    verifier = make(rules)
    old = signers["EdDSA"].token(claims)
    await verifier.authenticate(old)
    fresh = local.Signer("key-2", "EdDSA")
    issuer.signers = [fresh]
    clock.advance(REFETCH_SECONDS_MIN)
    assert await verifier.authenticate(fresh.token(claims))
    assert verifier.recall(old) is None
    with pytest.raises(Unauthenticated, match="key"):
        await verifier.authenticate(old)


async def test_a_withdrawn_key_is_noticed_without_a_new_one(
    make, rules, claims, signers, issuer, clock
):
    verifier = make(rules)
    claims["exp"] += KEYS_FRESH_SECONDS
    token = signers["EdDSA"].token(claims)
    await verifier.authenticate(token)
    issuer.signers = [signers["RS256"]]
    clock.advance(KEYS_FRESH_SECONDS)
    with pytest.raises(Unauthenticated):
        await verifier.authenticate(token)


async def test_a_flood_of_made_up_key_ids_makes_one_request(
    make, rules, claims, signers, issuer, clock
):
    verifier = make(rules)
    good = signers["EdDSA"].token(claims)
    await verifier.authenticate(good)
    clock.advance(REFETCH_SECONDS_MIN)
    before = len(issuer.requests)
    flood = [signers["EdDSA"].token(claims, kid=f"junk-{n}") for n in range(200)]
    outcomes = await asyncio.gather(
        *(verifier.authenticate(token) for token in flood), return_exceptions=True
    )
    assert all(isinstance(outcome, Unauthenticated) for outcome in outcomes)
    assert len(issuer.requests) - before == 2  # discovery and keys, once
    assert await verifier.authenticate(good)


async def test_who_gives_up_waiting_for_keys_does_not_keep_others_out(
    make, rules, claims, signers, issuer
):
    verifier = make(rules)
    issuer.delay_seconds = 1.0
    token = signers["EdDSA"].token(claims)
    impatient = asyncio.create_task(verifier.authenticate(token))
    async with asyncio.timeout(60):
        while not issuer.requests:
            await asyncio.sleep(0.001)
    impatient.cancel()
    await asyncio.wait([impatient])
    issuer.delay_seconds = 0.0
    assert await verifier.authenticate(token)


async def test_many_first_tokens_share_one_fetch(make, rules, claims, signers, issuer):
    verifier = make(rules)
    issuer.delay_seconds = 0.02
    tokens = [signers["ES256"].token({**claims, "sub": f"u{n}"}) for n in range(20)]
    await asyncio.gather(*(verifier.authenticate(token) for token in tokens))
    assert len(issuer.requests) == 2


async def test_an_expired_token_makes_nobody_fetch(
    make, rules, claims, signers, issuer
):
    claims["exp"] = 1
    with pytest.raises(Unauthenticated):
        await make(rules).authenticate(signers["EdDSA"].token(claims))
    assert issuer.requests == []


async def test_while_the_issuer_is_down_its_keys_hold_for_a_while(
    make, rules, claims, signers, issuer, clock
):
    verifier = make(rules)
    claims["exp"] += STALE_SECONDS_MAX * 2
    token = signers["EdDSA"].token(claims)
    await verifier.authenticate(token)
    issuer.status = 503
    clock.advance(KEYS_FRESH_SECONDS)
    assert await verifier.authenticate(token)
    clock.advance(STALE_SECONDS_MAX)
    with pytest.raises(IssuerUnavailable, match="status 503"):
        await verifier.authenticate(token)


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_an_answer_that_is_no_answer(
    make, rules, claims, signers, issuer, status
):
    issuer.status = status
    with pytest.raises(IssuerUnavailable, match=f"status {status}"):
        await make(rules).authenticate(signers["EdDSA"].token(claims))
    assert len(issuer.requests) == 1


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://other.example", "jwks_uri": "https://other.example/k"},
        {"issuer": "ISSUER"},
        {"issuer": "ISSUER", "jwks_uri": 5},
        {"issuer": "ISSUER", "jwks_uri": "http://plain.example/keys"},
        {"issuer": "x" * 300_000},
    ],
)
async def test_a_discovery_document_of_someone_else(
    make, rules, claims, signers, issuer, document
):
    issuer.document = {
        k: issuer.url if v == "ISSUER" else v for k, v in document.items()
    }
    with pytest.raises((IssuerUnavailable, ValidationError)):
        await make(rules).authenticate(signers["EdDSA"].token(claims))


async def test_nobody_there(make, rules, claims, signers, issuer, clock):
    gone = replace(rules, issuer="http://127.0.0.1:9")
    token = signers["EdDSA"].token({**claims, "iss": gone.issuer})
    with pytest.raises(IssuerUnavailable, match="ConnectError"):
        await make(gone).authenticate(token)


def test_addresses_without_tls_are_refused():
    rules = ClaimRules("x", "http://idp.example", frozenset({"a"}))
    with pytest.raises(ValidationError, match="https"):
        Issuer(rules)
    with pytest.raises(ValidationError, match="audience"):
        ClaimRules("x", "https://idp.example", frozenset())


async def test_an_issuer_is_configured_once(make, rules, http, clock):
    with pytest.raises(ValidationError, match="twice"):
        JwtVerifier([Issuer(rules), Issuer(rules)], fetch=HttpFetch(http), clock=clock)


@pytest.mark.parametrize(
    ("change", "more", "expected"),
    [
        ({}, {"scope": "openid"}, (frozenset(), "local")),
        ({}, {"scope": "*"}, (frozenset(), "local")),
        ({}, {"scope": ["memory"]}, (frozenset({"memory"}), "local")),
        ({}, {"scp": ["audit"]}, (frozenset({"memory", "context", "audit"}), "local")),
        (
            {"scope_prefix": "cortex:"},
            {"scope": "memory cortex:audit"},
            (frozenset({"audit"}), "local"),
        ),
        (
            {
                "roles_claim": "realm_access.roles",
                "roles": {"operator": frozenset({"config", "audit"})},
            },
            {"scope": "", "realm_access": {"roles": ["operator", "x"]}},
            (frozenset({"config", "audit"}), "local"),
        ),
        (
            {"tenant_claim": "org.id", "tenants": frozenset({"acme"})},
            {"org": {"id": "acme"}},
            (frozenset({"memory", "context"}), "acme"),
        ),
        (
            {"tenant_claim": "https://x.example/tenant"},
            {"https://x.example/tenant": "acme"},
            (frozenset({"memory", "context"}), "acme"),
        ),
    ],
)
async def test_scopes_roles_and_tenants_are_mapped(
    make, rules, claims, signers, change, more, expected
):
    verifier = make(replace(rules, **change))
    principal = await verifier.authenticate(signers["EdDSA"].token({**claims, **more}))
    assert (principal.scopes, principal.tenant) == expected


@pytest.mark.parametrize(
    "org", [None, {"id": "other"}, {"id": 5}, {"id": "a b"}, {"id": ""}]
)
async def test_a_tenant_out_of_reach(make, rules, claims, signers, org):
    bound = replace(rules, tenant_claim="org.id", tenants=frozenset({"acme"}))
    with pytest.raises(Unauthenticated):
        await make(bound).authenticate(signers["EdDSA"].token({**claims, "org": org}))


async def test_a_token_without_key_id_needs_a_clear_choice(
    make, rules, claims, signers, issuer
):
    verifier = make(rules)
    token = signers["EdDSA"].token(claims, kid="")
    assert await verifier.authenticate(token)
    issuer.signers = [signers["EdDSA"], local.Signer("key-b", "EdDSA")]
    with pytest.raises(Unauthenticated):
        await make(rules).authenticate(token)


def test_keys_that_are_not_for_this_are_left_out(signers):
    good = signers["ES256"].jwk()
    weak = local.Signer("weak", "RS256", bits=1024).jwk()
    entries = [
        good,
        weak,
        {**good, "kid": "enc", "use": "enc"},
        {**good, "kid": "ops", "key_ops": ["sign"]},
        {**good, "kid": "alg", "alg": "ES384"},
        {**good, "kid": "point", "y": good["x"]},
        {"kid": "hmac", "kty": "oct", "k": "AAAA"},
        {**signers["EdDSA"].jwk(), "kid": "twin"},
        {**signers["EdDSA"].jwk(), "kid": "twin"},
        {"kty": "RSA", "kid": "empty"},
        "text",
    ]
    found = parse_key_set(json.dumps({"keys": entries}).encode())
    assert [key.kid for key in found] == ["key-ES256"]
    for body in (b"", b"[]", b'{"keys": 5}', json.dumps({"keys": [1] * 65}).encode()):
        with pytest.raises(ValidationError):
            parse_key_set(body)


async def test_memory_of_verified_tokens_is_bounded(
    make, rules, claims, signers, monkeypatch
):
    monkeypatch.setattr("cortex.security.oidc.VERIFIED_TOKENS_MAX", 3)
    verifier = make(rules)
    for n in range(6):
        await verifier.authenticate(signers["EdDSA"].token({**claims, "sub": f"u{n}"}))
    assert len(verifier._verified) == 3
