"""Writes an ONNX graph byte for byte, without the onnx package.

The format is protocol buffers (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto);
what a small network needs of it is a page. The bytes are a function of
the calls: the same weights give the same file on every machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Attribute = int | float | str | Sequence[int]

_FLOAT: Final = 1
_TYPES: Final = {
    "float32": (_FLOAT, "<f4"),
    "uint8": (2, "u1"),
    "int8": (3, "i1"),
    "int64": (7, "<i8"),
}
_ATTRIBUTE_FLOAT: Final = 1
_ATTRIBUTE_INT: Final = 2
_ATTRIBUTE_STRING: Final = 3
_ATTRIBUTE_INTS: Final = 7
_BYTES_FIELD: Final = 2
_FLOAT_FIELD: Final = 5
_UINT64_MAX: Final = 2**64 - 1


def _varint(value: int) -> bytes:
    value &= _UINT64_MAX  # as the format writes negative numbers
    out = bytearray()
    while value >> 7:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field_number: int, value: int) -> bytes:
    return _varint(field_number << 3) + _varint(value)


def _bytes(field_number: int, value: bytes) -> bytes:
    return _varint(field_number << 3 | _BYTES_FIELD) + _varint(len(value)) + value


def _text(field_number: int, value: str) -> bytes:
    return _bytes(field_number, value.encode())


def _attribute(name: str, value: Attribute) -> bytes:
    out = _text(1, name)
    if isinstance(value, float):
        raw = np.float32(value).tobytes()
        return (
            out + _varint(2 << 3 | _FLOAT_FIELD) + raw + _number(20, _ATTRIBUTE_FLOAT)
        )
    if isinstance(value, int):
        return out + _number(3, value) + _number(20, _ATTRIBUTE_INT)
    if isinstance(value, str):
        return out + _text(4, value) + _number(20, _ATTRIBUTE_STRING)
    numbers = b"".join(_number(8, n) for n in value)
    return out + numbers + _number(20, _ATTRIBUTE_INTS)


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    dims = b"".join(
        _bytes(1, _number(1, n) if isinstance(n, int) else _text(2, n)) for n in shape
    )
    tensor = _number(1, _FLOAT) + _bytes(2, dims)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


@dataclass(slots=True)
class GraphWriter:
    """Collects nodes and weights in order."""

    name: str
    _nodes: list[bytes] = field(default_factory=list)
    _weights: list[bytes] = field(default_factory=list)
    _domains: set[str] = field(default_factory=set)

    def weight(self, name: str, value: NDArray[np.number[Any]]) -> str:
        """Add a weight of a type of ``_TYPES`` and return its name."""
        kind, little = _TYPES[value.dtype.name]
        dims = b"".join(_number(1, n) for n in value.shape)
        raw = np.ascontiguousarray(value, little).tobytes()
        self._weights.append(dims + _number(2, kind) + _text(8, name) + _bytes(9, raw))
        return name

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        output: str,
        attributes: Mapping[str, Attribute] | None = None,
        domain: str = "",
    ) -> str:
        """Add an operator, of the standard set by default; return its output's name."""
        self.nodes(operator, inputs, (output,), attributes, domain)
        return output

    def nodes(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: Mapping[str, Attribute] | None = None,
        domain: str = "",
    ) -> None:
        """Add an operator with several outputs."""
        out = b"".join(_text(1, name) for name in inputs)
        out += b"".join(_text(2, name) for name in outputs)
        out += _text(3, outputs[0]) + _text(4, operator)
        for name, value in (attributes or {}).items():
            out += _bytes(5, _attribute(name, value))
        if domain:
            self._domains.add(domain)
            out += _text(7, domain)
        self._nodes.append(out)

    def model(
        self,
        given: Mapping[str, Sequence[int | str]],
        made: Mapping[str, Sequence[int | str]],
        *,
        opset: int,
        ir_version: int,
    ) -> bytes:
        """Return the model with its inputs and outputs, all of them floats."""
        graph = b"".join(_bytes(1, node) for node in self._nodes)
        graph += _text(2, self.name)
        graph += b"".join(_bytes(5, weight) for weight in self._weights)
        graph += b"".join(_bytes(11, _value(*item)) for item in given.items())
        graph += b"".join(_bytes(12, _value(*item)) for item in made.items())
        model = _number(1, ir_version) + _bytes(7, graph)
        versions = {"": opset, **dict.fromkeys(sorted(self._domains), 1)}
        for name, version in versions.items():
            model += _bytes(8, _text(1, name) + _number(2, version))
        return model
