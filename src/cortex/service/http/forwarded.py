"""Whom a proxy speaks for; pure.

Only what our own proxies wrote is believed, and only the one header they are set to
write: a proxy that writes ``X-Forwarded-For`` hands a ``Forwarded`` of the client on as
it came (RFC 7239, section 8.1).
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from cortex.foundation.errors import ValidationError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

FORWARDED = "forwarded"
X_FORWARDED_FOR = "x-forwarded-for"

HOPS_MAX = 32
"""Hops looked at, from ours outwards: no honest chain of proxies is longer."""

_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;\s"]*))', re.IGNORECASE)
_PORT = re.compile(r":\d{1,5}")


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies that are ours, and the header they write."""

    networks: tuple[Network, ...] = ()
    header: str = X_FORWARDED_FOR

    @classmethod
    def of(cls, networks: Iterable[str], header: str = X_FORWARDED_FOR) -> "Proxies":
        """Read addresses and networks such as ``10.0.0.0/8``.

        Raises:
            ValidationError: one of them is neither.
        """
        return cls(tuple(_network(text) for text in networks), header)

    def client(self, peer: str, headers: Headers) -> str:
        """Return the address of who really asks.

        The nearest hop that is no proxy of ours: what lies beyond it could have been
        written by anyone. Where a hop cannot be read, the one before it counts.
        """
        if not self.networks:
            return peer
        found = peer
        for hop in (None, *self._hops(headers)):
            if hop is not None:
                address = _address(hop)
                if address is None:
                    return found
                found = str(address)
            if not self._ours(found):
                return found
        return found

    def _ours(self, text: str) -> bool:
        address = _address(text)
        if address is None:
            return False
        return any(address in network for network in self.networks)

    def _hops(self, headers: Headers) -> Iterator[str]:
        """Yield the hops from the nearest outwards."""
        name = self.header.encode()
        lines = [value.decode("latin-1") for key, value in headers if key == name]
        parts = [part.strip() for line in lines for part in line.split(",")]
        for part in parts[: -HOPS_MAX - 1 : -1]:
            yield part if self.header == X_FORWARDED_FOR else _for(part)


def _for(element: str) -> str:
    found = _FOR.search(element)
    return "" if found is None else found[1] or found[2] or ""


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValidationError(
            f"{text!r} is neither an address nor a network",
            hint="Write 10.0.0.7 or 10.0.0.0/8, several by commas.",
            field="trusted_proxies",
        ) from None


def _address(text: str) -> Address | None:
    """Read an address with or without port; None for ``unknown`` and made-up names."""
    if text.startswith("["):
        text, _, port = text[1:].partition("]")
        if port and not _PORT.fullmatch(port):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _PORT.fullmatch(f":{port}"):
            return None
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address
    return address
