"""What is asked of history, and the lines that answer it."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from cortex.foundation.errors import ValidationError
from cortex.telemetry.history import functions
from cortex.telemetry.history.model import (
    Floats,
    Labels,
    Selector,
    Series,
    labels_of,
)
from cortex.telemetry.history.ports import History

POINTS_MAX = 11_000
"""Instants of one answer; Prometheus' own limit."""

WINDOW_SECONDS_MAX = 30 * 86_400.0
"""Longest window: as long as values are kept."""

BUCKET_SUFFIX = "_bucket"
BOUND_LABEL = "le"


class Function(StrEnum):
    """What is computed from the values."""

    VALUE = "value"
    RATE = "rate"
    INCREASE = "increase"
    AVERAGE = "average"
    QUANTILE = "quantile"


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        selector: which series; of a histogram, for ``QUANTILE``, its plain name.
        start: epoch seconds of the first instant.
        end: epoch seconds; the last instant is at it or less than a step before.
        step: seconds between instants.
        function: what to compute.
        window: seconds that rates, increases and averages look back.
        q: the quantile.
        by: labels to keep while summing the rest away; None sums nothing.
    """

    selector: Selector
    start: float
    end: float
    step: float
    function: Function = Function.VALUE
    window: float = 300.0
    q: float = 0.95
    by: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what has no answer.

        Raises:
            ValidationError: no instant, too many, or a window without length.
        """
        if self.end < self.start:
            raise ValidationError("from is after to", field="from")
        if not self.step > 0:
            raise ValidationError("step must be above 0", field="step")
        if (self.end - self.start) / self.step >= POINTS_MAX:
            message = f"more than {POINTS_MAX} instants; take a longer step"
            raise ValidationError(message, field="step", limit=POINTS_MAX)
        if not 0 < self.window <= WINDOW_SECONDS_MAX:
            message = f"window must be above 0 and at most {WINDOW_SECONDS_MAX:g} s"
            raise ValidationError(message, field="window")

    def instants(self) -> Floats:
        """Return the instants asked for."""
        count = int((self.end - self.start) / self.step) + 1
        return self.start + self.step * np.arange(count, dtype=np.float64)

    @property
    def reach(self) -> float:
        """Return how many seconds before an instant values still matter."""
        if self.function is Function.VALUE:
            return functions.LOOKBACK_SECONDS
        return self.window


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One answer; NaN where there is none."""

    labels: Labels
    times: Floats
    values: Floats


async def ask(history: History, question: Question) -> list[Line]:
    """Return a line for each series, or for each group of them, ordered by labels."""
    return answer(await _found(history, question), question)


async def ask_quantiles(
    history: History, question: Question, qs: Sequence[float]
) -> list[list[Line]]:
    """Return what `ask` would for each quantile; the values are read once."""
    found = await _found(history, question)
    instants = question.instants()
    buckets = _buckets(found, question, instants)
    return [_lines(_quantiles(buckets, q), instants) for q in qs]


async def _found(history: History, question: Question) -> Sequence[Series]:
    selector = question.selector
    if question.function is Function.QUANTILE:
        name = selector.name.removesuffix(BUCKET_SUFFIX) + BUCKET_SUFFIX
        selector = Selector(name, selector.matchers)
    return await history.select(
        selector,
        question.start - question.reach,
        question.end,
        step=_enough(question),
    )


def answer(found: Sequence[Series], question: Question) -> list[Line]:
    """Return the lines that these series give."""
    instants = question.instants()
    if question.function is Function.QUANTILE:
        groups = _quantiles(_buckets(found, question, instants), question.q)
    else:
        compute = _of_one(question)
        values = {series.labels: compute(series, instants) for series in found}
        groups = values if question.by is None else _sums(values, question.by, instants)
    return _lines(groups, instants)


def _lines(groups: Mapping[Labels, Floats], instants: Floats) -> list[Line]:
    return [
        Line(labels, instants, line)
        for labels, line in sorted(groups.items())
        if not np.isnan(line).all()
    ]


def _enough(question: Question) -> float:
    """Return which distance of values suffices: a tenth of what a window holds."""
    if question.function is Function.VALUE:
        return question.step
    return question.window / 10


def _of_one(question: Question) -> Callable[[Series, Floats], Floats]:
    window = question.window

    def compute(series: Series, instants: Floats) -> Floats:
        if question.function is Function.RATE:
            return functions.rate(series, instants, window)
        if question.function is Function.INCREASE:
            return functions.increase(series, instants, window)
        if question.function is Function.AVERAGE:
            return functions.average(series, instants, window)
        return functions.query(series, instants)

    return compute


def _sums(
    values: Mapping[Labels, Floats], by: tuple[str, ...], instants: Floats
) -> dict[Labels, Floats]:
    grouped: dict[Labels, list[Floats]] = defaultdict(list)
    for labels, line in values.items():
        grouped[_kept(labels, by)].append(line)
    return {
        labels: functions.total(lines, instants) for labels, lines in grouped.items()
    }


def _buckets(
    found: Sequence[Series], question: Question, instants: Floats
) -> dict[Labels, dict[float, Floats]]:
    """Return the rates of buckets, summed by group and bound."""
    grouped: dict[Labels, dict[float, list[Floats]]] = {}
    rates = functions.rates(found, instants, question.window)
    for series, line in zip(found, rates, strict=True):
        names = dict(series.labels)
        bound = float(names.pop(BOUND_LABEL, "nan"))
        kept = labels_of(names)
        if question.by is not None:
            kept = _kept(kept, question.by)
        grouped.setdefault(kept, {}).setdefault(bound, []).append(line)
    return {
        labels: {
            bound: functions.total(lines, instants) for bound, lines in buckets.items()
        }
        for labels, buckets in grouped.items()
    }


def _quantiles(
    grouped: Mapping[Labels, Mapping[float, Floats]], q: float
) -> dict[Labels, Floats]:
    return {
        labels: functions.quantile(q, list(buckets), list(buckets.values()))
        for labels, buckets in grouped.items()
    }


def _kept(labels: Labels, by: tuple[str, ...]) -> Labels:
    return tuple((name, value) for name, value in labels if name in by)
