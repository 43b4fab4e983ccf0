"""The policy in force: asked before each use case, exchanged while the server runs."""

from collections.abc import Mapping

from cortex.foundation.clock import Clock
from cortex.foundation.errors import PermissionDenied
from cortex.foundation.tenancy import Principal
from cortex.security.conditions import Attribute
from cortex.security.policy import Ground, Policy, Request, scopes_suffice

_NO_ATTRIBUTES: Mapping[str, Attribute] = {}


class Authorization:
    """Asks the policy on behalf of the edges."""

    def __init__(self, clock: Clock, policy: Policy | None = None) -> None:
        """Begin with a policy; without one a held scope is enough."""
        self._clock = clock
        self._policy = policy or scopes_suffice()

    @property
    def policy(self) -> Policy:
        """Return the policy in force."""
        return self._policy

    def replace(self, policy: Policy) -> None:
        """Put another policy in force, for every request from now on."""
        self._policy = policy

    def require(
        self,
        principal: Principal,
        action: str,
        *,
        namespace: str | None = None,
        resource: str = "",
        attributes: Mapping[str, Attribute] = _NO_ATTRIBUTES,
    ) -> None:
        """Return if the principal may do this, here and now.

        Args:
            principal: who; its namespaces are checked by ``Principal.namespace``.
            action: ``<scope>.<verb>``, such as ``memory.forget``.
            namespace: the partition that is touched; None where there is none.
            resource: what is touched, such as ``memory/0192…``.
            attributes: facts for conditions, such as ``client.address``.

        Raises:
            PermissionDenied: the policy says no; ``data`` names action and rule.
        """
        request = Request(
            subject=principal.subject,
            tenant=principal.tenant,
            action=action,
            now=self._clock.now(),
            scopes=principal.scopes,
            resource=resource,
            namespace=namespace,
            attributes=attributes,
        )
        decision = self._policy.decide(request)
        if decision.allowed:
            return
        scope = action.partition(".")[0]
        if decision.ground is Ground.SCOPE_NOT_HELD:
            raise PermissionDenied(
                f"this token lacks the scope '{scope}'",
                hint="Use a token that holds it.",
                scope=scope,
            )
        raise PermissionDenied(
            decision.reason,
            hint="'cortex policy explain' tells what would be needed.",
            action=action,
            rule=decision.rule,
        )
