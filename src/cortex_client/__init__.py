"""Client for Cortex: the same calls, async and sync.

``CortexClient`` is the async core, ``CortexClientSync`` the same names without
``await``; ``cortex_client.mem0`` offers mem0's method names on top. Names load on
first use, so ``import cortex_client`` itself costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cortex_client.client import CortexClient
    from cortex_client.errors import (
        AuthError,
        ClosedError,
        ConfigurationError,
        ConflictError,
        ConnectionError,  # noqa: A004  the name is a contract
        CortexError,
        NotFoundError,
        RateLimitError,
        RequestError,
        ServerError,
        SignatureError,
    )
    from cortex_client.sync import CortexClientSync
    from cortex_client.wire import NewMemory

__all__ = [
    "AuthError",
    "ClosedError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionError",
    "CortexClient",
    "CortexClientSync",
    "CortexError",
    "NewMemory",
    "NotFoundError",
    "RateLimitError",
    "RequestError",
    "ServerError",
    "SignatureError",
]

_HOMES = {
    "CortexClient": "cortex_client.client",
    "CortexClientSync": "cortex_client.sync",
    "NewMemory": "cortex_client.wire",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name not in __all__:
        message = f"module 'cortex_client' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_HOMES.get(name, "cortex_client.errors")), name)
