"""The ways in: tokens, issuers and certificates behind one door, watched."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from cortex.app import Loop, opened
from cortex.bootstrap.stores import Stores
from cortex.foundation.clock import Clock
from cortex.foundation.ids import IdSource
from cortex.foundation.lifecycle import Component
from cortex.foundation.tenancy import ALL_SCOPES, Principal
from cortex.security.authorization import Authorization
from cortex.security.doors import Doors
from cortex.security.intrusion import Watch
from cortex.security.intrusion_reports import IntrusionReports
from cortex.security.mtls import CertificateIdentities, CertificateRule
from cortex.security.oidc import HttpFetch, Issuer, JwtVerifier
from cortex.security.policy_file import parse_policy
from cortex.security.token_store import TokenStore, TokenStoreOptions
from cortex.security.tokens import Tokens
from cortex.settings import Settings
from cortex.telemetry.logs import Logger


@dataclass(frozen=True, slots=True)
class WaysIn:
    """What settings say beyond static tokens."""

    issuers: Sequence[Issuer] = ()
    certificates: Sequence[CertificateRule] = ()
    policy: str = ""


class Entrance:
    """The doors of a process and what runs beside them."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        *,
        clock: Clock,
        ids: IdSource,
        ways: WaysIn | None = None,
    ) -> None:
        """Nothing is opened yet."""
        ways = ways or WaysIn()
        names = frozenset(record.name for record in settings.token_records())
        self._clock = clock
        self._http = httpx.AsyncClient()
        self.watch = Watch(clock)
        self.tokens = TokenStore(
            stores.database,
            clock=clock,
            ids=ids,
            options=TokenStoreOptions(reserved_names=names),
        )
        fetch = HttpFetch(self._http)
        self.doors = Doors(
            static_tokens(settings, clock),
            self.watch,
            issued=self.tokens,
            jwt=JwtVerifier(ways.issuers, fetch=fetch, clock=clock),
            certificates=CertificateIdentities(ways.certificates, clock=clock),
        )
        policy = parse_policy(ways.policy) if ways.policy else None
        self.authorization = Authorization(clock, policy)
        self._reports = IntrusionReports(
            self.watch, stores.database, clock=clock, ids=ids
        )

    def components(self, log: Logger) -> tuple[Component, ...]:
        """Return the parts in the order they start; after the database."""
        reports = Loop("intrusion-reports", self._reports.run, self._clock, log)
        return (
            opened("issuers", _nothing, self._http.aclose),
            reports.component(),
        )


def static_tokens(settings: Settings, clock: Clock) -> Tokens:
    """Return the tokens of the settings; without any a local server is open."""
    anonymous = None
    if settings.open_access:
        anonymous = Principal("anonymous", scopes=frozenset({ALL_SCOPES}))
    return Tokens(settings.token_records(), clock, anonymous=anonymous)


async def _nothing() -> None:
    return
