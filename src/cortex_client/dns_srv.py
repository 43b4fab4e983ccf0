"""Finds a service by DNS: SRV records (RFC 2782) asked for as RFC 1035 says.

One small question over UDP, again over TCP where the answer was cut short. No cache and
no search list: a client asks once, when it is made.
"""

import secrets
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

PORT = 53

TIMEOUT_SECONDS = 1.0
"""Wait for one name server: a local one answers in a few milliseconds."""

SERVERS_MAX = 3
"""Name servers asked, as resolvers of C libraries do."""

MESSAGE_BYTES_MAX = 65_535
"""A message over TCP has no more."""

UDP_BYTES_MAX = 4_096
"""More than any answer that fits a datagram here."""

LABEL_BYTES_MAX = 63
NAME_BYTES_MAX = 255
POINTERS_MAX = 64
"""Jumps in one name: a message that needs more goes in circles."""

RESOLV_CONF = "/etc/resolv.conf"

_HEADER = struct.Struct("!6H")
_SRV, _IN = 33, 1
_RECURSION_WANTED = 0x0100
_IS_ANSWER, _IS_CUT, _CODE = 0x8000, 0x0200, 0x000F
_NAME_ERROR = 3
_POINTER = 0xC0


class DnsError(Exception):
    """No usable answer."""


@dataclass(frozen=True, slots=True)
class Service:
    """One place where a service is; a lower ``priority`` is tried first."""

    priority: int
    weight: int
    port: int
    host: str


def lookup(name: str, servers: Sequence[tuple[str, int]]) -> tuple[Service, ...]:
    """Return where a service is; nothing when its name has no such records.

    Raises:
        DnsError: no name server gave a usable answer.
    """
    problem = "no name server is configured"
    for server in servers[:SERVERS_MAX]:
        try:
            return _ask(name, server)
        except (OSError, DnsError) as error:
            problem = f"{server[0]}: {error or type(error).__name__}"
    message = f"no answer about {name} ({problem})"
    raise DnsError(message)


def chosen(services: Sequence[Service], chance: Callable[[int], int]) -> Service | None:
    """Return one of the best priority, by weight; ``chance(n)`` gives 0..n-1.

    A host of ``.`` says that the service is decidedly not there (RFC 2782).
    """
    there = [one for one in services if one.host]
    if not there:
        return None
    best = min(one.priority for one in there)
    group = [one for one in there if one.priority == best]
    # Weight 0 is a small chance, not none.
    lot = chance(sum(one.weight * 10 + 1 for one in group))
    for one in group:
        lot -= one.weight * 10 + 1
        if lot < 0:
            return one
    return group[-1]


def name_servers(resolv_conf: str) -> tuple[tuple[str, int], ...]:
    """Return the name servers that the text of a resolv.conf names."""
    lines = (line.split() for line in resolv_conf.splitlines())
    found = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    return tuple((address, PORT) for address in found)


def question(name: str, number: int) -> bytes:
    """Return the message that asks for a name's SRV records."""
    head = _HEADER.pack(number, _RECURSION_WANTED, 1, 0, 0, 0)
    return head + _encoded(name) + struct.pack("!2H", _SRV, _IN)


def answer(message: bytes, number: int, name: str) -> tuple[tuple[Service, ...], bool]:
    """Return the services of an answer, and whether it was cut short.

    Raises:
        DnsError: it is malformed, answers another question, or tells of a failure.
    """
    try:
        return _read(message, number, name)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise DnsError("the answer is malformed") from error


def _ask(name: str, server: tuple[str, int]) -> tuple[Service, ...]:
    number = secrets.randbelow(1 << 16)
    asked = question(name, number)
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as wire:
        wire.settimeout(TIMEOUT_SECONDS)
        wire.connect(server)  # only what this server sends is received
        wire.send(asked)
        found, is_cut = answer(wire.recv(UDP_BYTES_MAX), number, name)
    if not is_cut:
        return found
    with socket.create_connection(server, TIMEOUT_SECONDS) as wire:
        wire.sendall(struct.pack("!H", len(asked)) + asked)
        (length,) = struct.unpack("!H", _exactly(wire, 2))
        return answer(_exactly(wire, length), number, name)[0]


def _exactly(wire: socket.socket, count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        part = wire.recv(count - len(parts))
        if not part:
            raise DnsError("the answer ended early")
        parts += part
    return parts


def _encoded(name: str) -> bytes:
    labels = [label.encode("ascii", "replace") for label in name.rstrip(".").split(".")]
    if not all(0 < len(label) <= LABEL_BYTES_MAX for label in labels):
        raise DnsError(f"{name!r} is not a name of DNS")
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    if len(encoded) > NAME_BYTES_MAX:
        raise DnsError(f"{name!r} is too long for DNS")
    return encoded


def _read(message: bytes, number: int, name: str) -> tuple[tuple[Service, ...], bool]:
    given, flags, questions, answers, _, _ = _HEADER.unpack_from(message)
    if given != number or not flags & _IS_ANSWER:
        raise DnsError("the answer is to another question")
    if flags & _IS_CUT:
        return (), True
    if questions != 1:
        raise DnsError("the answer names no question")
    asked, at = _name(message, _HEADER.size)
    if asked.lower() != name.rstrip(".").lower():
        raise DnsError("the answer is about another name")
    code = flags & _CODE
    if code == _NAME_ERROR:
        return (), False
    if code:
        raise DnsError(f"the name server failed with code {code}")
    return tuple(_services(message, at + 4, answers)), False


def _services(message: bytes, at: int, count: int) -> Iterator[Service]:
    for _ in range(count):
        _, at = _name(message, at)
        kind, _, _, length = struct.unpack_from("!2HIH", message, at)
        at += 10
        if kind == _SRV:
            priority, weight, port = struct.unpack_from("!3H", message, at)
            host, _ = _name(message, at + 6)
            yield Service(priority, weight, port, host)
        at += length


def _name(message: bytes, at: int) -> tuple[str, int]:
    """Return the name at a place, and the place after it (RFC 1035, 4.1.4)."""
    labels: list[str] = []
    end = -1
    jumps = 0
    while (length := message[at]) != 0:
        if length & _POINTER == _POINTER:
            end = at + 2 if end < 0 else end
            at = (length & ~_POINTER) << 8 | message[at + 1]
            jumps += 1
            if jumps > POINTERS_MAX:
                raise DnsError("the answer goes in circles")
            continue
        label = message[at + 1 : at + 1 + length]
        labels.append(label.decode("ascii"))
        at += 1 + length
    return ".".join(labels), (at + 1 if end < 0 else end)
