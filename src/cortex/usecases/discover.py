"""What a caller can reach from here: its namespaces, databases, folders, services."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from cortex.foundation.errors import PermissionDenied
from cortex.foundation.tenancy import Principal
from cortex.memory.ports import MemoryStore
from cortex.usecases.databases import Databases
from cortex.usecases.files import Files
from cortex.usecases.model import LoadedModel, Resource
from cortex.usecases.services import Services

RESOURCES_MAX = 500
"""Resources told at most; a tenant with more namespaces lists them by itself."""


@dataclass(frozen=True, slots=True)
class Discover:
    """Lists resources the caller's scopes and namespaces reach."""

    store: MemoryStore
    databases: Databases
    files: Files
    services: Services
    models: Callable[[], Awaitable[Sequence[LoadedModel]]]

    async def __call__(self, principal: Principal) -> list[Resource]:
        """Return the resources, by kind and name."""
        found = await self._namespaces(principal)
        if _holds(principal, "database"):
            found += [
                Resource(
                    f"database:{d.name}", "database", d.name, f"/db/schema/{d.name}"
                )
                for d in await self.databases.list()
            ]
        if _holds(principal, "filesystem"):
            found += [
                Resource(f"folder:{name}", "folder", name, f"/fs/list?root={name}")
                for name in sorted(self.files.names())
            ]
        if _holds(principal, "services"):
            found += [
                Resource(f"service:{s.name}", "service", s.name, s.url)
                for s in await self.services.known()
            ]
        found += [
            Resource(f"model:{m.info.name}", "model", m.info.name, "/models")
            for m in await self.models()
        ]
        return found[:RESOURCES_MAX]

    async def _namespaces(self, principal: Principal) -> list[Resource]:
        names = await self.store.namespaces(principal.tenant)
        return [
            Resource(
                f"namespace:{name}", "namespace", name, f"/memory?namespace={name}"
            )
            for name in names
            if _reaches(principal, name)
        ]


def _holds(principal: Principal, scope: str) -> bool:
    try:
        principal.require(scope)
    except PermissionDenied:
        return False
    return True


def _reaches(principal: Principal, name: str) -> bool:
    try:
        principal.namespace(name)
    except PermissionDenied:
        return False
    return True
