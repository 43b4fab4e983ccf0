"""Reads the weights in a file that PyTorch wrote, without PyTorch and without trust.

Such a file is a row of pickles: a magic number, a version, a description of the
machine, the tensors' shapes, and the names of the storages whose raw bytes follow.
A pickle may name any function to be called, so this reader knows four names and
refuses the rest (https://docs.python.org/3/library/pickle.html#restricting-globals).
"""

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cortex.inference.errors import ModelUnusable

Weights = Mapping[str, NDArray[np.float32]]

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_VERSION: Final = 1001
_LENGTH_BYTES: Final = 8
_TYPES: Final[dict[str, np.dtype[Any]]] = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}
_HINT: Final = "Install the package with the weights again."


@dataclass(frozen=True, slots=True)
class _Storage:
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class _View:
    """A tensor: a window on a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Kind(str):
    """The name of a storage's type: a value, nothing that can be called."""

    __slots__ = ()


def _view(
    storage: _Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_rest: object,
) -> _View:
    return _View(storage, offset, shape, strides)


class _Reader(pickle.Unpickler):
    """Makes tensors' descriptions, and nothing else."""

    def find_class(self, module: str, name: str) -> object:
        """Return one of the four known names.

        Raises:
            UnpicklingError: any other.
        """
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _view
        if module == "torch" and name in _TYPES:
            return _Kind(name)
        message = f"the file asks for {module}.{name}"
        raise pickle.UnpicklingError(message)

    def persistent_load(self, pid: object) -> _Storage:
        """Return the storage that a tensor points to."""
        if not isinstance(pid, tuple) or pid[0] != "storage":
            message = "the file points outside itself"
            raise pickle.UnpicklingError(message)
        return _Storage(str(pid[2]), str(pid[1]))


def read_weights(data: bytes) -> Weights:
    """Return the 32-bit weights by name, contiguous.

    Raises:
        ModelUnusable: it is not such a file, or it asks for more than tensors.
    """
    file = io.BytesIO(data)
    try:
        head = [_Reader(file).load() for _ in range(3)]
        if head[:2] != [_MAGIC, _VERSION]:
            message = "the weights are not in the format that is read here"
            raise ModelUnusable(message, hint=_HINT)
        tensors: dict[str, _View] = _Reader(file).load()
        names: list[str] = _Reader(file).load()
        kinds = {view.storage.name: view.storage.kind for view in tensors.values()}
        storages = {name: _raw(file, kinds[name]) for name in names}
        return {
            name: _tensor(view, storages[view.storage.name])
            for name, view in tensors.items()
            if view.storage.kind == "FloatStorage"
        }
    except (pickle.UnpicklingError, EOFError, KeyError, ValueError) as error:
        message = f"the weights cannot be read: {error}"
        raise ModelUnusable(message, hint=_HINT) from error


def _raw(file: io.BytesIO, kind: str) -> NDArray[np.generic]:
    count = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    dtype = _TYPES[kind]
    data = file.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        message = "it ends too early"
        raise ValueError(message)
    raw: NDArray[np.generic] = np.frombuffer(data, dtype)
    return raw


def _tensor(view: _View, raw: NDArray[np.generic]) -> NDArray[np.float32]:
    last = sum((n - 1) * s for n, s in zip(view.shape, view.strides, strict=True))
    if min(view.offset, *view.strides, 0) < 0 or view.offset + last >= raw.size:
        message = "a tensor lies outside its storage"
        raise ValueError(message)
    strides = tuple(step * raw.itemsize for step in view.strides)
    window = np.lib.stride_tricks.as_strided(
        raw[view.offset :], view.shape, strides, writeable=False
    )
    return np.ascontiguousarray(window, np.float32)
