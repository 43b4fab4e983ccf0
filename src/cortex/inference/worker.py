"""A process that embeds texts for its owner: ``python -m cortex.inference.worker FD``.

It reads frames from the socket whose number it is given and answers on it. One thread
listens, so that signs of life, cancellations and the end of the owner are noticed
while the other computes. When the owner is gone, the socket closes, and so does this.
"""

import ctypes
import os
import queue
import secrets
import signal
import socket
import sys
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Final

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock, SystemClock
from cortex.foundation.errors import CortexError
from cortex.inference.frames import (
    HEADER,
    BadFrame,
    Frame,
    Kind,
    encode,
    facts_body,
    header,
    read_callers,
    read_facts,
    read_texts,
    vectors_body,
)
from cortex.inference.ports import TextBackend, Vector
from cortex.telemetry.tracing.remote import RemoteWork, written

EXIT_CANNOT_OPEN: Final = 3
"""Exit code when the model does not load."""

_BACKENDS: Final = {
    "bundled": ("cortex.inference.backends.bundled", "open_bundled"),
    "hashing": ("cortex.inference.backends.hashing", "HashingText"),
    "onnx": ("cortex.inference.backends.user_onnx", "open_user_onnx"),
}
_PR_SET_PDEATHSIG: Final = 1


@dataclass(slots=True)
class Wire:
    """The socket to the owner; sending is safe from both threads."""

    connection: socket.socket
    _sending: threading.Lock = field(default_factory=threading.Lock)

    def send(self, kind: Kind, number: int = 0, body: bytes = b"") -> None:
        """Send one frame; the owner's end means the end of this process."""
        with self._sending:
            self.connection.sendall(encode(Frame(kind, number, body)))

    def receive(self) -> Frame | None:
        """Return the next frame; None when the owner is gone.

        Raises:
            BadFrame: it cannot be understood.
        """
        head = self._exactly(HEADER.size)
        if head is None:
            return None
        length, kind, number = header(head)
        body = self._exactly(length)
        return None if body is None else Frame(kind, number, body)

    def _exactly(self, size: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < size:
            try:
                data = self.connection.recv(size - len(parts))
            except ConnectionError:
                return None
            if not data:
                return None
            parts += data
        return bytes(parts)


class Listener(threading.Thread):
    """Reads what the owner says; answers signs of life at once."""

    def __init__(self, wire: Wire) -> None:
        """Listen when started."""
        super().__init__(name="listener", daemon=True)
        self._wire = wire
        self.batches: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self.cancelled: set[int] = set()
        self.callers: dict[int, list[str]] = {}

    def run(self) -> None:
        """Listen until the owner says stop or is gone."""
        try:
            while (frame := self._wire.receive()) is not None:
                if frame.kind is Kind.PING:
                    self._wire.send(Kind.PONG, frame.number)
                elif frame.kind is Kind.TRACE:
                    self.callers[frame.number] = read_callers(frame.body)
                elif frame.kind is Kind.RUN:
                    self.batches.put(frame)
                elif frame.kind is Kind.CANCEL:
                    self.cancelled.add(frame.number)
                elif frame.kind is Kind.STOP:
                    self.batches.put(None)
                    return
        except (OSError, BadFrame):
            pass
        # The owner is gone: nobody waits for what is being computed.
        os._exit(0)


def open_model(facts: dict[str, JsonValue]) -> TextBackend:
    """Return the model that the owner named, loaded.

    Raises:
        CortexError: it does not load.
    """
    module, name = _BACKENDS[str(facts.get("provider"))]
    make = getattr(import_module(module), name)
    folder = facts.get("folder")
    given: list[object] = [] if folder is None else [Path(str(folder))]
    if facts.get("max_tokens") is not None:
        given.append(facts["max_tokens"])
    backend: TextBackend = make(*given)
    return backend


def work(model: TextBackend, wire: Wire, listener: Listener, clock: Clock) -> None:
    """Answer batches until the owner says stop."""
    while (frame := listener.batches.get()) is not None:
        callers = listener.callers.pop(frame.number, [])
        if frame.number in listener.cancelled:
            listener.cancelled.discard(frame.number)
            body = facts_body({"code": "", "message": "taken back"})
            wire.send(Kind.FAILED, frame.number, body)
            continue
        started = clock.monotonic()
        parts = [
            RemoteWork("embed.worker", c, clock, secrets.randbits) for c in callers
        ]
        try:
            vectors = embedded(model, read_texts(frame.body), parts)
        except CortexError as error:
            facts: dict[str, JsonValue] = {
                "code": error.code,
                "message": error.message,
                "retryable": error.retryable,
            }
            kind, body = Kind.FAILED, facts_body(facts)
        except Exception as error:  # noqa: BLE001 - worker supervisor: told to the owner
            facts = {"code": "", "message": type(error).__name__}
            kind, body = Kind.FAILED, facts_body(facts)
        else:
            seconds = clock.monotonic() - started
            kind, body = Kind.VECTORS, vectors_body(vectors, seconds)
        if parts:
            recorded: list[JsonValue] = [written(part.records) for part in parts]
            wire.send(Kind.SPANS, frame.number, facts_body({"spans": recorded}))
        wire.send(kind, frame.number, body)


def embedded(
    model: TextBackend, texts: list[str], parts: list[RemoteWork]
) -> list[Vector]:
    """Return the vectors of a batch, as a part of each trace it belongs to."""
    with ExitStack() as traced:
        for part in parts:
            part.set(texts=len(texts), pid=os.getpid())
            traced.enter_context(part)
        return [model.embed(text) for text in texts]


def serve(wire: Wire, clock: Clock) -> int:
    """Load what the owner names and work for it; return the exit code."""
    opening = wire.receive()
    if opening is None or opening.kind is not Kind.OPEN:
        return EXIT_CANNOT_OPEN
    started = clock.monotonic()
    try:
        model = open_model(read_facts(opening.body))
    except CortexError as error:
        wire.send(Kind.FAILED, 0, facts_body({"message": error.message}))
        return EXIT_CANNOT_OPEN
    ready: dict[str, JsonValue] = {
        "pid": os.getpid(),
        "space": model.info.space,
        "load_seconds": clock.monotonic() - started,
    }
    wire.send(Kind.READY, 0, facts_body(ready))
    listener = Listener(wire)
    listener.start()
    work(model, wire, listener, clock)
    model.close()
    return 0


def end_with_owner() -> None:
    """Ask the kernel to end this process when its owner ends, even while stopped."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Serve the socket whose descriptor is the only argument."""
    end_with_owner()
    # Ctrl-C reaches the whole process group; the owner stops its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A closed socket is the owner's end, whenever it comes.
    with suppress(ConnectionError), socket.socket(fileno=int(arguments[0])) as mine:
        return serve(Wire(mine), SystemClock())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
