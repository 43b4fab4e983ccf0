"""Addresses of memories: ``cortex://memory/{namespace}/{id}``, names escaped."""

from urllib.parse import quote, unquote

from cortex.foundation.errors import NotFound
from cortex.memory.model import Memory

NAMESPACES = "cortex://namespaces"
MEMORY_PREFIX = "cortex://memory/"
MEMORY_TEMPLATE = f"{MEMORY_PREFIX}{{namespace}}/{{id}}"


def address(namespace: str, memory_id: str) -> str:
    """Return the address of a memory."""
    return f"{MEMORY_PREFIX}{quote(namespace, safe='')}/{memory_id}"


def address_of(memory: Memory) -> str:
    """Return the address of a memory."""
    return address(memory.namespace.name, memory.id)


def memory_at(address: str) -> tuple[str, str]:
    """Return the namespace's name and the memory's id.

    Raises:
        NotFound: no address of a memory.
    """
    rest = address.removeprefix(MEMORY_PREFIX)
    namespace, slash, memory_id = rest.rpartition("/")
    if rest == address or not slash or not namespace or not memory_id:
        raise NotFound(
            "no such resource",
            hint=f"Memories are at {MEMORY_TEMPLATE}, namespaces at {NAMESPACES}.",
        )
    return unquote(namespace), memory_id
