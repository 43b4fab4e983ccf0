"""A text model of the user's own: a folder with ``model.onnx`` and ``tokenizer.json``.

That is what ``optimum-cli export onnx --task feature-extraction`` writes.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Final

from cortex.foundation.canonical import sha256_hex
from cortex.inference.backends.onnx import (
    OnnxText,
    describe_graph,
    open_session,
    open_tokenizer,
)
from cortex.inference.errors import EmbeddingFailed, ModelUnusable
from cortex.inference.model import combined_hash, space_id
from cortex.inference.ports import ModelInfo

MAX_TOKENS_DEFAULT: Final = 256
"""Tokens read when neither the caller nor ``tokenizer.json`` names a limit."""

MODEL_FILE: Final = "model.onnx"
TOKENIZER_FILE: Final = "tokenizer.json"
_WEIGHT_FILES: Final = ("model.onnx_data", "model.onnx.data")
_PROBE: Final = "a"


def open_user_onnx(folder: Path, max_tokens: int | None = None) -> OnnxText:
    """Return the model in a folder, tried once.

    Args:
        folder: holds the graph, the tokenizer, and the weights if they are apart.
        max_tokens: longest input in tokens; more is cut. None takes the limit that
            ``tokenizer.json`` names.

    Raises:
        ModelUnusable: a file is missing, or the graph is not a text embedder.
    """
    digest = _weights_hash(folder)
    tokenizer = open_tokenizer(folder / TOKENIZER_FILE)
    own_limit = (tokenizer.truncation or {}).get("max_length", MAX_TOKENS_DEFAULT)
    session = open_session(folder / MODEL_FILE)
    name = folder.resolve().name
    info = ModelInfo(
        name=name,
        revision=digest[:12],
        sha256=digest,
        license="LicenseRef-user",
        dimensions=0,
        max_tokens=max_tokens or own_limit,
        space="",
        source=str(folder),
        runtime="onnx",
    )
    try:
        dimensions = len(OnnxText(info, session, tokenizer).embed(_PROBE))
    except EmbeddingFailed as error:
        hint = "Export the model for feature extraction."
        raise ModelUnusable(error.message, hint=hint) from error
    decided_by = combined_hash(
        weights=digest,
        tokenizer=sha256_hex((folder / TOKENIZER_FILE).read_bytes()),
        pooling="graph" if describe_graph(session).pooled else "mean",
        dimensions=dimensions,
    )
    known = replace(info, dimensions=dimensions, space=space_id(name, decided_by))
    return OnnxText(known, session, tokenizer)


def _weights_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    parts = [MODEL_FILE, *(n for n in _WEIGHT_FILES if (folder / n).exists())]
    for part in parts:
        try:
            with (folder / part).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            message = f"cannot read {part} in {folder}: {error.strerror}"
            hint = f"The folder must hold {MODEL_FILE} and {TOKENIZER_FILE}."
            raise ModelUnusable(message, hint=hint) from error
    return digest.hexdigest()
