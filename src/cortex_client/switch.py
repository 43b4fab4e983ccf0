"""One variable between Cortex and what an agent used before: ``USE_CORTEX``.

::

    store = either(cortex=CortexStore, otherwise=InMemoryStore)

The agent stays as it is; whoever runs it decides, and can go back.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import httpx

from cortex_client.discovery import locate, process_environment
from cortex_client.errors import ConfigurationError

T = TypeVar("T")
U = TypeVar("U")

VARIABLE = "USE_CORTEX"

READY_SECONDS_MAX = 1.0
"""How long ``auto`` waits for a server to say that it is ready."""

_ON = frozenset({"1", "true", "yes", "on"})
_OFF = frozenset({"", "0", "false", "no", "off"})
_AUTO = "auto"


def use_cortex(environ: Mapping[str, str] | None = None) -> bool:
    """Return whether ``USE_CORTEX`` is on.

    ``1``, ``true``, ``yes`` and ``on`` say so; unset, ``0``, ``false``, ``no`` and
    ``off`` say not; ``auto`` means: when a server is ready now.

    Raises:
        ConfigurationError: it is something else.
    """
    given = process_environment() if environ is None else environ
    word = given.get(VARIABLE, "").strip().lower()
    if word == _AUTO:
        return _is_ready(locate(None, given))
    if word not in _ON | _OFF:
        message = f"{VARIABLE} is {word!r}"
        raise ConfigurationError(message, hint="Use one of: on, off, auto.")
    return word in _ON


def either(
    *,
    cortex: Callable[[], T],
    otherwise: Callable[[], U],
    environ: Mapping[str, str] | None = None,
) -> T | U:
    """Return what ``cortex`` makes where ``USE_CORTEX`` is on, else the other.

    Only the one that is wanted is made, so the other's framework, server or keys need
    not be there.
    """
    return cortex() if use_cortex(environ) else otherwise()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready", timeout=READY_SECONDS_MAX).is_success
    except httpx.TransportError:
        return False
