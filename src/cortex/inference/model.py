"""Rules about models and vectors that do no input or output.

A *space* is the set of vectors that may be compared with one another. Its id is made
of whatever decides where a text lands: the weights, how token vectors are pooled, and
the number of dimensions. Two installations with the same id can exchange vectors.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from cortex.foundation.canonical import canonical_json, sha256_hex
from cortex.foundation.errors import ValidationError
from cortex.inference.ports import ModelInfo, Vector

T = TypeVar("T")

SPACE_HASH_DIGITS: Final = 8
"""Hexadecimal digits of the hash in a space id: enough to tell models apart."""

LENGTH_SQUARED_MIN: Final = 1e-24
"""Below this a vector has no direction worth keeping (length 1e-12, as in PyTorch)."""


def space_id(name: str, sha256: str) -> str:
    """Return the id of the space that weights with this hash span.

    The hash covers pooling and dimensions when they are part of the graph; when they
    are not, pass the hash of all three (`combined_hash`).
    """
    return f"{name}:{sha256[:SPACE_HASH_DIGITS]}"


def combined_hash(**facts: object) -> str:
    """Return one SHA-256 for all that decides a space; facts are JSON values."""
    return sha256_hex(canonical_json(facts))


def well_formed(text: str) -> str:
    """Return ``text`` with lone surrogates replaced by U+FFFD.

    Python strings can hold halves of a UTF-16 pair, which no tokenizer accepts.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def normalised(vector: Vector) -> Vector:
    """Return the vector at length 1, contiguous, as float32.

    Raises:
        ValueError: it is zero, or holds NaN or infinity.
    """
    flat = np.ascontiguousarray(vector, dtype=np.float32)
    squared = float(np.dot(flat, flat))
    if not np.isfinite(squared) or squared < LENGTH_SQUARED_MIN:
        message = "the model answered with a vector that has no direction"
        raise ValueError(message)
    return flat / np.float32(np.sqrt(squared))


def mean_pooled(token_vectors: Vector, attention: np.ndarray) -> Vector:
    """Return the mean of the attended token vectors, shape (tokens, dimensions)."""
    weights = attention.astype(np.float32)
    total: Vector = weights @ token_vectors
    return total / np.float32(max(float(weights.sum()), 1.0))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundled model's ``manifest.json`` says.

    Attributes:
        info: the model as the registry knows it.
        files: file name to SHA-256, for each file that decides the vectors.
    """

    info: ModelInfo
    files: dict[str, str]


def parse_manifest(value: object) -> Manifest:
    """Return the manifest in a parsed JSON value.

    Raises:
        ValidationError: a field is missing or of the wrong type.
    """
    if not isinstance(value, dict):
        message = "a model manifest must be a JSON object"
        raise ValidationError(message, field="manifest")
    files = value.get("files")
    if not isinstance(files, dict) or not all(
        isinstance(name, str) and isinstance(digest, str)
        for name, digest in files.items()
    ):
        message = "a model manifest must map file names to SHA-256 under 'files'"
        raise ValidationError(message, field="files")
    texts = {
        field: _typed(value, field, str)
        for field in ("name", "revision", "sha256", "license", "space", "source")
    }
    numbers = {
        field: _typed(value, field, int)
        for field in ("dimensions", "max_tokens", "memory_bytes")
    }
    info = ModelInfo(
        name=texts["name"],
        revision=texts["revision"],
        sha256=texts["sha256"],
        license=texts["license"],
        dimensions=numbers["dimensions"],
        max_tokens=numbers["max_tokens"],
        space=texts["space"],
        source=texts["source"],
        runtime="onnx",
        memory_bytes=numbers["memory_bytes"],
    )
    return Manifest(info, dict(files))


def _typed(value: dict[str, object], field: str, kind: type[T]) -> T:
    found = value.get(field)
    if not isinstance(found, kind):
        message = f"a model manifest needs '{field}' as {kind.__name__}"
        raise ValidationError(message, field=field)
    return found
