"""Settings of the ways in: TLS, issuers of JWTs, proxies; and where secrets are."""

from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

_STRICT = ConfigDict(extra="forbid", frozen=True)


class CertificateRuleSettings(BaseModel):
    """Whose a client certificate with a certain name is."""

    model_config = _STRICT

    kind: Literal["uri", "dns", "cn"] = Field(
        "uri", description="Which name of the certificate."
    )
    pattern: str = Field(description="The whole name; {subject} and {tenant} stand in.")
    name: str = Field(description="Short name; subjects are name:subject.")
    scopes: frozenset[str] = Field(description="Scopes it gives.")
    tenant: str = Field("local", description="Tenant, where the pattern has none.")
    namespaces: tuple[str, ...] = Field(("*",), description="Namespaces it may use.")


class Tls(BaseModel):
    """Serving HTTPS, and asking clients for certificates."""

    model_config = _STRICT

    certificate: Path | None = Field(
        None,
        description="PEM of the server's certificate and chain; empty serves HTTP.",
    )
    key: Path | None = Field(None, description="PEM of its key, closed to others.")
    client_authorities: Path | None = Field(
        None, description="PEM of who signs client certificates; empty asks for none."
    )
    revocations: Path | None = Field(
        None, description="PEM of revocation lists of those authorities."
    )
    clients_required: bool = Field(
        default=False, description="Refuse connections without a certificate."
    )
    rules: tuple[CertificateRuleSettings, ...] = Field(
        (), description="Whose a certificate is, by its names."
    )


class IssuerSettings(BaseModel):
    """One OpenID Connect issuer whose tokens are let in."""

    model_config = _STRICT

    issuer: str = Field(description="Exact value of the iss claim.")
    audiences: frozenset[str] = Field(description="One of these is in aud.")
    keys_url: str = Field("", description="Key set; empty asks the discovery document.")
    scope_prefix: str = Field("", description="Removed from the front of scopes.")
    roles_claim: str = Field("", description="Dotted path of the roles claim.")
    roles: dict[str, frozenset[str]] = Field(
        default_factory=dict, description="Scopes of each role."
    )
    tenant_claim: str = Field("", description="Dotted path of the tenant claim.")
    tenant: str = Field("local", description="Tenant, where no claim names one.")
    tenants: frozenset[str] = Field(
        frozenset(), description="Tenants it may vouch for; empty is any."
    )
    namespaces: tuple[str, ...] = Field(("*",), description="Namespaces it gives.")


class ForwardedHeader(StrEnum):
    """The header in which our proxies say whom they speak for."""

    X_FORWARDED_FOR = "x-forwarded-for"
    FORWARDED = "forwarded"


class VaultSettings(BaseModel):
    """HashiCorp Vault or OpenBao, and how to get in."""

    model_config = _STRICT

    address: str = Field(
        "", description="Root, such as https://vault.example.com:8200."
    )
    namespace: str = Field("", description="Namespace in it; empty for the root.")
    token: SecretStr | None = Field(None, description="Token to read with.")
    token_file: Path | None = Field(
        None, description="File with a token that someone else renews."
    )
    role: str = Field(
        "", description="AppRole id when secret_id is set, else the Kubernetes role."
    )
    secret_id: SecretStr | None = Field(None, description="Secret id of the AppRole.")


class Encryption(BaseModel):
    """Encryption at rest: data keys of each tenant under a master key."""

    model_config = _STRICT

    key: SecretStr | None = Field(
        None, description="Master key, 32 bytes in hex or base64; encrypts the stores."
    )
    older_keys: tuple[SecretStr, ...] = Field(
        (), description="Master keys of before, until all is wrapped by the new one."
    )
