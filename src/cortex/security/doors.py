"""All ways in, behind one question: who is this?

The order matters under a flood. First what is in memory: static tokens, tokens and
JWTs verified before. Only an address in good standing has more looked up for it: a
row, a signature, an issuer's keys. Junk from one that is not costs a hash and a
dictionary.
"""

from dataclasses import dataclass, field
from typing import NoReturn

from cortex.foundation.errors import CortexError, RateLimited, Unauthenticated
from cortex.foundation.tenancy import Principal
from cortex.security.errors import TokenEnded
from cortex.security.intrusion import Alert, Reason, Watch
from cortex.security.issued_tokens import PREFIX
from cortex.security.jwt import looks_like_jwt
from cortex.security.mtls import CertificateIdentities
from cortex.security.oidc import JwtVerifier
from cortex.security.token_store import TokenStore
from cortex.security.tokens import Tokens, hash_token


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a caller brought.

    Attributes:
        token: of the Authorization header; None when there was none.
        address: of the connection, or what a trusted proxy says of it.
        certificate: the verified client certificate in DER, from TLS; None without.
    """

    token: str | None = field(default=None, repr=False)
    address: str = ""
    certificate: bytes | None = field(default=None, repr=False)


class Doors:
    """Finds the principal behind any credential; for one event loop.

    A token decides alone: a certificate counts for callers without one.
    """

    def __init__(
        self,
        tokens: Tokens,
        watch: Watch,
        *,
        issued: TokenStore | None = None,
        jwt: JwtVerifier | None = None,
        certificates: CertificateIdentities | None = None,
    ) -> None:
        """Take the ways in; those left out are closed."""
        self._tokens = tokens
        self._watch = watch
        self._issued = issued
        self._jwt = jwt
        self._certificates = certificates

    @property
    def open(self) -> bool:
        """Return whether callers without any credential are let in."""
        return self._tokens.open

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Return who the caller is.

        Raises:
            Unauthenticated: nothing that was brought is good.
            RateLimited: the address was refused too often and has to wait.
            IssuerUnavailable: a JWT's keys cannot be had now.
            StorageError: revocations cannot be read.
        """
        principal = self.recall(credentials)
        if principal is None:
            principal = await self._look_up(credentials)
        self._watch.accepted(principal.subject)
        return principal

    def recall(self, credentials: Credentials) -> Principal | None:
        """Return who the caller is if nothing has to be looked up for that."""
        token = credentials.token
        if token is None:
            return self._by_connection(credentials.certificate)
        if self._issued is not None and token.startswith(PREFIX):
            return self._issued.recall(token) or self._static(token)
        if self._jwt is not None and looks_like_jwt(token):
            return self._jwt.recall(token) or self._static(token)
        return self._static(token)

    async def still_good(self, credentials: Credentials) -> bool:
        """Tell whether a caller that was let in would be let in now; counts nothing.

        For what lasts longer than a request: a token may end meanwhile. Where that
        cannot be found out, it has ended.
        """
        if self.recall(credentials) is not None:
            return True
        try:
            await self._found(credentials)
        except CortexError:
            return False
        return True

    def alerts(self) -> list[Alert]:
        """Return the newest signs of an attack, newest first."""
        return self._watch.alerts()

    def waiting(self) -> int:
        """Return how many clients have to wait now."""
        return self._watch.waiting()

    def keeps_waiting(self, address: str) -> bool:
        """Tell whether unknown credentials from this address are not looked at."""
        return self._watch.waits(address)

    def turn_away(self, credentials: Credentials) -> float:
        """Return how long this caller has to wait; 0 for a known one.

        Asks nothing that would have to be looked up; counts who is turned away.
        """
        if self.recall(credentials) is not None:
            return 0.0
        return self._watch.hold(credentials.address)

    def forbidden(self, credentials: Credentials) -> None:
        """Note that a known caller reached for what it may not have."""
        self._watch.denied(
            credentials.address, Reason.NOT_ALLOWED, _digest(credentials.token)
        )

    def _by_connection(self, certificate: bytes | None) -> Principal | None:
        """Look at what came with the connection; TLS has done the costly part."""
        try:
            return self._without_token(certificate)
        except Unauthenticated:
            return None

    def _static(self, token: str) -> Principal | None:
        try:
            return self._tokens.authenticate(token)
        except Unauthenticated:
            return None

    async def _look_up(self, credentials: Credentials) -> Principal:
        wait = self._watch.hold(credentials.address)
        if wait > 0:
            raise RateLimited(
                "too many refused attempts from this address",
                hint="Wait as long as Retry-After says, then send a good token.",
                retry_after_seconds=wait,
            )
        try:
            return await self._found(credentials)
        except Unauthenticated as error:
            self._refuse(credentials, error)

    async def _found(self, credentials: Credentials) -> Principal:
        token = credentials.token
        if token is None:
            return self._without_token(credentials.certificate)
        if self._issued is not None and token.startswith(PREFIX):
            return self._issued.authenticate(token)
        if self._jwt is not None and looks_like_jwt(token):
            return await self._jwt.authenticate(token)
        return self._tokens.authenticate(token)

    def _without_token(self, certificate: bytes | None) -> Principal:
        if certificate is not None and self._certificates is not None:
            return self._certificates.authenticate(certificate)
        return self._tokens.authenticate(None)

    def _refuse(self, credentials: Credentials, error: Unauthenticated) -> NoReturn:
        token = credentials.token
        if token is None:
            reason = (
                Reason.NO_TOKEN
                if credentials.certificate is None
                else Reason.UNKNOWN_CERTIFICATE
            )
        elif isinstance(error, TokenEnded):
            reason = Reason.EXPIRED_TOKEN
        else:
            reason = Reason.UNKNOWN_TOKEN
        self._watch.denied(credentials.address, reason, _digest(token))
        raise error


def _digest(token: str | None) -> bytes:
    return b"" if token is None else hash_token(token)
