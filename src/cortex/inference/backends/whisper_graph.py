"""Whisper as two ONNX graphs: one hears a clip, one says the next token.

The first turns a spectrogram into the keys and values that every layer of the second
looks at. The second takes one token's vector and what was kept of the tokens before,
and returns what is to be kept, a state, and about how well each token of the vocabulary
agrees with it. The layers' weights are rounded to 8 bits; those of the vocabulary are
most of what a token reads, so they are rounded to 4 bits, which finds the few that may
be the best; exact scores of these are the caller's.

One operator multiplies many rows fastest, another one row: it reads the weights once,
in blocks of 128 that share a scale, and is exact on processors without VNNI too.
Convolutions over time are products with three frames side by side.
Architecture: Radford et al. 2022 (arXiv:2212.04356).
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cortex.inference.backends.ct2_weights import Weights
from cortex.inference.backends.mel import BANDS
from cortex.inference.backends.onnx_graph import Attribute, GraphWriter

LAYERS: Final = 4
"""Of the listening and of the telling half."""

HEADS: Final = 6
HEAD_WIDTH: Final = 64
WIDTH: Final = HEADS * HEAD_WIDTH
"""Numbers that stand for a token or a fiftieth of a second."""

VOCABULARY: Final = 51_864

HEARD: Final = tuple(f"heard.{n}.{part}" for n in range(LAYERS) for part in ("k", "v"))
"""What the first graph makes and the second looks at."""

KEPT: Final = tuple(f"kept.{n}.{part}" for n in range(LAYERS) for part in ("k", "v"))
"""What the second graph takes of the tokens before."""

KEEP: Final = tuple(f"keep.{n}.{part}" for n in range(LAYERS) for part in ("k", "v"))
"""The same with the token it was given."""

TOLD: Final = ("state", "scores", *KEEP)
"""What the second graph makes."""

_MICROSOFT: Final = "com.microsoft"
_OPSET: Final = 20
_IR_VERSION: Final = 9
_EPSILON: Final = 1e-5
_INT8_MAX: Final = 127.0
_KEYS_AND_VALUES: Final = 2
_BLOCK: Final = 128
_INT8_ZERO: Final = 128
_INT4_MIN: Final = -8
_INT4_COUNT: Final = 16
_AS_INT8: Final = 4
_QUERY_KEY_VALUE: Final = 3
_BESIDE: Final = 3
_ALL: Final = 2**63 - 1
_ROWS_AT_A_TIME: Final = 1024
# Queries are divided by the root of a head's width, here within their weights.
_QUERY_SCALE: Final = np.float32(HEAD_WIDTH**-0.5)


def shapes(names: tuple[str, ...], length: str) -> dict[str, tuple[int | str, ...]]:
    """Return the shapes of keys and values: keys lie so that they need no turning."""
    return {
        name: (HEADS, HEAD_WIDTH, length)
        if name.endswith(".k")
        else (HEADS, length, HEAD_WIDTH)
        for name in names
    }


def listening(weights: Weights) -> bytes:
    """Return the graph from ``mel`` (frames, bands) to ``HEARD``."""
    net = _Network(GraphWriter("whisper_listening"), weights)
    at = net.convolution("mel", BANDS, "encoder/conv1", stride=1)
    at = net.convolution(at, WIDTH, "encoder/conv2", stride=2)
    length = net.node("Shape", [at], "length", end=1)
    table = net.named("encoder/position_encodings/encodings")
    place = net.node("Slice", [table, net.numbers(0), length, net.numbers(0)], "place")
    at = net.node("Add", [at, place], "placed")
    for number in range(LAYERS):
        layer = f"encoder/layer_{number}"
        normal = net.normal(at, f"{layer}/self_attention/layer_norm")
        query, key, value = net.looked_at(normal, f"{layer}/self_attention", "linear_0")
        query = net.node("Transpose", [query], f"{layer}/q", perm=(1, 0, 2))
        key = net.node("Transpose", [key], f"{layer}/k", perm=(1, 2, 0))
        value = net.node("Transpose", [value], f"{layer}/v", perm=(1, 0, 2))
        seen = net.attention(query, key, value, f"{layer}/self_attention")
        seen = net.node("Transpose", [seen], f"{layer}/seen", perm=(1, 0, 2))
        at = net.added(at, seen, f"{layer}/self_attention/linear_1")
        at = net.widened(at, f"{layer}/ffn")
    at = net.normal(at, "encoder/layer_norm")
    for number in range(LAYERS):
        layer = f"decoder/layer_{number}/attention"
        key, value = net.looked_at(at, layer, "linear_1")
        net.node("Transpose", [key], f"heard.{number}.k", perm=(1, 2, 0))
        net.node("Transpose", [value], f"heard.{number}.v", perm=(1, 0, 2))
    return net.model({"mel": ("frames", BANDS)}, shapes(HEARD, "length"))


def telling(weights: Weights) -> bytes:
    """Return the graph from ``token``, ``KEPT`` and ``HEARD`` to ``TOLD``."""
    net = _OneRow(GraphWriter("whisper_telling"), weights)
    at = "token"
    for number in range(LAYERS):
        layer = f"decoder/layer_{number}"
        normal = net.normal(at, f"{layer}/self_attention/layer_norm")
        # One token: its heads need no turning, only other shapes.
        query, key, value = net.looked_at_once(normal, f"{layer}/self_attention")
        key = net.reshaped(key, (HEADS, HEAD_WIDTH, 1))
        place = f".{number}"
        key = net.node("Concat", [f"kept{place}.k", key], f"keep{place}.k", axis=2)
        value = net.node("Concat", [f"kept{place}.v", value], f"keep{place}.v", axis=1)
        seen = net.attention(query, key, value, f"{layer}/self_attention")
        at = net.added(at, seen, f"{layer}/self_attention/linear_1")
        normal = net.normal(at, f"{layer}/attention/layer_norm")
        (query,) = net.looked_at(normal, f"{layer}/attention", "linear_0")
        query = net.reshaped(query, (HEADS, 1, HEAD_WIDTH))
        heard = (f"heard{place}.k", f"heard{place}.v")
        seen = net.attention(query, *heard, f"{layer}/attention")
        at = net.added(at, seen, f"{layer}/attention/linear_2")
        at = net.widened(at, f"{layer}/ffn")
    net.normal(at, "decoder/layer_norm", "state")
    net.roughly("state", "decoder/embeddings/weight", "scores")
    given = {
        "token": (1, WIDTH),
        **shapes(KEPT, "before"),
        **shapes(HEARD, "length"),
    }
    made = {
        "state": (1, WIDTH),
        "scores": (1, VOCABULARY),
        **shapes(KEEP, "after"),
    }
    return net.model(given, made)


class _Network:
    """Writes the parts that repeat."""

    def __init__(self, graph: GraphWriter, weights: Weights) -> None:
        self._graph = graph
        self._weights = weights
        self._known: set[str] = set()
        self.weight = graph.weight
        self.nodes = graph.nodes

    def node(
        self,
        operator: str,
        inputs: list[str],
        output: str,
        **attributes: float | tuple[int, ...],
    ) -> str:
        return self._graph.node(operator, inputs, output, attributes)

    def numbers(self, *values: int) -> str:
        name = f"numbers {values}"
        if name not in self._known:
            self._known.add(name)
            self.weight(name, np.array(values, np.int64))
        return name

    def reshaped(self, source: str, shape: tuple[int, ...]) -> str:
        inputs = [source, self.numbers(*shape)]
        return self.node("Reshape", inputs, f"{source} as {shape}")

    def convolution(self, source: str, width: int, name: str, stride: int) -> str:
        """Multiply each ``stride``-th frame, with the one before and behind it."""
        silence = self.weight(f"{name} edge", np.zeros((1, width), np.float32))
        at = self.node("Concat", [silence, source, silence], f"{name} edged", axis=0)
        parts = [
            self.node(
                "Slice",
                [
                    at,
                    self.numbers(first),
                    self.numbers(first - _BESIDE + 1 or _ALL),
                    self.numbers(0),
                    self.numbers(stride),
                ],
                f"{name} {first}",
            )
            for first in range(_BESIDE)
        ]
        at = self.node("Concat", parts, f"{name} beside", axis=1)
        kernel = self._floats(f"{name}/weight").transpose(0, 2, 1)
        kernel = np.ascontiguousarray(kernel.reshape(len(kernel), -1))
        bias = self._floats(f"{name}/bias")
        # Rounded, the second loses a twentieth more of what is heard.
        multiply = self.product if stride == 1 else self.exactly
        return self.node("Gelu", [multiply(at, kernel, bias, name)], f"{name}/gelu")

    def exactly(
        self,
        source: str,
        kernel: NDArray[np.float32],
        bias: NDArray[np.float32],
        output: str,
    ) -> str:
        """Multiply by weights as they are."""
        weights = self.weight(f"{output} w", np.ascontiguousarray(kernel.T))
        at = self.node("MatMul", [source, weights], f"{output} bare")
        return self.node("Add", [at, self.weight(f"{output} bias", bias)], output)

    def normal(self, source: str, name: str, output: str = "") -> str:
        inputs = [source, self.named(f"{name}/gamma"), self.named(f"{name}/beta")]
        return self.node("LayerNormalization", inputs, output or name, epsilon=_EPSILON)

    def looked_at(self, source: str, name: str, linear: str) -> list[str]:
        """Return queries, keys and values, as many as the weights make, by head."""
        kernel = self._floats(f"{name}/{linear}/weight")
        bias = self._floats(f"{name}/{linear}/bias")
        count = len(kernel) // WIDTH
        made = []
        for number in range(count):
            rows = slice(number * WIDTH, (number + 1) * WIDTH)
            # Queries stand first, and are missing where only keys and values are.
            scale = (
                _QUERY_SCALE
                if number == 0 and count != _KEYS_AND_VALUES
                else np.float32(1)
            )
            out = f"{name}/{linear}/{number}"
            at = self.product(source, kernel[rows] * scale, bias[rows] * scale, out)
            made.append(self.reshaped(at, (-1, HEADS, HEAD_WIDTH)))
        return made

    def attention(self, query: str, key: str, value: str, name: str) -> str:
        alike = self.node("MatMul", [query, key], f"{name}/alike")
        share = self.node("Softmax", [alike], f"{name}/share", axis=-1)
        return self.node("MatMul", [share, value], f"{name}/seen")

    def added(self, to: str, seen: str, name: str) -> str:
        """Bring the heads together, and add them to what goes by."""
        seen = self.reshaped(seen, (-1, WIDTH))
        return self.node("Add", [to, self._linear(seen, name)], f"{name}/added")

    def widened(self, source: str, name: str) -> str:
        at = self._linear(self.normal(source, f"{name}/layer_norm"), f"{name}/linear_0")
        at = self.node("Gelu", [at], f"{name}/gelu")
        at = self._linear(at, f"{name}/linear_1")
        return self.node("Add", [source, at], f"{name}/added")

    def _linear(self, source: str, name: str) -> str:
        kernel, bias = (self._floats(f"{name}/{part}") for part in ("weight", "bias"))
        return self.product(source, kernel, bias, f"{name}/out")

    def product(
        self,
        source: str,
        kernel: NDArray[np.float32],
        bias: NDArray[np.float32],
        output: str,
    ) -> str:
        """Multiply by weights of 8 bits with a scale for each row of the kernel."""
        scale = (np.abs(kernel).max(1) / _INT8_MAX).astype(np.float32)
        rounded = np.rint(kernel / scale[:, None]).astype(np.int8)
        inputs = [
            source,
            self.weight(f"{output} w", np.ascontiguousarray(rounded.T)),
            self.weight(f"{output} scale", scale),
            "",
            self.weight(f"{output} bias", bias),
        ]
        operator = "DynamicQuantizeMatMul"
        return self._graph.node(operator, inputs, output, domain=_MICROSOFT)

    def model(
        self,
        given: Mapping[str, tuple[int | str, ...]],
        made: Mapping[str, tuple[int | str, ...]],
    ) -> bytes:
        return self._graph.model(given, made, opset=_OPSET, ir_version=_IR_VERSION)

    def named(self, name: str) -> str:
        return self.weight(name, self._floats(name))

    def _floats(self, name: str) -> NDArray[np.float32]:
        return self._weights[name].astype(np.float32)


class _OneRow(_Network):
    """Multiplies one row at a time."""

    def looked_at_once(self, source: str, name: str) -> list[str]:
        """Return a token's query, key and value by head, of one product."""
        kernel = self._floats(f"{name}/linear_0/weight")
        bias = self._floats(f"{name}/linear_0/bias")
        kernel[:WIDTH] *= _QUERY_SCALE
        bias[:WIDTH] *= _QUERY_SCALE
        at = self.product(source, kernel, bias, f"{name}/linear_0")
        at = self.reshaped(at, (_QUERY_KEY_VALUE * HEADS, 1, HEAD_WIDTH))
        made = [f"{name}/linear_0/{number}" for number in range(_QUERY_KEY_VALUE)]
        self.nodes("Split", [at], made, {"axis": 0, "num_outputs": _QUERY_KEY_VALUE})
        return made

    def product(
        self,
        source: str,
        kernel: NDArray[np.float32],
        bias: NDArray[np.float32],
        output: str,
    ) -> str:
        """Multiply by weights of 8 bits with a scale for each block of a row."""
        blocks = kernel.reshape(len(kernel), -1, _BLOCK)
        scale = (np.abs(blocks).max(2) / _INT8_MAX).astype(np.float32)
        rounded = np.rint(blocks / scale[..., None]) + _INT8_ZERO
        inputs = [
            source,
            self.weight(f"{output} w", rounded.astype(np.uint8)),
            self.weight(f"{output} scale", scale),
            "",
            "",
            self.weight(f"{output} bias", bias),
        ]
        return self.blocks_of(inputs, output, kernel.shape, bits=8)

    def blocks_of(
        self, inputs: list[str], output: str, shape: tuple[int, ...], bits: int
    ) -> str:
        rows, columns = shape
        size: dict[str, Attribute] = {"K": columns, "N": rows, "block_size": _BLOCK}
        how: dict[str, Attribute] = {"bits": bits, "accuracy_level": _AS_INT8}
        attributes = {**size, **how}
        return self._graph.node("MatMulNBits", inputs, output, attributes, _MICROSOFT)

    def roughly(self, source: str, name: str, output: str) -> str:
        """Multiply by weights of 4 bits with a scale for each block of a row."""
        kernel = self._weights[name]
        parts = np.array_split(kernel, len(kernel) // _ROWS_AT_A_TIME)
        fours, scales = zip(*map(_four_bits, parts), strict=True)
        inputs = [
            source,
            self.weight(f"{output} w", np.concatenate(fours)),
            self.weight(f"{output} scale", np.concatenate(scales)),
        ]
        return self.blocks_of(inputs, output, kernel.shape, bits=4)


def _four_bits(
    kernel: NDArray[np.number[Any]],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return two numbers a byte, and the scale of each block, whose largest is -8."""
    blocks = kernel.astype(np.float32).reshape(len(kernel), -1, _BLOCK)
    furthest = np.abs(blocks).argmax(2)[..., None]
    scale = np.take_along_axis(blocks, furthest, 2) / _INT4_MIN
    rounded = np.rint(blocks / scale) - _INT4_MIN
    four = np.minimum(rounded, _INT4_COUNT - 1).astype(np.uint8)
    pairs = (four[..., ::2] | four[..., 1::2] << 4).astype(np.uint8)
    return pairs, scale[..., 0].astype(np.float32)
