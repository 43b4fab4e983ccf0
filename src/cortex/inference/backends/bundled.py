"""The model that comes with Cortex: all-MiniLM-L6-v2, fused, int8, 384 dimensions.

Its files are package data with a manifest of hashes. The bytes that are hashed are
the bytes that are run; nothing is downloaded.
"""

from functools import partial
from pathlib import Path

from cortex.inference.backends.onnx import OnnxText, open_session, parse_tokenizer
from cortex.inference.packaged import bundled_folder, read_manifest, read_verified


def open_bundled(folder: Path | None = None) -> OnnxText:
    """Return the bundled model, ready to run, in about 0.1 s.

    Raises:
        ModelUnusable: a file is missing, altered or does not load.
    """
    folder = folder or bundled_folder()
    manifest = read_manifest(folder)
    verified = partial(read_verified, folder, manifest)
    tokenizer = parse_tokenizer(verified("tokenizer.json").decode())
    return OnnxText(manifest.info, open_session(verified("model.onnx")), tokenizer)
