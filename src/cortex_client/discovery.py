"""Where the server is, and how to reach it.

In this order: the address given, ``CORTEX_URL``, Kubernetes' service variables
(``CORTEX_SERVICE_HOST`` and ``_PORT``), this machine on ``CORTEX_PORT`` or 4949.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from cortex_client.errors import ConfigurationError

DEFAULT_PORT = 4949
DEFAULT_TIMEOUT_SECONDS = 30.0
DEFAULT_MAX_RETRIES = 3


@dataclass(frozen=True, slots=True)
class Target:
    """A server and the caller's manners towards it.

    Attributes:
        url: base address without a trailing slash.
        timeout_seconds: longest silence during one try.
        max_retries: further tries after the first.
    """

    url: str
    token: str | None
    timeout_seconds: float
    max_retries: int


def process_environment() -> Mapping[str, str]:
    """Return the environment of this process: the client's only read of it."""
    return os.environ  # noqa: TID251  the client has no settings module


def locate(base_url: str | None, environ: Mapping[str, str]) -> str:
    """Return the base address to use.

    Raises:
        ConfigurationError: it is not an ``http`` or ``https`` address.
    """
    url = base_url or environ.get("CORTEX_URL") or _kubernetes(environ)
    if not url:
        port = environ.get("CORTEX_PORT", "")
        # Kubernetes also sets CORTEX_PORT, to tcp://…, for a service named cortex.
        url = f"http://127.0.0.1:{port if port.isdigit() else DEFAULT_PORT}"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"{url!r} is not the address of a server"
        raise ConfigurationError(message, hint="Give one like http://127.0.0.1:4949.")
    return url.rstrip("/")


def _kubernetes(environ: Mapping[str, str]) -> str:
    host = environ.get("CORTEX_SERVICE_HOST", "")
    port = environ.get("CORTEX_SERVICE_PORT", "")
    if not host:
        return ""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port or DEFAULT_PORT}"


def target(
    base_url: str | None,
    token: str | None,
    timeout: float | None,
    max_retries: int | None,
    environ: Mapping[str, str],
) -> Target:
    """Return the target; what is None comes from the environment, then defaults."""
    seconds = timeout
    if seconds is None:
        seconds = _number("CORTEX_TIMEOUT", environ, DEFAULT_TIMEOUT_SECONDS)
    retries = max_retries
    if retries is None:
        retries = int(_number("CORTEX_MAX_RETRIES", environ, DEFAULT_MAX_RETRIES))
    if seconds <= 0 or retries < 0:
        message = "timeout must be above 0 seconds and max_retries at least 0"
        raise ConfigurationError(message)
    return Target(
        url=locate(base_url, environ),
        token=token or environ.get("CORTEX_TOKEN") or None,
        timeout_seconds=seconds,
        max_retries=retries,
    )


def _number(name: str, environ: Mapping[str, str], default: float) -> float:
    text = environ.get(name, "")
    if not text:
        return default
    try:
        return float(text)
    except ValueError as error:
        message = f"{name} must be a number, not {text!r}"
        raise ConfigurationError(message) from error
