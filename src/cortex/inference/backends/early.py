"""The first layers of the bundled model, for queries while power is saved.

The graph that is shipped is cut off after some of its layers; a linear map, fitted
once to the whole model's answers (`tools/fit_early_exit.py`), carries the mean of the
token vectors over to where the whole model would have put the text. What comes out is
near that place, not on it: good enough to search with, never stored.
"""

from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from tokenizers import Tokenizer

from cortex.inference.backends.onnx import OnnxText, open_session, parse_tokenizer
from cortex.inference.errors import ModelUnusable
from cortex.inference.model import normalised
from cortex.inference.onnx_cut import NotCuttable, cut_after
from cortex.inference.packaged import bundled_folder, read_manifest, read_verified
from cortex.inference.ports import ModelInfo, TextBackend, Vector
from cortex.inference.registry import ModelEntry

MAP_FILE: Final = "early-exit.npy"
"""Float16 matrix: one row a dimension and one for the constant, by dimensions."""

LAYER: Final = 3
"""Layers that are run, of six."""

VALUE: Final = f"x{LAYER - 1}"
"""What the graph calls the token vectors behind them."""

MEMORY_BYTES: Final = 40 * 1024**2
"""Resident cost: the word table and half of the layers."""


def early_info(whole: ModelInfo) -> ModelInfo:
    """Return what the cut model is, from what the whole one is."""
    name = f"{whole.name}-early{LAYER}"
    return replace(whole, name=name, memory_bytes=MEMORY_BYTES)


def entry(folder: Path | None = None) -> ModelEntry[TextBackend]:
    """Return the entry of the cut model; nothing is loaded yet.

    Raises:
        ModelUnusable: the manifest of the bundled model cannot be read.
    """
    manifest = read_manifest(folder or bundled_folder())
    return ModelEntry(early_info(manifest.info), partial(open_early, folder))


class EarlyExitText:
    """Layers and map behind the text backend's port."""

    def __init__(self, info: ModelInfo, layers: OnnxText, matrix: Vector) -> None:
        """Take the parts."""
        self._info = info
        self._layers = layers
        self._matrix = matrix

    @property
    def info(self) -> ModelInfo:
        """Return what this model is; its space is the whole model's."""
        return self._info

    def count_tokens(self, text: str) -> int:
        """Return how many of the model's own tokens the text has."""
        return self._layers.count_tokens(text)

    def embed(self, text: str) -> Vector:
        """Return a vector near the one of the whole model."""
        mean = self._layers.pooled(text)
        return normalised(mean @ self._matrix[:-1] + self._matrix[-1])

    def close(self) -> None:
        """Do nothing: the session's memory goes with this object."""


def open_early(folder: Path | None = None) -> EarlyExitText:
    """Return the cut model, ready to run.

    Raises:
        ModelUnusable: a file is missing, altered or does not load.
    """
    folder = folder or bundled_folder()
    manifest = read_manifest(folder)
    verified = partial(read_verified, folder, manifest)
    tokenizer: Tokenizer = parse_tokenizer(verified("tokenizer.json").decode())
    try:
        graph = cut_after(verified("model.onnx"), VALUE)
        matrix = np.load(BytesIO(verified(MAP_FILE)), allow_pickle=False)
    except ValueError as error:
        reason = "cannot be cut" if isinstance(error, NotCuttable) else "has no map"
        message = f"the bundled model {reason}: {error}"
        raise ModelUnusable(message) from error
    info = early_info(manifest.info)
    layers = OnnxText(info, open_session(graph), tokenizer)
    return EarlyExitText(info, layers, matrix.astype(np.float32))
