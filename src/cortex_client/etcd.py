"""Finds a service by etcd: the addresses that stand under a prefix of its keys.

etcd's version 3 API by its JSON gateway (``POST /v3/kv/range``, etcd 3.4 and newer):
keys and values travel as base64. An instance writes its address under the prefix with a
lease, so that its key goes when it does.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

ENDPOINT_DEFAULT = "http://127.0.0.1:2379"

ENDPOINTS_MAX = 3
"""A cluster has three or five members, and one that answers is enough."""

TIMEOUT_SECONDS = 1.0
"""Wait for one request to one member."""

REQUESTS_MAX = 2
"""With a user a member is asked twice: for a token, then for the keys."""

INSTANCES_MAX = 64
"""Enough to spread callers over; more would only make the answer long."""

ANSWER_BYTES_MAX = 1_000_000
"""An answer that is longer is not from etcd."""


class EtcdError(Exception):
    """No usable answer."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Whom to ask, and who asks.

    Attributes:
        urls: addresses of members, asked in this order until one answers.
        user: ``name:password``; empty without etcd's authentication.
    """

    urls: tuple[str, ...]
    user: str = ""


def cluster_of(environ: Mapping[str, str]) -> Cluster:
    """Return the cluster that etcdctl's own variables name, or this machine's."""
    given = environ.get("ETCDCTL_ENDPOINTS", "").split(",")
    names = [name.strip() for name in given if name.strip()][:ENDPOINTS_MAX]
    urls = (name if "://" in name else f"http://{name}" for name in names)
    return Cluster(
        urls=tuple(url.rstrip("/") for url in urls) or (ENDPOINT_DEFAULT,),
        user=environ.get("ETCDCTL_USER", ""),
    )


def addresses(cluster: Cluster, prefix: str) -> tuple[str, ...]:
    """Return the base addresses under a prefix, in the order of their keys.

    A value is an address (``http://10.0.0.1:4949``), ``host:port``, or the JSON of
    etcd's own naming, of which ``Addr`` counts.

    Raises:
        EtcdError: no member was reached, or the one that was gave no such answer.
    """
    unreachable = []
    for url in cluster.urls:
        try:
            return _ask(url, cluster.user, prefix)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            unreachable.append(f"etcd at {url}: {error or type(error).__name__}")
        except (ValueError, TypeError) as error:
            message = f"etcd at {url}: {error}"
            raise EtcdError(message) from error
    raise EtcdError("; ".join(unreachable))


def _ask(url: str, user: str, prefix: str) -> tuple[str, ...]:
    headers = {}
    if user:
        name, _, password = user.partition(":")
        answer = _post(
            f"{url}/v3/auth/authenticate", {"name": name, "password": password}
        )
        headers["Authorization"] = _text(answer.get("token"))
    start = prefix.encode()
    asked = {
        "key": base64.b64encode(start).decode(),
        "range_end": base64.b64encode(_end(start)).decode(),
        "limit": str(INSTANCES_MAX),
    }
    answer = _post(f"{url}/v3/kv/range", asked, headers)
    pairs = answer.get("kvs", [])
    if not isinstance(pairs, list):
        raise TypeError("its answer has no list of keys")
    return tuple(_address(pair) for pair in pairs)


def _post(
    url: str, body: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    response = httpx.post(url, json=body, headers=headers, timeout=TIMEOUT_SECONDS)
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        # A member without a leader; another one may have it.
        response.raise_for_status()
    if len(response.content) > ANSWER_BYTES_MAX:
        raise TypeError("its answer is too long")
    if not response.is_success:
        raise TypeError(_refusal(response))
    answer = json.loads(response.content)
    if not isinstance(answer, dict):
        raise TypeError("its answer is not an object")
    return answer


def _refusal(response: httpx.Response) -> str:
    """Return why etcd refused, in its own words where it has some."""
    try:
        said = json.loads(response.content)["message"]
    except (ValueError, TypeError, KeyError):
        said = "no reason given"
    return f"it answered with status {response.status_code} ({said})"


def _end(prefix: bytes) -> bytes:
    """Return the first key behind all that begin with a prefix, as etcd wants it."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else b"\0"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("its answer lacks a text")
    return value


def _decoded(value: object) -> str:
    try:
        return base64.b64decode(_text(value), validate=True).decode().strip()
    except binascii.Error as error:
        raise TypeError("its answer is not base64") from error


def _address(pair: object) -> str:
    if not isinstance(pair, dict):
        raise TypeError("its answer lacks a key")
    key, value = _decoded(pair.get("key")), _decoded(pair.get("value", ""))
    if value.startswith("{"):
        named = json.loads(value)
        value = _text(named.get("Addr"))
    whole = "://" in value
    parts = urlsplit(value if whole else f"http://{value}")
    if not parts.hostname or (parts.port is None and not whole):
        message = f"the value of {key!r} is no address: {value[:100]!r}"
        raise TypeError(message)
    return value if whole else f"http://{value}"
