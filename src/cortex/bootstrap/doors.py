"""The ways in: tokens, issuers and certificates behind one door, watched."""

from collections.abc import Sequence

import httpx

from cortex.app import Loop, nothing, opened
from cortex.bootstrap.changes import digests_of
from cortex.bootstrap.keys import signing_key
from cortex.bootstrap.limits import open_rates, rate_of
from cortex.bootstrap.stores import Stores
from cortex.foundation.clock import Clock
from cortex.foundation.dial import Dial
from cortex.foundation.errors import ValidationError
from cortex.foundation.ids import IdSource
from cortex.foundation.lifecycle import Component
from cortex.foundation.tenancy import ALL_SCOPES, Principal
from cortex.security.authorization import Authorization
from cortex.security.configuration import ConfigurationLog
from cortex.security.doors import Doors
from cortex.security.intrusion import Watch
from cortex.security.intrusion_reports import IntrusionReports
from cortex.security.jwt import ClaimRules
from cortex.security.mtls import (
    CertificateIdentities,
    CertificateRule,
    NameKind,
    TlsFiles,
)
from cortex.security.oauth import ProtectedResource
from cortex.security.oidc import HttpFetch, Issuer, JwtVerifier
from cortex.security.policy import Policy
from cortex.security.policy_file import parse_policy
from cortex.security.scopes import Scope
from cortex.security.token_store import TokenStore, TokenStoreOptions
from cortex.security.tokens import Tokens
from cortex.service.http.resources import Resources
from cortex.settings import Settings, is_loopback
from cortex.telemetry.logs import Logger


class Entrance:
    """The doors of a process and what runs beside them."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        *,
        clock: Clock,
        ids: IdSource,
        watch: Watch,
    ) -> None:
        """Read the policy; nothing is opened yet.

        Raises:
            ValidationError: the policy file or a rule cannot work as it reads.
        """
        names = frozenset(record.name for record in settings.token_records())
        self._clock = clock
        self._settings = settings
        self._changes = ConfigurationLog(stores.database, clock=clock, ids=ids)
        self._http = httpx.AsyncClient()
        self.tokens = TokenStore(
            stores.database,
            clock=clock,
            ids=ids,
            options=TokenStoreOptions(reserved_names=names),
        )
        fetch = HttpFetch(self._http)
        self.doors = Doors(
            static_tokens(settings, clock),
            watch,
            issued=self.tokens,
            jwt=JwtVerifier(issuers(settings), fetch=fetch, clock=clock),
            certificates=CertificateIdentities(
                certificate_rules(settings), clock=clock
            ),
        )
        self.authorization = Authorization(clock, policy(settings))
        self.rates, self._rates_component = open_rates(settings, clock)
        self.rate = Dial(rate_of(settings))
        self._reports = IntrusionReports(watch, stores.database, clock=clock, ids=ids)

    async def _note_changes(self) -> None:
        """Tell the ledger which settings changed since the last start."""
        await self._changes.note(
            digests_of(self._settings, signing_key(self._settings))
        )

    def components(self, log: Logger) -> tuple[Component, ...]:
        """Return the parts in the order they start; after the database."""
        reports = Loop("intrusion-reports", self._reports.run, self._clock, log)
        return (
            opened("configuration", self._note_changes, nothing),
            opened("issuers", _nothing, self._http.aclose),
            self._rates_component,
            reports.component(),
        )


def static_tokens(settings: Settings, clock: Clock) -> Tokens:
    """Return the tokens of the settings; without any a local server is open."""
    anonymous = None
    if settings.open_access:
        anonymous = Principal("anonymous", scopes=frozenset({ALL_SCOPES}))
    return Tokens(settings.token_records(), clock, anonymous=anonymous)


def issuers(settings: Settings) -> list[Issuer]:
    """Return the OpenID Connect issuers that the settings name."""
    return [
        Issuer(
            ClaimRules(
                name=name,
                issuer=one.issuer,
                audiences=one.audiences,
                scope_prefix=one.scope_prefix,
                roles_claim=one.roles_claim,
                roles=one.roles,
                tenant_claim=one.tenant_claim,
                tenant=one.tenant,
                tenants=one.tenants,
                namespaces=one.namespaces,
            ),
            one.keys_url,
        )
        for name, one in settings.issuers.items()
    ]


def protected_resources(settings: Settings, paths: Sequence[str]) -> Resources:
    """Return what OAuth clients are told: the server, and what lies at these paths.

    Raises:
        ValidationError: the public address or an issuer's is not https, nor local.
    """
    rules = [issuer.rules for issuer in issuers(settings)]
    root = settings.public_url.rstrip("/") or _own_address(settings)
    if not rules or not root:
        return Resources()
    scopes = [scope.value for scope in Scope]
    return Resources(
        {
            path: ProtectedResource.of(f"{root}{path.rstrip('/')}", rules, scopes)
            for path in ("/", *paths)
        }
    )


def _own_address(settings: Settings) -> str:
    """Return the address listened on if clients could call it so."""
    if not settings.port or not is_loopback(settings.host):
        return ""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "http" if settings.tls.certificate is None else "https"
    return f"{scheme}://{host}:{settings.port}"


def certificate_rules(settings: Settings) -> list[CertificateRule]:
    """Return whose client certificates are, by their names."""
    return [
        CertificateRule(
            NameKind(rule.kind),
            rule.pattern,
            name=rule.name,
            scopes=rule.scopes,
            tenant=rule.tenant,
            namespaces=rule.namespaces,
        )
        for rule in settings.tls.rules
    ]


def policy(settings: Settings) -> Policy | None:
    """Return the policy in force; None lets a held scope be enough."""
    path = settings.policy_file
    if path is None:
        return None
    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"the policy file {path} cannot be read: {error}"
        raise ValidationError(message, field="policy_file") from error
    return parse_policy(text)


def tls_files(settings: Settings) -> TlsFiles | None:
    """Return what serves HTTPS; None serves HTTP.

    Raises:
        ValidationError: a certificate without its key, or the reverse.
    """
    tls = settings.tls
    if tls.certificate is None and tls.key is None:
        return None
    if tls.certificate is None or tls.key is None:
        message = "tls needs both certificate and key"
        raise ValidationError(message, field="tls")
    return TlsFiles(
        certificate=tls.certificate.expanduser(),
        key=tls.key.expanduser(),
        client_authorities=tls.client_authorities,
        revocations=tls.revocations,
        clients_required=tls.clients_required,
    )


async def _nothing() -> None:
    """Start a part that needs no starting."""
