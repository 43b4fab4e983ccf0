"""What the README shows works as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_python_example_finds_what_it_stored(serve, tmp_path):
    server = serve()
    (example,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", example],
        env={**os.environ, "CORTEX_URL": server.url},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The launch moved to Friday.") == 2


def test_the_commands_work_in_order(serve, tmp_path):
    server = serve()
    commands = [
        line.split("#")[0].strip().removeprefix(".venv/bin/")
        for block in blocks("")
        for line in block.splitlines()
        if line.startswith(".venv/bin/cortex ") and " serve" not in line
    ]
    assert len(commands) == 3
    out = ""
    for command in commands:
        done = subprocess.run(
            f"{sys.executable} -m {command}",
            shell=True,
            env={**os.environ, "CORTEX_URL": server.url},
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        out += done.stdout
    assert out.count("The launch moved to Friday.") >= 2
