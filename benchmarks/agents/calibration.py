"""Is the score of a reflection true? Hand-labelled outputs, a part of them held out.

``labelled.txt`` says how they were made. The weights of ``cortex.agents.scoring`` are
fitted on topics with an even number and judged on the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cortex.agents.checking import FEATURES, Checker, Material, Nearness, probe
from cortex.agents.model import APPROVED_FROM, Output, Source
from cortex.agents.scoring import score
from cortex.inference.backends.bundled import open_bundled
from cortex.memory.terms import TermAnalyser

FILE = Path(__file__).parent / "labelled.txt"
RIDGE = 0.002
"""Penalty on large weights: 60 examples cannot tell 8 from 80."""

STEPS = 20_000
BINS = 5


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled output; ``defect`` is empty for a good one."""

    topic: int
    material: Material
    defect: str

    @property
    def good(self) -> bool:
        return not self.defect

    @property
    def held_out(self) -> bool:
        return self.topic % 2 == 1


@dataclass(slots=True)
class _Topic:
    number: int
    goal: str = ""
    sources: tuple[Source, ...] = ()
    criteria: tuple[str, ...] = ()

    def example(self, content: str, defect: str = "") -> Example:
        output = Output(content.strip().replace("\\n", "\n"))
        material = Material(output, self.goal, self.criteria, self.sources)
        return Example(self.number, material, defect)


def examples() -> list[Example]:
    """Return all labelled outputs."""
    found: list[Example] = []
    topic = _Topic(-1)
    for line in FILE.read_text(encoding="utf-8").splitlines():
        mark, _, text = line.partition(" ")
        match mark:
            case "==":
                topic = _Topic(int(text.split()[0]))
            case "source:":
                topic.sources = (Source("page", text),)
            case "goal:":
                topic.goal = text
            case "criterion:":
                topic.criteria = (*topic.criteria, text)
            case "+":
                found.append(topic.example(text))
            case "-":
                defect, _, content = text.partition(" | ")
                found.append(topic.example(content, defect))
    return found


@dataclass(frozen=True, slots=True)
class Measured:
    """The values of an example, and a naive score to compare with."""

    example: Example
    features: Mapping[str, float]
    cosine: float


def measure(found: Sequence[Example], *, meaning: bool = True) -> list[Measured]:
    """Return the measured values; without ``meaning`` by words alone."""
    backend = open_bundled(None)
    checker = Checker(TermAnalyser())
    measured = []
    for example in found:
        probed = probe(example.material)
        claims = [claim.text for claim in probed.claims]
        passages = [passage.text for _, passage in probed.passages]
        texts = [*probed.aspects, *passages]
        left = np.stack([backend.embed(text) for text in claims])
        right = np.stack([backend.embed(text) for text in texts])
        table, count = left @ right.T, len(probed.aspects)
        nearness = Nearness(
            tuple(float(table[:, n].max()) for n in range(count)),
            tuple(float(row[count:].max()) for row in table),
        )
        found_here = checker.check(
            example.material, probed, nearness if meaning else None
        )
        whole = backend.embed(example.material.output.content)
        about = backend.embed(
            f"{example.material.goal} {example.material.sources[0].text}"
        )
        cosine = float(whole @ about)
        measured.append(Measured(example, found_here.features, cosine))
    backend.close()
    return measured


def auroc(scores: Sequence[float], good: Sequence[bool]) -> float:
    """Return the chance that a good one scores above a bad one; ties count half."""
    above = [s for s, ok in zip(scores, good, strict=True) if ok]
    below = [s for s, ok in zip(scores, good, strict=True) if not ok]
    won = sum((a > b) + (a == b) / 2 for a in above for b in below)
    return won / (len(above) * len(below))


def calibration_error(scores: Sequence[float], good: Sequence[bool]) -> float:
    """Return the expected calibration error over equally wide bins."""
    values, truth = np.array(scores), np.array(good, float)
    worth = _balanced(truth)
    places = np.minimum((values * BINS).astype(int), BINS - 1)
    error = 0.0
    for place in range(BINS):
        inside = places == place
        if inside.any():
            here = worth[inside]
            gap = abs(((values - truth)[inside] * here).sum())
            error += gap
    return float(error)


def _balanced(truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights that sum to 1, half of it for the good: three times as many bad
    ones were written, which says nothing of the outputs that agents make."""
    share = truth.mean()
    return np.where(truth == 1, 0.5 / share, 0.5 / (1 - share)) / len(truth)


def fit(measured: Sequence[Measured]) -> tuple[float, dict[str, float]]:
    """Return bias and weights, none positive, for the examples not held out.

    Logistic regression with a ridge, by projected gradient descent.
    """
    known = [one for one in measured if not one.example.held_out]
    values = np.array([[one.features[name] for name in FEATURES] for one in known])
    truth = np.array([one.example.good for one in known], float)
    worth = _balanced(truth)
    weights: NDArray[np.float64] = np.full(len(FEATURES), -1.0)
    bias = 1.0
    for _ in range(STEPS):
        guess = 1 / (1 + np.exp(-(values @ weights + bias)))
        gap = (guess - truth) * worth
        weights = np.minimum(weights - 0.5 * (values.T @ gap + RIDGE * weights), 0.0)
        bias -= 0.5 * float(gap.sum())
    # Nothing labelled contradicts itself: it weighs as the gravest of what does.
    weights[values.max(axis=0) == 0] = weights.min()
    named = zip(FEATURES, weights.round(2).tolist(), strict=True)
    return round(float(bias), 2), dict(named)


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a score tells good outputs from bad ones."""

    examples: int
    auroc: float
    calibration_error: float
    brier: float
    approved_good: float
    approved_bad: float

    @classmethod
    def of(cls, scores: Sequence[float], good: Sequence[bool]) -> "Quality":
        """Measure scores against labels."""
        yes = [s >= APPROVED_FROM for s in scores]
        truth = np.array(good, float)
        return cls(
            len(scores),
            round(auroc(scores, good), 4),
            round(calibration_error(scores, good), 4),
            round(
                float((((np.array(scores) - truth) ** 2) * _balanced(truth)).sum()), 4
            ),
            round(sum(y and g for y, g in zip(yes, good, strict=True)) / sum(good), 4),
            round(
                sum(y and not g for y, g in zip(yes, good, strict=True))
                / (len(good) - sum(good)),
                4,
            ),
        )


def judged(measured: Sequence[Measured], *, held_out: bool) -> Quality:
    """Return the quality of the product's score on one part."""
    part = [one for one in measured if one.example.held_out == held_out]
    scores = [score(one.features) for one in part]
    return Quality.of(scores, [one.example.good for one in part])


def naive(measured: Sequence[Measured]) -> Quality:
    """Return the quality of the cosine between output and task, on the held-out."""
    part = [one for one in measured if one.example.held_out]
    return Quality.of([one.cosine for one in part], [one.example.good for one in part])


def missed(measured: Sequence[Measured]) -> dict[str, list[float]]:
    """Return the held-out scores by defect: what is found, and what is not."""
    table: dict[str, list[float]] = {}
    for one in measured:
        if one.example.held_out:
            name = one.example.defect or "good"
            table.setdefault(name, []).append(score(one.features))
    return {name: sorted(values) for name, values in sorted(table.items())}
