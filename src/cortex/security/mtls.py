"""Mutual TLS: the context that asks for client certificates, and who they stand for.

TLS verifies the chain, the dates and the purpose; what is left to decide is whose the
certificate is. Names are read from the subject alternative names (RFC 9525), in the
order URI (SPIFFE ids), DNS; the common name counts only where a rule asks for it and
the certificate has no alternative name at all.
"""

import re
import ssl
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cortex.foundation.clock import Clock
from cortex.foundation.errors import Unauthenticated, ValidationError
from cortex.foundation.tenancy import DEFAULT_TENANT, Principal, check_name
from cortex.security.errors import TlsInvalid
from cortex.security.scopes import parse_scopes

IDENTITIES_REMEMBERED_MAX = 4_096
"""Certificates whose identity is remembered, by their bytes: some MB."""

CERTIFICATE_BYTES_MAX = 64 * 1024
"""Bytes of a client certificate that is read; usual ones have 1 to 4 KiB."""

_PLACEHOLDER = re.compile(r"\{(subject|tenant)\}")
_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._@+\-]*"
_LABEL = r"[a-z0-9][a-z0-9\-]*"


class NameKind(StrEnum):
    """Which name of a certificate a rule looks at."""

    URI = "uri"
    DNS = "dns"
    COMMON_NAME = "cn"


@dataclass(frozen=True, slots=True)
class CertificateRule:
    """Maps certificates with a certain name to a principal.

    Attributes:
        kind: which name.
        pattern: the whole name, in which ``{subject}`` and ``{tenant}`` stand for one
            segment without ``/``, such as
            ``spiffe://example.org/tenant/{tenant}/agent/{subject}``.
        name: short name of the rule; subjects are ``name:subject``, so that no
            certificate can pass for a token's holder.
        tenant: whose it is, where the pattern does not say.
    """

    kind: NameKind
    pattern: str
    name: str
    scopes: frozenset[str]
    tenant: str = DEFAULT_TENANT
    namespaces: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        """Refuse a rule that could not work as it reads."""
        check_name(self.name, "rule name")
        check_name(self.tenant, "tenant")
        parse_scopes(self.scopes)
        placeholders = _PLACEHOLDER.findall(self.pattern)
        rest = _PLACEHOLDER.sub("", self.pattern)
        wrong = {
            "is empty": not self.pattern,
            "has a placeholder twice": len(set(placeholders)) < len(placeholders),
            "has an unknown placeholder or a *": bool(set("{}*") & set(rest)),
        }
        for why, is_so in wrong.items():
            if is_so:
                message = f"the certificate pattern {self.pattern!r} {why}"
                raise ValidationError(
                    message, hint="Use {subject} and {tenant}.", field="pattern"
                )


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where a TLS server finds its identity and whom it trusts.

    Attributes:
        certificate: PEM, the server's own first, then the chain.
        key: PEM of its private key, unencrypted, readable by its owner only.
        client_authorities: PEM of those who sign client certificates; None asks for
            no client certificate.
        revocations: PEM of revocation lists of the client authorities.
        clients_required: refuse connections without a certificate; otherwise such
            callers need a token.
    """

    certificate: Path
    key: Path
    client_authorities: Path | None = None
    revocations: Path | None = None
    clients_required: bool = True


class CertificateIdentities:
    """Finds whom a verified client certificate stands for."""

    def __init__(self, rules: Iterable[CertificateRule], *, clock: Clock) -> None:
        """Take the rules; the first that fits decides."""
        self._clock = clock
        self._rules = tuple((rule, _regex(rule)) for rule in rules)
        self._known: dict[bytes, tuple[Principal, float]] = {}

    def authenticate(self, certificate: bytes) -> Principal:
        """Return whose certificate (DER, already verified by TLS) this is.

        A connection may outlive its certificate, so the dates are looked at again.

        Raises:
            Unauthenticated: no rule fits, it is out of its time, or not for clients.
        """
        known = self._known.get(certificate)
        if known is None:
            known = self._read(certificate)
            if len(self._known) >= IDENTITIES_REMEMBERED_MAX:
                self._known.clear()
            self._known[certificate] = known
        principal, not_after = known
        if self._clock.now() >= not_after:
            raise _refused("has expired")
        return principal

    def _read(self, certificate: bytes) -> tuple[Principal, float]:
        if len(certificate) > CERTIFICATE_BYTES_MAX:
            raise _refused("is too large")
        try:
            parsed = x509.load_der_x509_certificate(certificate)
            names = tuple(_names(parsed))
            for_clients = _is_for_clients(parsed)
        except (ValueError, x509.DuplicateExtension):
            raise _refused("cannot be read") from None
        if not for_clients:
            raise _refused("is not for clients")
        if self._clock.now() < parsed.not_valid_before_utc.timestamp():
            raise _refused("is not valid yet")
        return self._principal(names), parsed.not_valid_after_utc.timestamp()

    def _principal(self, names: tuple[tuple[NameKind, str], ...]) -> Principal:
        for rule, regex in self._rules:
            for kind, name in names:
                match = regex.fullmatch(name) if kind is rule.kind else None
                if match is not None:
                    return _principal_of(rule, name, match.groupdict())
        raise _refused("has no name that is known here")


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a server's TLS context: TLS 1.2 or newer, verified client certificates.

    Raises:
        TlsInvalid: a file is missing, malformed, does not fit the others, or the key
            is readable by others.
    """
    _check_key_file(files.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    _load_identity(context, files.certificate, files.key)
    context.set_alpn_protocols(["http/1.1"])
    if files.client_authorities is not None:
        _load_authorities(context, files.client_authorities)
        required = files.clients_required
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    elif files.revocations is not None:
        raise TlsInvalid("revocations need client_authorities", field="revocations")
    if files.revocations is not None:
        _load_authorities(context, files.revocations)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def client_context(
    authorities: Path, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return a client's TLS context that trusts only the given authorities.

    Raises:
        TlsInvalid: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_authorities(context, authorities)
    if certificate is not None and key is not None:
        _load_identity(context, certificate, key)
    return context


def expires_at(certificate: Path) -> datetime:
    """Return when the first certificate of a PEM file ends, in UTC.

    Raises:
        TlsInvalid: there is none.
    """
    try:
        parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise _unusable(certificate, error) from None
    return parsed.not_valid_after_utc.astimezone(UTC)


def _regex(rule: CertificateRule) -> re.Pattern[str]:
    """Compile a pattern; a placeholder in a DNS name is one label of it."""
    is_dns = rule.kind is NameKind.DNS
    pattern = rule.pattern.lower() if is_dns else rule.pattern
    segment = _LABEL if is_dns else _SEGMENT
    parts = _PLACEHOLDER.split(pattern)
    written = [
        f"(?P<{part}>{segment})" if number % 2 else re.escape(part)
        for number, part in enumerate(parts)
    ]
    return re.compile("".join(written))


def _names(certificate: x509.Certificate) -> Iterator[tuple[NameKind, str]]:
    try:
        extension = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if len(common) == 1:  # of two, readers would choose differently
            yield NameKind.COMMON_NAME, str(common[0].value)
        return
    names = extension.value
    for uri in names.get_values_for_type(x509.UniformResourceIdentifier):
        yield NameKind.URI, uri
    for dns in names.get_values_for_type(x509.DNSName):
        yield NameKind.DNS, dns.lower()


def _is_for_clients(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage.value


def _principal_of(rule: CertificateRule, name: str, found: dict[str, str]) -> Principal:
    tenant = found.get("tenant", rule.tenant)
    try:
        check_name(tenant, "tenant")
    except ValidationError:
        raise _refused("names a tenant that cannot be") from None
    return Principal(
        subject=f"{rule.name}:{found.get('subject', name)}",
        tenant=tenant,
        scopes=rule.scopes,
        namespaces=rule.namespaces,
    )


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(
        f"this client certificate {why}", hint="Ask for a new one, or send a token."
    )


def _check_key_file(key: Path) -> None:
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise _unusable(key, error) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TlsInvalid(
            f"the key file {key} can be read by others", hint=f"chmod 600 {key}"
        )


def _load_identity(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        # An empty password keeps OpenSSL from asking the terminal for one.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise _unusable(certificate, error) from None


def _load_authorities(context: ssl.SSLContext, file: Path) -> None:
    try:
        context.load_verify_locations(cafile=str(file))
    except (OSError, ValueError) as error:
        raise _unusable(file, error) from None


def _unusable(file: Path, error: Exception) -> TlsInvalid:
    told = error.strerror if isinstance(error, OSError) else None
    return TlsInvalid(
        f"the TLS file {file} cannot be used: {told or type(error).__name__}",
        hint="It must be PEM, readable by this user, and key and certificate a pair.",
        file=str(file),
    )
