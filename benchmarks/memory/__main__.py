"""Run every claim about memory, one after the other."""

from benchmarks.memory import backends, budget, latency, quality, startup, writes


def main() -> bool:
    """Measure all; tell whether every claim holds."""
    parts = (quality, budget, latency, backends, writes, startup)
    held = [part.main() for part in parts]
    return all(held)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
