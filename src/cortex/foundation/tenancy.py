"""Who may touch what, in the type.

A read or write path never takes a bare name: it takes a ``Namespace``, and only a
``Principal`` (made by authorization) hands one out.
"""

import re
from dataclasses import dataclass, field

from cortex.foundation.errors import PermissionDenied, ValidationError

NAMESPACE_CHARACTERS_MAX = 200
"""Longest namespace name, in characters: it is a key, not a document."""

DEFAULT_NAMESPACE = "default"
DEFAULT_TENANT = "local"
ALL_SCOPES = "*"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+\-]*")


@dataclass(frozen=True, slots=True)
class Namespace:
    """A tenant's partition of memory; nothing is visible across two of them."""

    tenant: str
    name: str


def require_scope(held: frozenset[str], scope: str) -> None:
    """Raise ``PermissionDenied`` unless the scope is among those held."""
    if ALL_SCOPES not in held and scope not in held:
        message = f"this token lacks the scope '{scope}'"
        raise PermissionDenied(message, hint="Use a token that holds it.", scope=scope)


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    Attributes:
        subject: who, for the ledger (a token's name, never its value).
        tenant: the tenant all its namespaces belong to.
        scopes: held scopes; ``*`` holds all.
        namespaces: name patterns it may use; a trailing ``*`` matches a prefix.
    """

    subject: str
    tenant: str = DEFAULT_TENANT
    scopes: frozenset[str] = field(default_factory=frozenset)
    namespaces: tuple[str, ...] = ("*",)

    def require(self, scope: str) -> None:
        """Raise ``PermissionDenied`` unless the scope is held."""
        require_scope(self.scopes, scope)

    def namespace(self, name: str | None = None) -> Namespace:
        """Return the namespace, if it is well formed and within reach.

        Raises:
            ValidationError: the name is too long or holds other characters than
                letters, digits and ``. _ : / @ + -``.
            PermissionDenied: the caller is bound to other namespaces.
        """
        wanted = DEFAULT_NAMESPACE if name is None else name
        check_name(wanted, "namespace")
        if not any(_matches(pattern, wanted) for pattern in self.namespaces):
            message = "this token may not use that namespace"
            raise PermissionDenied(message, namespace=wanted)
        return Namespace(self.tenant, wanted)


def check_name(name: str, field_name: str) -> None:
    """Raise ``ValidationError`` unless ``name`` can be a namespace or a key part."""
    if len(name) > NAMESPACE_CHARACTERS_MAX or not _NAME.fullmatch(name):
        message = (
            f"{field_name} must be 1 to {NAMESPACE_CHARACTERS_MAX} characters of "
            "letters, digits and . _ : / @ + -, beginning with a letter or digit"
        )
        raise ValidationError(message, field=field_name, limit=NAMESPACE_CHARACTERS_MAX)


def _matches(pattern: str, name: str) -> bool:
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return pattern == name
