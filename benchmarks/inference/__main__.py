"""Run every claim about models, or those that are named.

Usage: python -m benchmarks.inference [--data FOLDER] [--only rival,power,…]

Each file of this package with a function ``claims() -> list[Claim]`` is a part, and
so is one that reports by itself in ``main() -> bool``.
"""

import argparse
import pkgutil
import sys
from importlib import import_module

import benchmarks.inference as package
from benchmarks.claims import report


def main() -> bool:
    """Measure; tell whether every claim holds."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--only", default="")
    only = set(filter(None, parser.parse_known_args()[0].only.split(",")))
    held = True
    for found in pkgutil.iter_modules(package.__path__):
        if found.name == "__main__" or (only and found.name not in only):
            continue
        part = import_module(f"{package.__name__}.{found.name}")
        if hasattr(part, "claims"):
            print(f"\n{found.name} …", file=sys.stderr)
            held &= report(f"inference-{found.name}", part.claims())
        elif hasattr(part, "main"):
            held &= part.main()
    return held


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
