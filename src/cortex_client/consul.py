"""Finds a service by Consul: its HTTP API's healthy instances of a service."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

ADDRESS_DEFAULT = "http://127.0.0.1:8500"

TIMEOUT_SECONDS = 1.0
"""Wait for the agent, which runs beside the client."""

ANSWER_BYTES_MAX = 1_000_000
"""An answer that is longer is not from Consul."""


class ConsulError(Exception):
    """No usable answer."""


@dataclass(frozen=True, slots=True)
class Agent:
    """Where Consul's agent is, and who asks.

    Attributes:
        url: address of its HTTP API.
        token: of its access control; empty without one.
        datacenter: empty for the agent's own.
    """

    url: str
    token: str = ""
    datacenter: str = ""


def agent_of(environ: Mapping[str, str]) -> Agent:
    """Return the agent that Consul's own variables name, or this machine's."""
    address = environ.get("CONSUL_HTTP_ADDR") or ADDRESS_DEFAULT
    scheme = "https" if environ.get("CONSUL_HTTP_SSL", "") in {"1", "true"} else "http"
    return Agent(
        url=address if "://" in address else f"{scheme}://{address}",
        token=environ.get("CONSUL_HTTP_TOKEN", ""),
        datacenter=environ.get("CONSUL_DATACENTER", ""),
    )


def addresses(agent: Agent, service: str) -> tuple[str, ...]:
    """Return the base addresses of a service's healthy instances, in Consul's order.

    Raises:
        ConsulError: the agent was not reached, refused, or gave no such answer.
    """
    params = {"passing": "true"}
    if agent.datacenter:
        params["dc"] = agent.datacenter
    headers = {"X-Consul-Token": agent.token} if agent.token else {}
    url = f"{agent.url.rstrip('/')}/v1/health/service/{quote(service, safe='')}"
    try:
        response = httpx.get(
            url, params=params, headers=headers, timeout=TIMEOUT_SECONDS
        )
        return tuple(_read(response))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError) as error:
        message = f"Consul at {agent.url}: {error or type(error).__name__}"
        raise ConsulError(message) from error


def _read(response: httpx.Response) -> Sequence[str]:
    if not response.is_success:
        raise TypeError(f"it answered with status {response.status_code}")
    if len(response.content) > ANSWER_BYTES_MAX:
        raise TypeError("its answer is too long")
    entries = json.loads(response.content)
    if not isinstance(entries, list):
        raise TypeError("its answer is not a list")
    return [_address(entry) for entry in entries]


def _address(entry: Mapping[str, Any]) -> str:
    try:
        service = entry["Service"]
        host = service.get("Address") or entry["Node"]["Address"]
        scheme = (service.get("Meta") or {}).get("scheme", "http")
        port = int(service["Port"])
    except (KeyError, AttributeError, IndexError) as error:
        message = f"its answer lacks {error}"
        raise TypeError(message) from error
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}:{port}"
