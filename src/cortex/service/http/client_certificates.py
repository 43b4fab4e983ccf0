"""Client certificates from TLS to the request: what uvicorn does not hand over.

Use as ``uvicorn.Config(http=CertificateProtocol, ssl_context_factory=…)``. The
certificate was verified by TLS before the first byte of HTTP; it belongs to the
connection, so it is read once for all its requests.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_KEY = "cortex.client_certificate"


class CertificateProtocol(HttpToolsProtocol):
    """HTTP/1.1 that puts the verified client certificate into each request's scope."""

    _certificate: bytes | None = None

    def connection_made(  # type: ignore[override]
        self, transport: asyncio.Transport
    ) -> None:
        """Read the certificate of the connection."""
        super().connection_made(transport)
        tls = cast("ssl.SSLObject | None", transport.get_extra_info("ssl_object"))
        if tls is not None:
            self._certificate = tls.getpeercert(binary_form=True)

    def on_message_begin(self) -> None:
        """Begin a request that knows the certificate."""
        super().on_message_begin()
        if self._certificate is not None:
            cast("dict[str, Any]", self.scope)[_KEY] = self._certificate


def certificate_of(scope: Mapping[str, Any]) -> bytes | None:
    """Return the verified client certificate (DER) of a request's connection."""
    return cast("bytes | None", scope.get(_KEY))
