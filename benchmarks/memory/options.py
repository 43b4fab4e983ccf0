"""Where the data lies: --data, CORTEX_DATA, or a folder beside the project."""

import argparse
import os
import sys
from pathlib import Path

from benchmarks.memory.datasets import Conversation, MissingData, load

BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def data_folder() -> Path:
    """Return the folder named on the command line, or the next best."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data", type=Path)
    named = parser.parse_known_args()[0].data
    return named or Path(os.environ.get("CORTEX_DATA") or BESIDE)


def load_or_explain(folder: Path) -> list[Conversation]:
    """Return the conversations; none, with a sentence, when the data is not there."""
    try:
        return load(folder)
    except MissingData as missing:
        print(f"skipped: {missing}", file=sys.stderr)
        return []
