"""Fit the map that lets half of the bundled model answer queries.

Usage: python tools/fit_early_exit.py TEXTS [--into FOLDER]
(TEXTS: a file with one plain sentence a line; exit status 1 when it is too short)

The mean of the token vectors behind the first layers is carried by one linear map to
where the whole model puts the same text: ridge regression, in closed form. The shipped
map was fitted to 30 000 sentences, half from docstrings of Python's standard library
and half from descriptions of Debian packages, drawn by a seed. Other texts give other
numbers: the map's hash is in the manifest, and the benchmark shows what it costs.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

import numpy as np

from cortex.foundation.canonical import sha256_hex
from cortex.inference.backends.bundled import open_bundled
from cortex.inference.backends.early import MAP_FILE, VALUE, early_info
from cortex.inference.backends.onnx import OnnxText, open_session, parse_tokenizer
from cortex.inference.onnx_cut import cut_after
from cortex.inference.packaged import bundled_folder, read_manifest, read_verified

RIDGE: Final = 3.0
"""Weight of the squared map beside the squared errors: hardly any, with many texts."""

TEXTS_MIN: Final = 5_000
"""Fewer would let the 385 rows follow their noise."""


def fitted(means: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """Return the map: one row a dimension, and one for the constant."""
    rows = np.hstack([means, np.ones((len(means), 1), np.float32)])
    square = rows.T @ rows + RIDGE * np.eye(rows.shape[1], dtype=np.float32)
    return np.linalg.solve(square, rows.T @ wholes).astype(np.float16)


def main(arguments: list[str]) -> int:
    """Fit and write; return the exit status."""
    parser = argparse.ArgumentParser(description="Fit the map of the early exit.")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--into", type=Path, default=bundled_folder())
    options = parser.parse_args(arguments)
    texts = options.texts.read_text(encoding="utf-8").splitlines()
    if len(texts) < TEXTS_MIN:
        print(f"{len(texts)} texts are too few; {TEXTS_MIN} are needed")
        return 1
    folder = bundled_folder()
    manifest = read_manifest(folder)
    graph = cut_after(read_verified(folder, manifest, "model.onnx"), VALUE)
    tokenizer = parse_tokenizer(
        read_verified(folder, manifest, "tokenizer.json").decode()
    )
    layers = OnnxText(early_info(manifest.info), open_session(graph), tokenizer)
    whole = open_bundled()
    means = np.array([layers.pooled(text) for text in texts])
    wholes = np.array([whole.embed(text) for text in texts])
    matrix = fitted(means, wholes)
    np.save(options.into / MAP_FILE, matrix)
    digest = sha256_hex((options.into / MAP_FILE).read_bytes())
    print(f"wrote {MAP_FILE}; put its SHA-256 into the manifest: {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
