"""``cortex`` and ``python -m cortex``."""

import gc
import os
import sys

from cortex.cli.application import build, corrected, needed

QUIET = {"ORT_DISABLE_TELEMETRY": "1"}
"""ONNX Runtime reports its use to its maker over the network unless told not to before
it is imported; Cortex tells nobody anything."""

START_THRESHOLD = 100_000
"""Allocations between two collections while modules load: what they make stays, so
looking for garbage costs a tenth of the start. The server sets its own afterwards."""


def main() -> None:
    """Run the command line."""
    gc.set_threshold(START_THRESHOLD)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)  # noqa: TID251  of this process, before use
    arguments = corrected(sys.argv[1:])
    build(needed(arguments))(arguments)


if __name__ == "__main__":
    main()
