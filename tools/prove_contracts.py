"""Prove that every import contract can break: a contract with a typo passes silently.

Copies the sources, adds one violation at a time and expects the contract to notice.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Violation:
    """One line that must not be allowed in a file."""

    name: str
    file: str
    code: str


VIOLATIONS = (
    Violation(
        "layers: upward",
        "cortex/memory/recall.py",
        "from cortex.usecases import remember",
    ),
    Violation("layers: module without a place", "cortex/utils.py", "x = 1"),
    Violation(
        "layers: sibling rooms",
        "cortex/memory/model.py",
        "import cortex.inference.text",
    ),
    Violation(
        "layers: hidden in a function",
        "cortex/memory/recall.py",
        "def f():\n    from cortex.usecases import remember",
    ),
    Violation(
        "layers: service imports bootstrap",
        "cortex/service/http/app.py",
        "from cortex import bootstrap",
    ),
    Violation(
        "cycle between siblings",
        "cortex/memory/model.py",
        "import cortex.memory.recall",
    ),
    Violation(
        "one surface imports another",
        "cortex/service/mcp/resources.py",
        "import cortex.service.http.answers",
    ),
    Violation("framework in a room", "cortex/memory/recall.py", "import fastapi"),
    Violation("clock in a decision", "cortex/memory/ranking.py", "import time"),
    Violation("chance in a plan", "cortex/agents/planning.py", "import random"),
    Violation(
        "journey in a plan",
        "cortex/agents/planning.py",
        "from cortex.usecases import search",
    ),
    Violation("framework in a plan", "cortex/agents/graph.py", "import fastapi"),
    Violation("logging in a decision", "cortex/memory/packing.py", "import logging"),
    Violation("threads in a decision", "cortex/memory/tiering.py", "import threading"),
    Violation("driver outside storage", "cortex/memory/recall.py", "import sqlite3"),
    Violation(
        "settings read by a room",
        "cortex/service/http/app.py",
        "from cortex import settings",
    ),
    Violation(
        "runtime in a use case", "cortex/usecases/remember.py", "import onnxruntime"
    ),
    Violation(
        "client imports service", "cortex_client/errors.py", "import cortex.memory"
    ),
    Violation(
        "room speaks the wire", "cortex/memory/recall.py", "import cortex_client"
    ),
    Violation(
        "production imports the test kit",
        "cortex/bootstrap.py",
        "import cortex.testing",
    ),
)


def breaks(violation: Violation, sources: Path) -> bool:
    """Tell whether the linter refuses the tree with this violation in it."""
    path = sources / violation.file
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text((before or "") + "\n" + violation.code + "\n", encoding="utf-8")
    try:
        finished = subprocess.run(
            [Path(sys.executable).parent / "lint-imports", "--no-cache"],
            cwd=sources.parent,
            env={**os.environ, "PYTHONPATH": str(sources)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")
    return finished.returncode != 0 and "BROKEN" in finished.stdout


def main() -> int:
    """Try every violation; print those that nothing noticed."""
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "src"
        only_code = shutil.ignore_patterns("models", "__pycache__", "*.jsonl")
        shutil.copytree(ROOT / "src", sources, ignore=only_code)
        shutil.copy(ROOT / ".importlinter", folder)
        missed = [v.name for v in VIOLATIONS if not breaks(v, sources)]
    for name in missed:
        print(f"no contract noticed: {name}")
    total = len(VIOLATIONS)
    print(f"contracts: {total - len(missed)} of {total} violations noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
