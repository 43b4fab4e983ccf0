"""Who calls a tool, with what reach."""

from collections.abc import Callable
from dataclasses import dataclass

from cortex.foundation.errors import PermissionDenied
from cortex.foundation.tenancy import Namespace, Principal
from cortex.security.scopes import Scope
from cortex.usecases.model import CallContext


@dataclass(frozen=True, slots=True)
class Caller:
    """An admitted caller of one request.

    Attributes:
        namespace_default: used where a call names none; None is ``default``.
        charge: charges the caller for a route of the HTTP edge, such as ``/embed``.
    """

    principal: Principal
    context: CallContext
    namespace_default: str | None
    charge: Callable[[str], None]

    def namespace(self, name: str | None = None) -> Namespace:
        """Return the namespace, if the caller may use it."""
        return self.principal.namespace(name or self.namespace_default)

    def holds(self, scope: Scope | None) -> bool:
        """Tell whether the caller holds the scope; None needs none."""
        if scope is None:
            return True
        try:
            self.principal.require(scope)
        except PermissionDenied:
            return False
        return True
