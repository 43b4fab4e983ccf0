"""What a benchmark prints and keeps: one line a claim, and JSON with the machine."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Claim:
    """One measured claim.

    Attributes:
        at_most: whether a smaller value is better (the goal is an upper bound).
        baseline: the rival's figure from the same run; None where there is none.
        note: how it was measured, with success rates beside latencies.
    """

    name: str
    value: float
    unit: str
    goal: float
    at_most: bool = False
    baseline: float | None = None
    baseline_name: str = ""
    note: str = ""

    @property
    def ok(self) -> bool:
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    def line(self) -> str:
        """Return ``CLAIM value unit baseline ratio goal ok|short``."""
        baseline = "-" if self.baseline is None else f"{self.baseline:.4g}"
        ratio = f"{self.value / self.baseline:.3g}" if self.baseline else "-"
        sign = "<=" if self.at_most else ">="
        state = "ok" if self.ok else "short"
        return (
            f"{self.name} {self.value:.4g} {self.unit} {baseline} {ratio} "
            f"{sign}{self.goal:g} {state}"
        )


def machine() -> dict[str, object]:
    """Return what a reader needs to place the figures."""
    model = platform.processor()
    try:
        cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = next(
            line.split(":", 1)[1].strip()
            for line in cpu.splitlines()
            if line.startswith("model name")
        )
    except (OSError, StopIteration):
        pass
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "commit": commit,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def report(name: str, claims: Iterable[Claim], detail: object = None) -> bool:
    """Print the claim lines, keep them as JSON, and tell whether all hold."""
    found = list(claims)
    RESULTS.mkdir(exist_ok=True)
    kept = {
        "machine": machine(),
        "claims": [{**asdict(c), "ok": c.ok} for c in found],
        "detail": detail,
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(kept, indent=1, default=str) + "\n", encoding="utf-8")
    return show(found)


def show(found: Sequence[Claim]) -> bool:
    """Print the claim lines and tell whether all hold."""
    print("\nCLAIM value unit baseline ratio goal ok|short")
    for claim in found:
        print(claim.line())
        if claim.note or claim.baseline_name:
            baseline = f"baseline: {claim.baseline_name}" if claim.baseline_name else ""
            print(f"    {'; '.join(filter(None, (claim.note, baseline)))}")
    return all(claim.ok for claim in found)
