"""``cortex`` and ``python -m cortex``."""

import os

from cortex.cli.application import build

QUIET = {"ORT_DISABLE_TELEMETRY": "1"}
"""ONNX Runtime reports its use to its maker over the network unless told not to before
it is imported; Cortex tells nobody anything."""


def main() -> None:
    """Run the command line."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)  # noqa: TID251  of this process, before use
    build()()


if __name__ == "__main__":
    main()
