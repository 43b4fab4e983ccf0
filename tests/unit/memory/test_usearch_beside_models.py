"""A process that searches by USearch can still load models, in either order."""

import subprocess
import sys
from pathlib import Path

import pytest

import cortex.inference

INDEX = "import cortex.memory.usearch_vectors"
RUNTIME = "import onnxruntime"
MODEL = Path(cortex.inference.__file__).parent / "models/minilm-l6-v2/model.onnx"


@pytest.mark.parametrize("imports", [(INDEX, RUNTIME), (RUNTIME, INDEX)])
def test_a_model_loads_whichever_came_first(imports):
    load = f"onnxruntime.InferenceSession({str(MODEL)!r})"
    script = "; ".join((*imports, load))
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 0
