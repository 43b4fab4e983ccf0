"""Every way in behind one question, also while someone floods it."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from cortex.foundation.errors import RateLimited, Unauthenticated
from cortex.foundation.tenancy import Principal
from cortex.security.doors import Credentials, Doors
from cortex.security.intrusion import SignalType, Watch
from cortex.security.issued_tokens import NewToken
from cortex.security.jwt import ClaimRules
from cortex.security.mtls import CertificateIdentities, CertificateRule, NameKind
from cortex.security.oidc import HttpFetch, Issuer, JwtVerifier
from cortex.security.token_store import TokenStore
from cortex.security.tokens import Tokens, parse_tokens
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database

_SPEC = importlib.util.spec_from_file_location(
    "doors_issuer", Path(__file__).with_name("issuer.py")
)
local = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(local)

STATIC = "static-token-of-ci-0123456789"
CHIEF = Principal("chief", scopes=frozenset({"*"}))
HERE, THERE = "10.0.0.1", "10.0.0.2"


@pytest.fixture
async def store(tmp_path, clock, ids):
    steps = load_migrations("cortex.storage") + load_migrations("cortex.security")
    database = Database(tmp_path / "cortex.db", clock=clock, migrations=steps)
    await database.open()
    yield TokenStore(database, clock=clock, ids=ids)
    await database.close()


@pytest.fixture
def issuer():
    issuer = local.LocalIssuer()
    issuer.signers = [local.Signer("k", "EdDSA")]
    yield issuer
    issuer.close()


@pytest.fixture
async def doors(store, clock, issuer):
    rules = ClaimRules("corp", issuer.url, frozenset({"cortex"}))
    named = CertificateRule(
        NameKind.COMMON_NAME, "{subject}", "tls", frozenset({"memory"})
    )
    async with httpx.AsyncClient() as http:
        yield Doors(
            Tokens(parse_tokens(f"ci:{STATIC}:memory"), clock),
            Watch(clock),
            issued=store,
            jwt=JwtVerifier([Issuer(rules)], fetch=HttpFetch(http), clock=clock),
            certificates=CertificateIdentities([named], clock=clock),
        )


async def subject(doors: Doors, token: str | None, address: str = HERE) -> str:
    return (await doors.authenticate(Credentials(token, address))).subject


async def flood(doors: Doors, address: str, number: int = 50) -> list[type]:
    met = []
    for n in range(number):
        try:
            await subject(doors, f"junk-{n}", address)
        except (Unauthenticated, RateLimited) as error:
            met.append(type(error))
    return met


async def test_every_kind_of_token_is_known(doors, store, issuer, clock):
    issued = await store.issue(NewToken("task", frozenset({"memory"})), by=CHIEF)
    claims = {"iss": issuer.url, "sub": "ana", "aud": "cortex"}
    token = issuer.signers[0].token({**claims, "exp": clock.now() + 60})
    assert await subject(doors, STATIC) == "ci"
    assert await subject(doors, issued.value) == "task"
    assert await subject(doors, token) == "corp:ana"
    assert doors.recall(Credentials(token)).subject == "corp:ana"


@pytest.mark.parametrize("token", [None, "", "junk", "cortex_junk", "eyJ.a.b"])
async def test_what_is_not_known_is_refused(doors, token):
    with pytest.raises(Unauthenticated):
        await subject(doors, token)


async def test_a_flood_has_to_wait_and_the_neighbour_does_not(doors, clock):
    met = await flood(doors, HERE)
    assert met[0] is Unauthenticated
    assert met[-1] is RateLimited
    with pytest.raises(RateLimited) as caught:
        await subject(doors, "one-more")
    assert 0 < caught.value.retry_after_seconds <= 300
    with pytest.raises(Unauthenticated):
        await subject(doors, "typo", THERE)


async def test_a_known_token_gets_in_from_a_misused_address(doors, store):
    issued = await store.issue(NewToken("task", frozenset({"memory"})), by=CHIEF)
    await subject(doors, issued.value, THERE)
    await flood(doors, HERE)
    assert await subject(doors, STATIC) == "ci"
    assert await subject(doors, issued.value) == "task"


async def test_a_revoked_token_is_told_as_such_and_counted(doors, store):
    issued = await store.issue(NewToken("task", frozenset({"memory"})), by=CHIEF)
    await subject(doors, issued.value)
    await store.revoke("local", issued.token.id, by=CHIEF)
    with pytest.raises(Unauthenticated, match="revoked"):
        await subject(doors, issued.value)
    signals = doors._watch.take()
    assert [(s.type, s.reason) for s in signals] == [
        (SignalType.DENIED, "expired_token")
    ]


@pytest.fixture
async def wordy(clock, issuer):
    """Doors that want a claim whose name the refusal repeats."""
    claim = "not_expired_or_revoked"
    rules = ClaimRules(
        "corp", issuer.url, frozenset({"cortex"}), tenant_claim=claim, tenants=("a",)
    )
    async with httpx.AsyncClient() as http:
        verifier = JwtVerifier([Issuer(rules)], fetch=HttpFetch(http), clock=clock)
        yield Doors(Tokens((), clock), Watch(clock), jwt=verifier)


@pytest.mark.parametrize(
    ("seconds", "reason"), [(60, "unknown_token"), (-3600, "expired_token")]
)
async def test_the_words_of_a_refusal_do_not_decide_its_reason(
    wordy, issuer, clock, seconds, reason
):
    claims = {"iss": issuer.url, "sub": "ana", "aud": "cortex"}
    token = issuer.signers[0].token({**claims, "exp": clock.now() + seconds})
    with pytest.raises(Unauthenticated, match="expired"):
        await subject(wordy, token)
    assert [signal.reason for signal in wordy._watch.take()] == [reason]


async def test_a_static_token_that_ended_is_counted_as_such(clock):
    (record,) = parse_tokens(f"ci:{STATIC}:memory")
    record = replace(record, expires_at=clock.now() + 60)
    doors = Doors(Tokens([record], clock), Watch(clock))
    assert await subject(doors, STATIC) == "ci"
    clock.advance(60)
    with pytest.raises(Unauthenticated, match="expired"):
        await subject(doors, STATIC)
    assert [s.reason for s in doors._watch.take()] == ["expired_token"]


async def test_reaching_too_far_counts_too(doors):
    credentials = Credentials(STATIC, HERE)
    for _ in range(30):
        doors.forbidden(credentials)
    kinds = {signal.type for signal in doors._watch.take()}
    assert SignalType.REPEATED in kinds
    assert await subject(doors, STATIC) == "ci"


async def test_a_certificate_counts_without_a_token_only(doors):
    junk = Credentials(None, HERE, b"junk")
    with pytest.raises(Unauthenticated, match="certificate"):
        await doors.authenticate(junk)
    both = Credentials(STATIC, HERE, b"junk")
    assert (await doors.authenticate(both)).subject == "ci"


async def test_an_open_server_stays_open(clock):
    anonymous = Principal("anonymous", scopes=frozenset({"*"}))
    doors = Doors(Tokens([], clock, anonymous=anonymous), Watch(clock))
    assert doors.open
    assert await subject(doors, None) == "anonymous"
    await flood(doors, HERE)
    assert await subject(doors, None) == "anonymous"


def test_credentials_are_not_shown():
    assert STATIC not in repr(Credentials(STATIC, HERE, b"certificate"))
