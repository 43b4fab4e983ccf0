"""No path of every request costs much more beside plain work than it did."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BOUNDS = ROOT / "benchmarks" / "hot_paths.toml"


def test_hot_paths_stay_within_their_bounds() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.hot_paths", "--check"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    measured = set(re.findall(r"^hot_(\w+) .* ok$", done.stdout, re.MULTILINE))
    assert measured == set(tomllib.loads(BOUNDS.read_text("utf-8"))), told
