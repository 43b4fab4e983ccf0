"""A process that searches by USearch can still load models, in either order."""

import subprocess
import sys

import pytest
from onnx import TensorProto, helper

INDEX = "import cortex.memory.usearch_vectors"
RUNTIME = "import onnxruntime"


@pytest.fixture
def model(tmp_path):
    shape = [1]
    given = helper.make_tensor_value_info("given", TensorProto.FLOAT, shape)
    made = helper.make_tensor_value_info("made", TensorProto.FLOAT, shape)
    node = helper.make_node("Abs", ["given"], ["made"])
    graph = helper.make_graph([node], "smallest", [given], [made])
    whole = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    path = tmp_path / "smallest.onnx"
    path.write_bytes(whole.SerializeToString())
    return path


@pytest.mark.parametrize("imports", [(INDEX, RUNTIME), (RUNTIME, INDEX)])
def test_a_model_loads_whichever_came_first(model, imports):
    load = f"onnxruntime.InferenceSession({str(model)!r})"
    script = "; ".join((*imports, load))
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 0
