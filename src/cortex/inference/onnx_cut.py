"""Cuts an ONNX graph off after one of its inner values; pure.

A model file is a protocol buffer. The few fields that matter are read as they lie in
the bytes (https://protobuf.dev/programming-guides/encoding/): nodes that the wanted
value does not need are left out, the value becomes the graph's only output, and the
weights stay the bytes they were. Field numbers are those of ``onnx.proto``.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_FIXED32: Final = 5

_MODEL_GRAPH: Final = 7
_GRAPH_NODE: Final = 1
_GRAPH_WEIGHT: Final = 5
_GRAPH_INPUT: Final = 11
_GRAPH_OUTPUT: Final = 12
_GRAPH_VALUE_INFO: Final = 13
_NODE_INPUT: Final = 1
_NODE_OUTPUT: Final = 2
_WEIGHT_NAME: Final = 8
_VALUE_NAME: Final = 1
_VALUE_TYPE: Final = 2
_FLOAT_TENSOR: Final = b"\x0a\x0a\x08\x01\x12\x06\x0a\x00\x0a\x00\x0a\x00"
"""TypeProto of 32-bit floats by text, token and dimension, of any numbers."""


class NotCuttable(ValueError):
    """The bytes are no ONNX model, or it has no such value."""


class _Field(NamedTuple):
    number: int
    value: bytes
    whole: bytes


def cut_after(model: bytes, value: str) -> bytes:
    """Return the model whose only output is ``value``.

    Raises:
        NotCuttable: the bytes are no model, or no node makes the value.
    """
    try:
        fields = list(_fields(model))
        graph = next(f.value for f in fields if f.number == _MODEL_GRAPH)
        parts = list(_fields(graph))
        nodes, needed = _needed(parts, value)
        kept = [f.whole for f in parts if _stays(f, needed)]
    except (IndexError, StopIteration, UnicodeDecodeError) as error:
        message = "these bytes are not an ONNX model"
        raise NotCuttable(message) from error
    if not nodes:
        message = f"the graph makes no value called {value!r}"
        raise NotCuttable(message)
    info = _sized(_VALUE_NAME, value.encode()) + _sized(_VALUE_TYPE, _FLOAT_TENSOR)
    smaller = b"".join([*nodes, *kept, _sized(_GRAPH_OUTPUT, info)])
    rest = b"".join(f.whole for f in fields if f.number != _MODEL_GRAPH)
    return rest + _sized(_MODEL_GRAPH, smaller)


def _needed(parts: list[_Field], value: str) -> tuple[list[bytes], set[str]]:
    """Return the nodes that make the value, and the names they read."""
    wanted, nodes = {value}, []
    for part in reversed(parts):
        if part.number != _GRAPH_NODE:
            continue
        ends = list(_fields(part.value))
        made = {f.value.decode() for f in ends if f.number == _NODE_OUTPUT}
        if wanted & (made - {""}):
            nodes.append(part.whole)
            wanted |= {f.value.decode() for f in ends if f.number == _NODE_INPUT}
    nodes.reverse()
    return nodes, wanted


def _stays(part: _Field, needed: set[str]) -> bool:
    """Return whether a field of the graph other than a node is kept."""
    if part.number in {_GRAPH_NODE, _GRAPH_OUTPUT, _GRAPH_VALUE_INFO}:
        return False
    if part.number not in {_GRAPH_WEIGHT, _GRAPH_INPUT}:
        return True
    number = _WEIGHT_NAME if part.number == _GRAPH_WEIGHT else _VALUE_NAME
    name = next(f.value for f in _fields(part.value) if f.number == number)
    return name.decode() in needed


def _fields(data: bytes) -> Iterator[_Field]:
    at = 0
    while at < len(data):
        begin = at
        key, at = _varint(data, at)
        kind, value = key & 7, b""
        if kind == _VARINT:
            _, at = _varint(data, at)
        elif kind == _BYTES:
            length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        elif kind in {_FIXED32, _FIXED64}:
            at += 4 if kind == _FIXED32 else 8
        else:
            raise IndexError
        if at > len(data):
            raise IndexError
        yield _Field(key >> 3, value, data[begin:at])


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return number, at


def _sized(number: int, value: bytes) -> bytes:
    return _varint_bytes(number << 3 | _BYTES) + _varint_bytes(len(value)) + value


def _varint_bytes(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
