"""No library that Cortex runs reports to its maker."""

import os
import subprocess
import sys
from pathlib import Path


def test_the_model_runtime_leaves_no_telemetry_session(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environ = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-m", "cortex", "doctor", "--json"],
        env={
            **environ,
            "TMPDIR": str(temporary),
            "CORTEX_HOME": str(tmp_path / "home"),
        },
        capture_output=True,
        check=False,
    )
    assert b"384 dimensions" in done.stdout, done.stderr
    assert list(temporary.iterdir()) == []
