"""Text models as ONNX graphs, run on the processor by ONNX Runtime.

One text a run: int8 graphs quantise activations over the whole batch, so a vector
would depend on its neighbours (cosine .989 between alone and padded). Several threads
may run one session at the same time.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors
from tokenizers import Tokenizer

from cortex.foundation.reclaim import return_freed_memory
from cortex.inference.backends.cpu import multiplies_signed_bytes_exactly
from cortex.inference.errors import EmbeddingFailed, ModelUnusable
from cortex.inference.model import mean_pooled, normalised, well_formed
from cortex.inference.ports import ModelInfo, Vector

Integers = type[np.integer[Any]]

SESSION_ERRORS: Final = (
    runtime_errors.EPFail,
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.InvalidGraph,
    runtime_errors.InvalidProtobuf,
    runtime_errors.NoModel,
    runtime_errors.NoSuchFile,
    runtime_errors.NotImplemented,
    runtime_errors.RuntimeException,
    ValueError,
)
"""What ONNX Runtime raises for a graph it cannot load or run."""

FILE_THREADS: Final = 2
"""For models that read one file at a time: its sender waits for all of it."""

_TYPES: Final[dict[str, Integers]] = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
_INPUTS: Final = frozenset({"input_ids", "attention_mask", "token_type_ids"})
_POOLED_OUTPUTS: Final = ("sentence_embedding", "embedding", "pooled")
_WARNING: Final = 3
_OWN_FILES: Final = Path("/proc/self/fd")
_RANK_OF_TOKEN_VECTORS: Final = 3


@dataclass(frozen=True, slots=True)
class Graph:
    """How to call a text model's graph.

    Attributes:
        inputs: input name to integer type.
        output: the output to read.
        pooled: whether that output is one vector a text, or one a token.
    """

    inputs: dict[str, Integers]
    output: str
    pooled: bool


def open_session(model: bytes | Path, threads: int = 1) -> ort.InferenceSession:
    """Return a session over the graph in memory or in a file.

    Args:
        model: the graph, or where it lies.
        threads: how many may work on one operator.

    Raises:
        ModelUnusable: it is not a graph that this runtime can run.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _WARNING
    # The arena keeps the largest run's memory for good and saves no time here.
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not multiplies_signed_bytes_exactly():
        options.add_session_config_entry("session.x64quantprecision", "1")
    providers = ["CPUExecutionProvider"]
    try:
        with _source(model) as source:
            session = ort.InferenceSession(source, options, providers=providers)
    except SESSION_ERRORS as error:
        message = f"ONNX Runtime cannot load this model: {error}"
        raise ModelUnusable(message, hint="Export the model to ONNX again.") from error
    return_freed_memory()
    return session


@contextmanager
def _source(model: bytes | Path) -> Iterator[str | bytes]:
    """Lend what ONNX Runtime opens.

    It keeps a second copy of a graph that it is given as bytes; a file in memory that
    nobody else can reach saves that (22 MB of the bundled model).
    """
    if isinstance(model, Path):
        yield str(model)
    elif hasattr(os, "memfd_create") and _OWN_FILES.is_dir():
        with os.fdopen(os.memfd_create("model"), "wb") as file:
            file.write(model)
            file.flush()
            yield str(_OWN_FILES / str(file.fileno()))
    else:
        yield model


def open_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer in a ``tokenizer.json``, with its own limits as they are.

    Raises:
        ModelUnusable: the file is missing or is not a tokenizer.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read the tokenizer {path.name}: {error}"
        raise ModelUnusable(message, hint="Put it beside the model.") from error
    return parse_tokenizer(text)


def parse_tokenizer(text: str) -> Tokenizer:
    """Return the tokenizer that the JSON text describes.

    Raises:
        ModelUnusable: it is not a tokenizer.
    """
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the binding raises nothing narrower
        message = f"tokenizer.json does not describe a tokenizer: {error}"
        raise ModelUnusable(message, hint="Export the tokenizer again.") from error


def describe_graph(session: ort.InferenceSession) -> Graph:
    """Return how to call the graph.

    Raises:
        ModelUnusable: it wants an input that is not made of token ids.
    """
    inputs: dict[str, Integers] = {}
    for node in session.get_inputs():
        if node.name not in _INPUTS or node.type not in _TYPES:
            message = f"the model wants the input {node.name} of type {node.type}"
            hint = f"It may want {', '.join(sorted(_INPUTS))} as int32 or int64."
            raise ModelUnusable(message, hint=hint)
        inputs[node.name] = _TYPES[node.type]
    if "input_ids" not in inputs:
        message = "the model has no input named input_ids"
        raise ModelUnusable(message, hint="Export it for feature extraction.")
    outputs = {node.name: node for node in session.get_outputs()}
    named = [name for name in _POOLED_OUTPUTS if name in outputs]
    output = named[0] if named else next(iter(outputs))
    rank = len(outputs[output].shape or ())
    return Graph(inputs, output, pooled=rank != _RANK_OF_TOKEN_VECTORS)


class OnnxText:
    """A text model in one session."""

    def __init__(
        self, info: ModelInfo, session: ort.InferenceSession, tokenizer: Tokenizer
    ) -> None:
        """Take the parts; the tokenizer must not be used by anyone else."""
        # Truncation is done below, so that count_tokens sees the whole text.
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._info = info
        self._session = session
        self._tokenizer = tokenizer
        self._graph = describe_graph(session)
        self._specials = tokenizer.num_special_tokens_to_add(is_pair=False)

    @property
    def info(self) -> ModelInfo:
        """Return what this model is."""
        return self._info

    def count_tokens(self, text: str) -> int:
        """Return the tokens of the whole text, special ones included."""
        encoding = self._tokenizer.encode(well_formed(text), add_special_tokens=False)
        return len(encoding.ids) + self._specials

    def embed(self, text: str) -> Vector:
        """Return the vector of the first ``info.max_tokens`` tokens, at length 1.

        Raises:
            EmbeddingFailed: the runtime could not run the graph on this text.
        """
        try:
            return normalised(self.pooled(text))
        except ValueError as error:
            raise self._failed(error) from error

    def pooled(self, text: str) -> Vector:
        """Return the vector of the text before it is brought to length 1.

        Raises:
            EmbeddingFailed: the runtime could not run the graph on this text.
        """
        encoding = self._tokenizer.encode(well_formed(text), add_special_tokens=False)
        encoding.truncate(self._info.max_tokens - self._specials)
        ids = self._tokenizer.post_process(encoding).ids
        ones = np.ones((1, len(ids)), np.int64)
        values = {
            "input_ids": np.array([ids], np.int64),
            "attention_mask": ones,
            "token_type_ids": np.zeros_like(ones),
        }
        feed = {
            name: values[name].astype(kind, copy=False)
            for name, kind in self._graph.inputs.items()
        }
        try:
            found: Vector = self._session.run([self._graph.output], feed)[0][0]
        except SESSION_ERRORS as error:
            raise self._failed(error) from error
        return found if self._graph.pooled else mean_pooled(found, ones[0])

    def _failed(self, error: Exception) -> EmbeddingFailed:
        message = f"{self._info.name} could not embed a text: {error}"
        return EmbeddingFailed(message, model=self._info.name)

    def close(self) -> None:
        """Do nothing: the session's memory goes with this object."""
