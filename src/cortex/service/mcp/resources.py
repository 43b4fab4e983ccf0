"""Resources: the namespaces, and each memory at its address."""

import orjson
from mcp import types

from cortex.security.scopes import Scope
from cortex.service.mcp.addresses import MEMORY_TEMPLATE, NAMESPACES, memory_at
from cortex.service.mcp.calling import Caller
from cortex.service.mcp.shapes import memory_shape, readable
from cortex.usecases.catalog import UseCases

_JSON = "application/json"


class Resources:
    """What can be read by address."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def listed(self, caller: Caller) -> list[types.Resource]:
        """Return the fixed resources within the caller's reach."""
        if not caller.holds(Scope.MEMORY):
            return []
        return [
            types.Resource(
                uri=NAMESPACES,
                name="namespaces",
                title="Namespaces of memory",
                description="Names of the namespaces, each with its memories' number.",
                mime_type=_JSON,
            )
        ]

    def templates(self, caller: Caller) -> list[types.ResourceTemplate]:
        """Return the address of a memory, if the caller may read one."""
        if not caller.holds(Scope.MEMORY):
            return []
        return [
            types.ResourceTemplate(
                uri_template=MEMORY_TEMPLATE,
                name="memory",
                title="One memory",
                description="A memory with its whole content; search tells addresses.",
                mime_type=_JSON,
            )
        ]

    async def read(self, caller: Caller, uri: str) -> str:
        """Return the resource as JSON.

        Raises:
            NotFound: no such address, or no such memory within reach.
        """
        caller = caller.doing(Scope.MEMORY, "read")
        if uri == NAMESPACES:
            caller.allowed()
            counts = await self._cases.memory_stats(caller.principal, None)
            value: object = {"namespaces": dict(counts.by_namespace)}
        else:
            name, memory_id = memory_at(uri)
            found = await self._cases.get_memory(caller.namespace(name), memory_id)
            value = memory_shape(readable(found))
        return orjson.dumps(value).decode()
