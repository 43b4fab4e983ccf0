"""What the server and its media processes say to each other, as JSON in frames.

The file itself is not sent: its descriptor is, so it needs no name on the disk.
"""

import array
import base64
import json
import socket
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from cortex.foundation.errors import CortexError, PayloadTooLarge, ValidationError
from cortex.inference.errors import EmbeddingFailed, ModelUnusable
from cortex.inference.media.errors import BrokenMedia, NotInstalled, SecurityViolation
from cortex.inference.media.kinds import (
    Label,
    MediaKind,
    Native,
    Reading,
    Sniffed,
    Want,
)
from cortex.telemetry.tracing import current_traceparent
from cortex.telemetry.tracing.model import SpanRecord
from cortex.telemetry.tracing.remote import read

FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of one message: a long transcript and a vector fit many times."""

_LENGTH_BYTES: Final = 4
_ERRORS: Final[dict[str, type[CortexError]]] = {
    kind.__name__: kind
    for kind in (
        BrokenMedia,
        NotInstalled,
        SecurityViolation,
        PayloadTooLarge,
        EmbeddingFailed,
        ModelUnusable,
    )
}

Message = dict[str, Any]


def send(link: socket.socket, message: Message, descriptor: int | None = None) -> None:
    """Send a message, and an open file with it."""
    data = json.dumps(message).encode()
    frame = len(data).to_bytes(_LENGTH_BYTES, "big") + data
    sent = 0
    if descriptor is not None:
        sent = socket.send_fds(link, [frame], [descriptor])
    link.sendall(frame[sent:])


def receive(link: socket.socket) -> tuple[Message, int | None] | None:
    """Return the next message and the file that came with it; None at the end.

    Raises:
        ConnectionError: the other side ended in the middle, or talks nonsense.
    """
    first, descriptors, _, _ = _receive_fds(link)
    if not first:
        return None
    head = first + _exactly(link, _LENGTH_BYTES - len(first))
    length = int.from_bytes(head, "big")
    if length > FRAME_BYTES_MAX:
        message = "the message is too long"
        raise ConnectionError(message)
    data = json.loads(_exactly(link, length))
    return data, (descriptors[0] if descriptors else None)


def _receive_fds(link: socket.socket) -> tuple[bytes, list[int], int, Any]:
    size = socket.CMSG_LEN(array.array("i").itemsize)
    data, ancillary, flags, address = link.recvmsg(_LENGTH_BYTES, size)
    found = array.array("i")
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(payload[: len(payload) // found.itemsize * found.itemsize])
    return data, list(found), flags, address


def _exactly(link: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = link.recv(min(count - len(data), 1 << 20))
        if not piece:
            message = "the other side is gone"
            raise ConnectionError(message)
        data += piece
    return bytes(data)


def question(sniffed: Sniffed, wants: frozenset[Want]) -> Message:
    """Return the message that asks for a reading, as a part of the running trace."""
    return {
        "file": asdict(sniffed),
        "wants": sorted(wants),
        "caller": current_traceparent(),
    }


def caller(message: Message) -> str:
    """Return the ``traceparent`` of the work that asks; empty for none."""
    return str(message.get("caller", ""))


def asked(message: Message) -> tuple[Sniffed, frozenset[Want]]:
    """Return what a question asks."""
    told = dict(message["file"])
    told["kind"] = MediaKind(told["kind"])
    return Sniffed(**told), frozenset(map(Want, message["wants"]))


def answer(reading: Reading) -> Message:
    """Return the message that carries a reading."""
    told: Message = {
        "labels": [[label.name, label.probability] for label in reading.labels],
        "transcript": reading.transcript,
        "words": reading.words,
        "width": reading.width,
        "height": reading.height,
        "seconds": reading.seconds,
        "frames": reading.frames,
        "model_seconds": reading.model_seconds,
        "models": dict(reading.models),
    }
    if reading.native is not None:
        raw = reading.native.vector.astype("<f4").tobytes()
        told["native"] = {
            "vector": base64.b64encode(raw).decode(),
            "model": reading.native.model,
            "space": reading.native.space,
        }
    return {"reading": told}


def refusal(error: CortexError) -> Message:
    """Return the message that carries an error."""
    return {
        "error": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "data": error.data,
    }


def spans(message: Message) -> tuple[SpanRecord, ...]:
    """Return what the process recorded of its work for the trace that waits.

    Raises:
        ConnectionError: these are no spans.
    """
    try:
        return read(message.get("spans", []))
    except ValidationError as error:
        raise ConnectionError(error.message) from error


def read_answer(message: Message) -> Reading:
    """Return the reading of an answer, or raise the error that it carries."""
    if "error" in message:
        kind = _ERRORS.get(message["error"], EmbeddingFailed)
        raise kind(message["message"], hint=message["hint"], **message["data"])
    told = message["reading"]
    labels = tuple(Label(name, probability) for name, probability in told.pop("labels"))
    native = told.pop("native", None)
    if native is not None:
        raw = base64.b64decode(native["vector"])
        vector = np.frombuffer(raw, "<f4").astype(np.float32)
        native = Native(vector, native["model"], native["space"])
    return Reading(labels=labels, native=native, **told)
