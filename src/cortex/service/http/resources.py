"""What OAuth clients are told of this server (RFC 9728), and where to read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cortex.foundation.errors import CortexError, PermissionDenied, Unauthenticated
from cortex.security.oauth import ProtectedResource


@dataclass(frozen=True, slots=True)
class Resources:
    """The protected resources of one server; the longest path that fits answers.

    Attributes:
        by_path: path → resource; ``/`` is the server as a whole. Empty where no
            authorization server gives tokens for it.
    """

    by_path: Mapping[str, ProtectedResource] = field(default_factory=dict)

    def of(self, path: str) -> ProtectedResource | None:
        """Return the resource that a path belongs to; None without OAuth."""
        return self.by_path.get(path) or self.by_path.get("/")

    def challenge(self, error: CortexError, path: str, *, token: bool) -> str:
        """Return what ``WWW-Authenticate`` says with an error; empty for no header.

        Args:
            error: what is answered.
            path: of the request.
            token: whether the request brought a credential.
        """
        resource = self.of(path)
        if isinstance(error, Unauthenticated):
            if resource is None:
                return 'Bearer realm="cortex"'
            return resource.challenge(error="invalid_token" if token else "")
        scope = error.data.get("scope")
        if isinstance(error, PermissionDenied) and resource and isinstance(scope, str):
            return resource.challenge(error="insufficient_scope", scope=scope)
        return ""
