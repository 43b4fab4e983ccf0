"""An admitted caller, as one edge hands it to another that it carries.

The HTTP edge authenticates and limits every request. What it carries, such as MCP,
finds the outcome in the request's scope and never reads a token itself.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from starlette.types import Scope

from cortex.foundation.tenancy import Principal
from cortex.usecases.model import CallContext

_KEY = "cortex.admission"


@dataclass(frozen=True, slots=True)
class Admission:
    """Who calls, under which id, and how to charge more of the caller's share.

    Attributes:
        require: takes an action as policies name it, such as ``memory.forget``, and
            the namespace's name or None; raises ``PermissionDenied``.
        charge: takes a route, such as ``/embed``; raises ``RateLimited``.
    """

    principal: Principal
    context: CallContext
    require: Callable[[str, str | None], None]
    charge: Callable[[str], Awaitable[None]]


def attach_admission(scope: Scope, admission: Admission) -> None:
    """Put the admission where what is carried finds it."""
    scope[_KEY] = admission


def admission_of(scope: Scope) -> Admission:
    """Return the admission of an admitted request."""
    return cast("Admission", scope[_KEY])
