"""OAuth 2.1 from the side of a protected resource, as MCP clients expect it; pure.

A client that gets 401 reads the ``WWW-Authenticate`` header (RFC 6750), follows its
``resource_metadata`` to a document (RFC 9728) and learns which authorization server
gives tokens for this resource (RFC 8707: the token's audience is the resource).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import ValidationError
from cortex.security.addresses import require_secure
from cortex.security.jwt import ClaimRules

WELL_KNOWN = "/.well-known/oauth-protected-resource"

_QUOTED = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]*")


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """What this server says of itself to OAuth clients.

    Attributes:
        resource: its address as clients use it, such as
            ``https://memory.example.com/mcp``; tokens carry it as audience.
        authorization_servers: issuers whose tokens it takes.
        scopes: what a client can ask for.
        name: for a person.
        documentation: address for a developer; empty for none.
    """

    resource: str
    authorization_servers: tuple[str, ...]
    scopes: tuple[str, ...]
    name: str = "Cortex"
    documentation: str = ""

    def __post_init__(self) -> None:
        """Refuse addresses that RFC 9728 does not allow."""
        for url in (self.resource, *self.authorization_servers):
            _check_url(url)
        if not self.authorization_servers:
            raise ValidationError(
                "a protected resource needs an authorization server", field="issuer"
            )

    @classmethod
    def of(
        cls, resource: str, issuers: Iterable[ClaimRules], scopes: Iterable[str]
    ) -> "ProtectedResource":
        """Describe a resource that takes the tokens of these issuers."""
        servers = tuple(rules.issuer for rules in issuers)
        return cls(resource, servers, tuple(sorted(scopes)))

    @property
    def metadata_path(self) -> str:
        """Return the path to serve the document at (RFC 9728, section 3.1)."""
        path = urlsplit(self.resource).path.rstrip("/")
        return WELL_KNOWN + path

    @property
    def metadata_url(self) -> str:
        """Return the full address of the document."""
        parts = urlsplit(self.resource)
        return f"{parts.scheme}://{parts.netloc}{self.metadata_path}"

    def document(self) -> dict[str, JsonValue]:
        """Return the metadata document (RFC 9728, section 2)."""
        document: dict[str, JsonValue] = {
            "resource": self.resource,
            "authorization_servers": list[JsonValue](self.authorization_servers),
            "scopes_supported": list[JsonValue](self.scopes),
            "bearer_methods_supported": ["header"],
            "resource_name": self.name,
        }
        if self.documentation:
            document["resource_documentation"] = self.documentation
        return document

    def challenge(self, *, error: str = "", scope: str = "") -> str:
        """Return the value of ``WWW-Authenticate`` for a 401 or 403.

        Args:
            error: empty when no token came, else ``invalid_token`` or
                ``insufficient_scope`` (RFC 6750, section 3.1).
            scope: what would be needed.
        """
        parts = {
            "error": error,
            "scope": scope,
            "resource_metadata": self.metadata_url,
        }
        given = [f'{k}="{v}"' for k, v in parts.items() if v and _QUOTED.fullmatch(v)]
        return "Bearer " + ", ".join(given)


def _check_url(url: str) -> None:
    require_secure(url, "resource")
    if urlsplit(url).fragment or '"' in url:
        raise ValidationError(f"{url} has a fragment or a quote", field="resource")
