"""The scopes a token can hold; each names one part of the service."""

from collections.abc import Iterable
from enum import StrEnum

from cortex.foundation.errors import ValidationError
from cortex.foundation.tenancy import ALL_SCOPES


class Scope(StrEnum):
    """What a caller may use."""

    CONTEXT = "context"
    VECTOR = "vector"
    DATABASE = "database"
    FILESYSTEM = "filesystem"
    SERVICES = "services"
    STATE = "state"
    AUDIT = "audit"
    MEMORY = "memory"
    INFERENCE = "inference"
    AGENTS = "agents"
    PERFORMANCE = "performance"
    CONFIG = "config"
    ADMIN = "admin"


def parse_scopes(names: Iterable[str]) -> frozenset[str]:
    """Return the scopes; ``*`` stands for all of them.

    Raises:
        ValidationError: a name is not a scope, or there is none.
    """
    known = {scope.value for scope in Scope} | {ALL_SCOPES}
    scopes = frozenset(names)
    unknown = sorted(scopes - known)
    if unknown or not scopes:
        wrong = f"unknown scope {unknown[0]!r}" if unknown else "a token needs a scope"
        raise ValidationError(
            wrong, hint=f"Scopes are: {', '.join(sorted(known))}.", field="scopes"
        )
    return scopes
