"""Write the tiny graphs beside this file; needs the dependency group model-build.

In each of them the vector of a token is (its id, 1).
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INT32, INT64, FLOAT = TensorProto.INT32, TensorProto.INT64, TensorProto.FLOAT
NAMES = ("input_ids", "attention_mask", "token_type_ids")
GRAPHS = {
    "token_vectors_int64": (dict.fromkeys(NAMES, INT64), "tokens"),
    "token_vectors_int32": (dict.fromkeys(NAMES, INT32), "tokens"),
    "pooled": ({"input_ids": INT64}, "pooled"),
    "wants_pixels": ({"pixel_values": INT64}, "tokens"),
    "wants_floats": ({"input_ids": FLOAT}, "tokens"),
}


def graph(inputs: dict[str, int], output: str) -> onnx.ModelProto:
    """Return one graph."""
    first = next(iter(inputs))
    nodes = [
        helper.make_node("Cast", [first], ["f"], to=FLOAT),
        helper.make_node("Unsqueeze", ["f", "axis"], ["column"]),
        helper.make_node("Sub", ["column", "column"], ["zeros"]),
        helper.make_node("Add", ["zeros", "one"], ["ones"]),
        helper.make_node("Concat", ["column", "ones"], ["tokens"], axis=2),
        helper.make_node("ReduceMax", ["tokens"], ["pooled"], axes=[1], keepdims=0),
    ]
    constants = [
        helper.make_tensor("axis", INT64, [1], [2]),
        helper.make_tensor("one", FLOAT, [1], [1.0]),
    ]
    shape = ["batch", "tokens", 2] if output == "tokens" else ["batch", 2]
    result = helper.make_tensor_value_info(output, FLOAT, shape)
    given = [
        helper.make_tensor_value_info(name, kind, ["batch", "tokens"])
        for name, kind in inputs.items()
    ]
    whole = helper.make_graph(nodes, "tiny", given, [result], constants)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(whole, opset_imports=opset, ir_version=9)


def table_of(rows: int) -> onnx.ModelProto:
    """Return a graph that fails on a token id that is not below ``rows``."""
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["tokens"])]
    table = numpy_helper.from_array(np.ones((rows, 2), np.float32), "table")
    given = helper.make_tensor_value_info("input_ids", INT64, ["batch", "tokens"])
    result = helper.make_tensor_value_info("tokens", FLOAT, ["batch", "tokens", 2])
    whole = helper.make_graph(nodes, "tiny", [given], [result], [table])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(whole, opset_imports=opset, ir_version=9)


if __name__ == "__main__":
    for rows in (100, 2000):
        path = Path(__file__).with_name(f"table_of_{rows}.onnx")
        onnx.save(table_of(rows), str(path))
    for name, (inputs, output) in GRAPHS.items():
        path = Path(__file__).with_name(f"{name}.onnx")
        onnx.save(graph(inputs, output), str(path))
