"""Who calls a tool, with what reach."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from cortex.foundation.errors import PermissionDenied
from cortex.foundation.tenancy import Namespace, Principal
from cortex.security.scopes import Scope
from cortex.usecases.model import CallContext


@dataclass(frozen=True, slots=True)
class Caller:
    """An admitted caller of one request.

    Attributes:
        namespace_default: used where a call names none; None is ``default``.
        require: asks the policy for an action in a namespace (None: in none).
        charge: charges the caller for a route of the HTTP edge, such as ``/embed``.
        action: what is being done, as policies name it, such as ``memory.forget``.
    """

    principal: Principal
    context: CallContext
    namespace_default: str | None
    require: Callable[[str, str | None], None]
    charge: Callable[[str], Awaitable[None]]
    action: str = ""

    def doing(self, scope: Scope, verb: str) -> "Caller":
        """Return the caller for one action, if the scope for it is held."""
        self.principal.require(scope)
        return replace(self, action=f"{scope.value}.{verb}")

    def allowed(self) -> None:
        """Return if the caller may do this with what has no namespace."""
        self.require(self.action, None)

    def namespace(self, name: str | None = None) -> Namespace:
        """Return the namespace, if the caller may do this in it."""
        found = self.principal.namespace(name or self.namespace_default)
        self.require(self.action, found.name)
        return found

    def holds(self, scope: Scope | None) -> bool:
        """Tell whether the caller holds the scope; None needs none."""
        if scope is None:
            return True
        try:
            self.principal.require(scope)
        except PermissionDenied:
            return False
        return True
