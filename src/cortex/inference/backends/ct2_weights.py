"""Reads the weights of a model in CTranslate2's format, without CTranslate2.

Binary version 6 (https://github.com/OpenNMT/CTranslate2, ``model_spec.py``): names,
shapes and raw numbers one behind the other, and nothing that could run.
"""

import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cortex.inference.errors import ModelUnusable

BINARY_VERSION: Final = 6
"""The layout that is read here."""

_TYPES: Final = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2"}

Weights = Mapping[str, NDArray[np.number[Any]]]


def read_ct2(data: bytes) -> Weights:
    """Return the weights by name, as views of the data.

    Raises:
        ModelUnusable: the file is not in this format, or ends too early.
    """
    try:
        return _Reader(data).weights()
    except (struct.error, ValueError, KeyError, UnicodeDecodeError) as error:
        message = f"the weights are not in CTranslate2's format: {error}"
        raise ModelUnusable(message, hint="Install the model again.") from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0

    def weights(self) -> Weights:
        (version,) = self._take("I")
        if version != BINARY_VERSION:
            message = f"binary version {version}"
            raise ValueError(message)
        self._text()
        _, count = self._take("II")
        return dict(self._weight() for _ in range(count))

    def _weight(self) -> tuple[str, NDArray[np.number[Any]]]:
        name = self._text()
        (rank,) = self._take("B")
        shape = self._take(f"{rank}I")
        kind, size = self._take("BI")
        raw = self._data[self._at : self._at + size]
        self._at += size
        return name, np.frombuffer(raw, _TYPES[kind]).reshape(shape)

    def _text(self) -> str:
        (size,) = self._take("H")
        start, self._at = self._at, self._at + size
        return bytes(self._data[start : self._at]).rstrip(b"\0").decode()

    def _take(self, layout: str) -> tuple[int, ...]:
        found = struct.unpack_from(f"<{layout}", self._data, self._at)
        self._at += struct.calcsize(f"<{layout}")
        return found
