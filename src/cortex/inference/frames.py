"""What a worker process and its owner say to each other: length-prefixed frames; pure.

One frame is a header of 13 bytes, little-endian: the length of the body (u32), the
kind (u8) and the number of the batch it is about (u64). Texts travel as UTF-8 with
their lengths, vectors as the bytes of a float32 matrix, facts as JSON. Nothing is
unpickled: a frame cannot make either side run anything.

A batch whose texts belong to traces is announced by a ``TRACE`` frame with their
``traceparent`` headers; its answer is announced by a ``SPANS`` frame with what was
recorded for each, in that order.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from cortex.foundation.canonical import JsonValue
from cortex.inference.ports import Vector

HEADER: Final = struct.Struct("<IBQ")
_COUNT: Final = struct.Struct("<I")
_SHAPE: Final = struct.Struct("<IId")

BODY_BYTES_MAX: Final = 64 * 1024**2
"""Longest body: far above a batch of the longest texts, far below the memory."""


class Kind(IntEnum):
    """What a frame is."""

    OPEN = 1
    READY = 2
    RUN = 3
    VECTORS = 4
    FAILED = 5
    PING = 6
    PONG = 7
    CANCEL = 8
    STOP = 9
    TRACE = 10
    SPANS = 11


class BadFrame(ValueError):
    """The other side said something that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message.

    Attributes:
        number: of the batch it is about; 0 for what is about none.
    """

    kind: Kind
    number: int = 0
    body: bytes = b""


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame."""
    return HEADER.pack(len(frame.body), frame.kind, frame.number) + frame.body


def header(data: bytes) -> tuple[int, Kind, int]:
    """Return length of the body, kind and number.

    Raises:
        BadFrame: the kind is unknown or the body too long.
    """
    length, kind, number = HEADER.unpack(data)
    if length > BODY_BYTES_MAX:
        message = f"a frame of {length} bytes"
        raise BadFrame(message)
    try:
        return length, Kind(kind), number
    except ValueError as error:
        message = f"a frame of the unknown kind {kind}"
        raise BadFrame(message) from error


def facts_body(facts: dict[str, JsonValue]) -> bytes:
    """Return facts as a body."""
    return json.dumps(facts).encode()


def read_facts(body: bytes) -> dict[str, JsonValue]:
    """Return the facts of a body.

    Raises:
        BadFrame: it is not a JSON object.
    """
    try:
        found = json.loads(body)
    except ValueError as error:
        message = "a body that is not JSON"
        raise BadFrame(message) from error
    if not isinstance(found, dict):
        message = "a body that is not a JSON object"
        raise BadFrame(message)
    return found


def callers_body(callers: Sequence[str]) -> bytes:
    """Return the ``traceparent`` headers of a batch as a body."""
    told: list[JsonValue] = list(callers)
    return facts_body({"callers": told})


def read_callers(body: bytes) -> list[str]:
    """Return what ``callers_body`` was made of.

    Raises:
        BadFrame: it is not that.
    """
    found = read_facts(body).get("callers")
    return [str(one) for one in found] if isinstance(found, list) else []


def texts_body(texts: Sequence[str]) -> bytes:
    """Return texts as a body."""
    parts = [_COUNT.pack(len(texts))]
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        parts += (_COUNT.pack(len(data)), data)
    return b"".join(parts)


def read_texts(body: bytes) -> list[str]:
    """Return the texts of a body.

    Raises:
        BadFrame: lengths and bytes do not agree, or a text is not UTF-8.
    """
    try:
        (count,) = _COUNT.unpack_from(body)
        at = _COUNT.size
        texts = []
        for _ in range(count):
            (length,) = _COUNT.unpack_from(body, at)
            at += _COUNT.size
            data = body[at : at + length]
            if len(data) != length:
                message = "a text that ends too early"
                raise BadFrame(message)
            texts.append(data.decode("utf-8", "surrogatepass"))
            at += length
    except (struct.error, UnicodeDecodeError) as error:
        message = "texts that cannot be read"
        raise BadFrame(message) from error
    if at != len(body):
        message = "texts with something behind them"
        raise BadFrame(message)
    return texts


def vectors_body(vectors: Sequence[Vector], seconds: float) -> bytes:
    """Return vectors of one length, and the time they took, as a body."""
    matrix = np.ascontiguousarray(vectors, dtype="<f4")
    rows, columns = matrix.shape
    return _SHAPE.pack(rows, columns, seconds) + matrix.tobytes()


def read_vectors(body: bytes) -> tuple[list[Vector], float]:
    """Return read-only vectors, and the seconds that all of them took.

    Raises:
        BadFrame: the shape and the bytes do not agree.
    """
    try:
        rows, columns, seconds = _SHAPE.unpack_from(body)
        matrix = np.frombuffer(body, "<f4", offset=_SHAPE.size).reshape(rows, columns)
    except (struct.error, ValueError) as error:
        message = "vectors that cannot be read"
        raise BadFrame(message) from error
    # Rows of one buffer: each keeps the whole alive, and a batch is small.
    return [row.astype(np.float32, copy=False) for row in matrix], seconds
