"""A process that decodes and reads files; what breaks here breaks nothing else.

It has no secrets in its environment, little memory, no core dumps, and ends with the
server. Run by ``cortex.inference.media.workers`` as ``python -m`` with the number of
the socket it listens on.
"""

import os
import resource
import secrets
import socket
import sys
from typing import BinaryIO, Final

from cortex.foundation.clock import Clock, SystemClock
from cortex.foundation.errors import CortexError
from cortex.foundation.reclaim import bound_pools
from cortex.inference.errors import EmbeddingFailed
from cortex.inference.media import protocol
from cortex.inference.media.reader import MediaReader
from cortex.telemetry.tracing.remote import RemoteWork, written

MEMORY_BYTES_MAX: Final = 4 * 1024**3
"""Address space of the process: four times what the largest picture takes."""

MAPPED_FROM_BYTES: Final = 32 << 20
"""Size from which an array's memory goes back to the system when it is freed. Those of
ten seconds of speech are below it, 7 MB the largest: cleared page by page for each
product they would cost a tenth of its processor time."""

KEPT_BYTES: Final = 64 << 20
"""Freed bytes that are kept for the next file; the process ends when it idles."""

FILE_BYTES_MAX: Final = 128 * 1024 * 1024
"""Bytes of any file it writes: a model on its way to the runtime, nothing else."""


def limit_process() -> None:
    """Give up what reading files does not need."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX),
        (resource.RLIMIT_FSIZE, FILE_BYTES_MAX),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(what, (most, most))


def keep_freed_memory() -> None:
    """Keep what one file took for the next."""
    bound_pools(MAPPED_FROM_BYTES, KEPT_BYTES)


def serve(link: socket.socket, reader: MediaReader, clock: Clock) -> None:
    """Answer questions until the other side is gone."""
    while (received := protocol.receive(link)) is not None:
        message, descriptor = received
        if descriptor is None:
            protocol.send(link, {})
            continue
        caller = protocol.caller(message)
        part = RemoteWork("media.worker", caller, clock, secrets.randbits)
        with os.fdopen(descriptor, "rb") as file:
            told = _answered(message, file, reader, part)
        protocol.send(link, {**told, "spans": written(part.records)})


def _answered(
    message: protocol.Message, file: BinaryIO, reader: MediaReader, part: RemoteWork
) -> protocol.Message:
    sniffed, wants = protocol.asked(message)
    part.set(pid=os.getpid(), kind=sniffed.kind.value)
    file.seek(0)
    try:
        with part:
            reading = reader.read(file, sniffed, wants)
    except CortexError as error:
        return protocol.refusal(error)
    except MemoryError:
        text = "reading the file takes more memory than there is"
        return protocol.refusal(EmbeddingFailed(text))
    return protocol.answer(reading)


def main(arguments: list[str]) -> int:
    """Serve on the socket with the given number; return the exit status."""
    limit_process()
    keep_freed_memory()
    clock = SystemClock()
    with socket.socket(fileno=int(arguments[0])) as link:
        try:
            serve(link, MediaReader(clock), clock)
        except ConnectionError:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
