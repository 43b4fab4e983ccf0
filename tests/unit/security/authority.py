"""A certificate authority for tests, and the identities it signs."""

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Authority:
    """A certificate authority that signs what a test asks for."""

    def __init__(self, folder: Path, name: str, now: dt.datetime) -> None:
        self.folder, self.now = folder, now
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        public = self.key.public_key()
        self.certificate = (
            self._builder(self.name, public, now, now + dt.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject, public, start, end):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(public), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    self.key.public_key()
                ),
                critical=False,
            )
        )

    def issue(
        self,
        label: str,
        names: list[x509.GeneralName],
        *,
        common: tuple[str, ...] = (),
        usage=ExtendedKeyUsageOID.CLIENT_AUTH,
        days: tuple[int, int] = (0, 10),
    ) -> "Identity":
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common]
        )
        start, end = (self.now + dt.timedelta(days=day) for day in days)
        builder = self._builder(subject, key.public_key(), start, end)
        builder = builder.add_extension(_usage(signs=False), critical=True)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(names), critical=not common
            )
        if usage is not None:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([usage]), critical=False
            )
        certificate = builder.sign(self.key, hashes.SHA256())
        return Identity(self.folder, label, certificate, key)

    def revoke(self, *identities: "Identity") -> Path:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(self.now)
            .next_update(self.now + dt.timedelta(days=30))
        )
        for identity in identities:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(identity.certificate.serial_number)
                .revocation_date(self.now)
                .build()
            )
        file = self.folder / "revoked.pem"
        revoked = builder.sign(self.key, hashes.SHA256())
        file.write_bytes(revoked.public_bytes(serialization.Encoding.PEM))
        return file


class Identity:
    def __init__(self, folder: Path, label: str, certificate, key) -> None:
        self.certificate = certificate
        self.file, self.key = folder / f"{label}.crt", folder / f"{label}.key"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key.touch(mode=0o600)
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)
