"""Results are compared by their ratios, and only what is beyond the noise is told."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def claim(name: str, value: float, baseline: float | None, **more: Any) -> dict:
    kept = {"name": name, "value": value, "baseline": baseline, "unit": "ms"}
    return {**kept, "at_most": True, "ok": True, **more}


def kept(path: Path, at: str, *claims: dict) -> Path:
    machine = {"cpu": "one", "cores": 2, "commit": at, "at": at}
    path.write_text(json.dumps({"machine": machine, "claims": claims}))
    return path


def compared(now: Path, then: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.compare", str(now), "--against", str(then)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_ratio_that_got_worse_fails_and_a_slower_machine_does_not(tmp_path):
    rising = {"at_most": False}
    then = kept(
        tmp_path / "then.json", "then",
        claim("search", 2.0, 1.0), claim("found", 0.9, 0.6, **rising),
        claim("wait", 5.0, None), claim("gone", 1.0, 1.0),
    )  # fmt: skip
    slower = kept(
        tmp_path / "slower.json", "now",
        claim("search", 4.4, 2.0), claim("found", 0.88, 0.6, **rising),
        claim("wait", 50.0, None), claim("new", 1.0, 1.0),
    )  # fmt: skip
    status, told = compared(slower, then)
    assert status == 0, told
    assert "2 ratios compared, 2 other figures not" in told
    assert "one, 2 cores, then" in told
    worse = kept(
        tmp_path / "worse.json", "now",
        claim("search", 6.0, 2.0), claim("found", 0.6, 0.6, **rising),
    )  # fmt: skip
    status, told = compared(worse, then)
    assert status == 1, told
    assert "WORSE  search 2 -> 3 (50 % worse)" in told
    assert "WORSE  found 1.5 -> 1 (50 % worse)" in told
