"""What got worse since results were last kept: ``python -m benchmarks.compare``.

Compares the results in ``benchmarks/results`` with those of the last commit (or of
``--against``), or two folders or files. Only ratios are compared: a claim's value
beside its baseline of the same run, or a value that is a ratio by itself; a figure in
seconds tells as much of the machine as of the program. A ratio that got worse by more
than the noise is a regression; exits with 1 if there is any.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.claims import RESULTS

NOISE = 0.25
"""Share by which ratios of two good runs of the same program may differ."""

RATIO_UNITS = frozenset({"ratio", "share"})

Results = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A ratio then and now. `worse` is by what share it got worse; negative: better."""

    name: str
    then: float
    now: float
    worse: float
    goal_lost: bool

    def regressed(self, noise: float) -> bool:
        """Return whether this is more than chance."""
        return self.worse > noise

    def line(self, noise: float) -> str:
        """Return the change as it is printed."""
        state = "WORSE" if self.regressed(noise) else "ok"
        if self.worse < -noise:
            state = "better"
        lost = ", its goal is not met any more" if self.goal_lost else ""
        better = "worse" if self.worse > 0 else "better"
        return (
            f"{state:6} {self.name} {self.then:.4g} -> {self.now:.4g} "
            f"({100 * abs(self.worse):.0f} % {better}{lost})"
        )


def ratio(claim: Mapping[str, Any]) -> float | None:
    """Return what of a claim carries over to other machines, if anything."""
    value, baseline = claim["value"], claim["baseline"]
    if baseline:
        return value / baseline
    return value if claim["unit"] in RATIO_UNITS else None


def changes(then: Results, now: Results) -> list[Change]:
    """Return the ratios that both results have."""
    before = {claim["name"]: claim for claim in then["claims"]}
    found = []
    for claim in now["claims"]:
        old = before.get(claim["name"])
        was, is_now = (ratio(old) if old else None), ratio(claim)
        if old is None or was is None or is_now is None or was <= 0:
            continue
        if claim["at_most"]:
            worse = is_now / was - 1
        else:
            worse = was / is_now - 1 if is_now > 0 else float("inf")
        lost = old["ok"] and not claim["ok"]
        found.append(Change(claim["name"], was, is_now, worse, lost))
    return found


def machine(results: Results) -> str:
    """Return in one line what the figures were measured on."""
    told = results["machine"]
    return f"{told['cpu']}, {told['cores']} cores, {told['commit']}, {told['at']}"


def compare(name: str, then: Results, now: Results, noise: float) -> bool:
    """Print what changed between two results; return whether nothing got worse."""
    found = changes(then, now)
    left = len(now["claims"]) - len(found)
    print(f"\n{name}: {len(found)} ratios compared, {left} other figures not")
    print(f"  then {machine(then)}\n  now  {machine(now)}")
    for change in found:
        print(f"  {change.line(noise)}")
    return not any(change.regressed(noise) for change in found)


def committed(path: Path, commit: str) -> Results | None:
    """Return results as they were in a commit; None if they were not there."""
    shown = subprocess.run(
        ["git", "show", f"{commit}:./{path.name}"],
        cwd=path.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return json.loads(shown.stdout) if shown.returncode == 0 else None


def read(path: Path) -> Results:
    """Return the results of a file."""
    found: Results = json.loads(path.read_text("utf-8"))
    return found


def main(arguments: Iterable[str] | None = None) -> int:
    """Compare what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare")
    parser.add_argument("files", nargs="*", type=Path, help="results; default: all")
    parser.add_argument("--against", default="HEAD", help="a commit, file or folder")
    parser.add_argument("--noise", type=float, default=NOISE, help="share of a ratio")
    asked = parser.parse_args(None if arguments is None else list(arguments))
    other = Path(asked.against)
    good = True
    for path in asked.files or sorted(RESULTS.glob("*.json")):
        now = read(path)
        if other.exists():
            kept = other / path.name if other.is_dir() else other
            then = read(kept) if kept.exists() else None
        else:
            then = committed(path, asked.against)
        if then is None:
            print(f"\n{path.stem}: nothing to compare with")
        elif then["machine"] != now["machine"]:  # else it is the same run
            good = compare(path.stem, then, now, asked.noise) and good
    print("\nnothing got worse" if good else "\nsomething got worse")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
