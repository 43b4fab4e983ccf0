"""Where the server is, and how to reach it.

In this order: the address given; ``CORTEX_URL``; DNS SRV ``_cortex._tcp`` of
``CORTEX_DISCOVERY_DOMAIN``; Consul's service ``CORTEX_CONSUL_SERVICE``; etcd's keys
under ``CORTEX_ETCD_PREFIX``; Kubernetes' service variables (``CORTEX_SERVICE_HOST`` and
``_PORT``); this machine on ``CORTEX_PORT`` or 4949.

The network is asked only where a variable says so, once for each client that is made,
for at most ``DISCOVERY_SECONDS_MAX``; a client that is given its address asks nobody.
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cortex_client import consul, dns_srv, etcd
from cortex_client.errors import ConfigurationError

DISCOVERY_SECONDS_MAX = (
    2 * dns_srv.SERVERS_MAX * dns_srv.TIMEOUT_SECONDS
    + consul.TIMEOUT_SECONDS
    + etcd.ENDPOINTS_MAX * etcd.REQUESTS_MAX * etcd.TIMEOUT_SECONDS
)
"""The longest that finding a server takes when nobody answers."""

SRV_NAME = "_cortex._tcp"

DEFAULT_PORT = 4949
PORT_MAX = 65_535
"""Ports are 16-bit numbers (RFC 9293)."""

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

    A place that does not know of a server leaves the word to the next. One that cannot
    be asked is an error, so that nobody talks to another server by accident.

    Raises:
        ConfigurationError: it is not an ``http`` or ``https`` address, or a place that
            was configured could not be asked.
    """
    url = (
        base_url
        or environ.get("CORTEX_URL")
        or _dns(environ)
        or _consul(environ)
        or _etcd(environ)
        or _kubernetes(environ)
    )
    if not url:
        url = f"http://127.0.0.1:{own_port(environ)}"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"{url!r} is not the address of a server"
        raise ConfigurationError(message, hint="Give one like http://127.0.0.1:4949.")
    return url.rstrip("/")


def own_port(environ: Mapping[str, str]) -> int:
    """Return the port of this machine's server: ``CORTEX_PORT``, else 4949.

    Raises:
        ConfigurationError: it is a number, but none of a port.
    """
    text = environ.get("CORTEX_PORT", "").strip()
    # Kubernetes also sets CORTEX_PORT, to tcp://…, for a service named cortex; with 0
    # the server takes a free one, which only --url can name.
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        return DEFAULT_PORT
    if int(text) > PORT_MAX:
        message = f"CORTEX_PORT must be between 1 and {PORT_MAX}, not {text}"
        raise ConfigurationError(message)
    return int(text)


def _dns(environ: Mapping[str, str]) -> str:
    domain = environ.get("CORTEX_DISCOVERY_DOMAIN", "").strip(".")
    if not domain:
        return ""
    name = f"{SRV_NAME}.{domain}"
    try:
        found = dns_srv.lookup(name, _name_servers(environ))
    except dns_srv.DnsError as error:
        hint = "Give the address itself, or unset CORTEX_DISCOVERY_DOMAIN."
        raise ConfigurationError(f"DNS: {error}", hint=hint) from error
    service = dns_srv.chosen(found, secrets.randbelow)
    if service is None:
        return ""
    scheme = environ.get("CORTEX_DISCOVERY_SCHEME", "http")
    return f"{scheme}://{service.host}:{service.port}"


def _name_servers(environ: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    """Return whom to ask: ``CORTEX_DISCOVERY_DNS`` (``host`` or ``host:port``)."""
    given = environ.get("CORTEX_DISCOVERY_DNS", "")
    if given:
        parts = urlsplit(f"//{given}")
        return ((parts.hostname or given, parts.port or dns_srv.PORT),)
    path = Path(dns_srv.RESOLV_CONF)
    return dns_srv.name_servers(path.read_text("utf-8") if path.exists() else "")


def _consul(environ: Mapping[str, str]) -> str:
    service = environ.get("CORTEX_CONSUL_SERVICE", "")
    if not service:
        return ""
    try:
        found = consul.addresses(consul.agent_of(environ), service)
    except consul.ConsulError as error:
        hint = "Give the address itself, or unset CORTEX_CONSUL_SERVICE."
        raise ConfigurationError(str(error), hint=hint) from error
    return secrets.choice(found) if found else ""


def _etcd(environ: Mapping[str, str]) -> str:
    prefix = environ.get("CORTEX_ETCD_PREFIX", "")
    if not prefix:
        return ""
    try:
        found = etcd.addresses(etcd.cluster_of(environ), prefix)
    except etcd.EtcdError as error:
        hint = "Give the address itself, or unset CORTEX_ETCD_PREFIX."
        raise ConfigurationError(str(error), hint=hint) from error
    return secrets.choice(found) if found else ""


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
