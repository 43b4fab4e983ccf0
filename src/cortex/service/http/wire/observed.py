"""Metrics over time on the wire."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field, StringConstraints

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import ValidationError
from cortex.foundation.limits import MOMENT_MAX
from cortex.service.fields import Wire
from cortex.telemetry.history.model import (
    STEP_SECONDS,
    Catalogued,
    Comparison,
    Matcher,
    Selector,
)
from cortex.telemetry.history.question import (
    WINDOW_SECONDS_MAX,
    Function,
    Line,
    Question,
)

METRIC_CHARACTERS_MAX = 200
LABELS_CHARACTERS_MAX = 1_000
MATCHERS_MAX = 20
BY_CHARACTERS_MAX = 200

SPAN_SECONDS = 3600.0
"""Time asked for when no beginning is given."""

POINTS = 240
"""Instants of an answer when no step is given: a screen's width holds no more."""

_MATCHER = re.compile(
    r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)'
)
_ESCAPED = re.compile(r"\\(.)")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

_Metric = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=METRIC_CHARACTERS_MAX
    ),
]
_Time = Annotated[float, Field(ge=0, le=MOMENT_MAX, allow_inf_nan=False)]
_Span = Annotated[float, Field(gt=0, le=WINDOW_SECONDS_MAX, allow_inf_nan=False)]


class HistoryQuery(Wire):
    """GET /performance/history."""

    metric: _Metric = Field(description="Name; of a histogram, for quantile, plain.")
    labels: Annotated[str, StringConstraints(max_length=LABELS_CHARACTERS_MAX)] = Field(
        "", description='Conditions as in PromQL: route="/memory",status=~"4.+|5.+".'
    )
    start: _Time | None = Field(
        None, alias="from", description="Epoch seconds; an hour before the end."
    )
    end: _Time | None = Field(
        None, alias="to", description="Epoch seconds; now when not given."
    )
    step: _Span | None = Field(
        None, description="Seconds between values; as many as make 240 of them."
    )
    fn: Function = Field(Function.VALUE, description="What to compute.")
    window: _Span = Field(
        300.0, description="Seconds that rates, increases and averages look back."
    )
    q: Annotated[float, Field(ge=0, le=1)] = Field(0.95, description="Which quantile.")
    by: Annotated[str, StringConstraints(max_length=BY_CHARACTERS_MAX)] | None = Field(
        None,
        description="Labels to keep while the rest is summed, as route,status; "
        "empty sums everything.",
    )

    def domain(self, now: float) -> Question:
        """Return the question.

        Raises:
            ValidationError: labels cannot be read, or there are too many instants.
        """
        end = now if self.end is None else self.end
        start = max(0.0, end - SPAN_SECONDS) if self.start is None else self.start
        wanted = max(STEP_SECONDS, (end - start) / POINTS)
        rounded = math.ceil(wanted / STEP_SECONDS) * STEP_SECONDS
        return Question(
            Selector(self.metric, tuple(_matchers(self.labels))),
            start,
            end,
            self.step or rounded,
            self.fn,
            self.window,
            self.q,
            None if self.by is None else tuple(_names(self.by)),
        )


class SeriesAnswer(Wire):
    """One line: labels, and pairs of epoch seconds and value."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


class HistoryAnswer(Wire):
    """The lines that answer a question about metrics."""

    metric: str
    fn: Function
    step: float
    series: list[SeriesAnswer]


class MetricAnswer(Wire):
    """A metric that history holds."""

    name: str
    kind: str
    series: int


class MetricsAnswer(Wire):
    """Every metric that history holds."""

    metrics: list[MetricAnswer]


def history(question: Question, lines: Sequence[Line]) -> dict[str, JsonValue]:
    """Return the answer; instants without a value are left out."""
    return {
        "metric": question.selector.name,
        "fn": question.function.value,
        "step": question.step,
        "series": [
            {"labels": dict(line.labels), "points": _points(line)} for line in lines
        ],
    }


def catalog(found: Sequence[Catalogued]) -> dict[str, JsonValue]:
    """Return what history holds."""
    return {
        "metrics": [
            {"name": one.name, "kind": one.kind.value, "series": one.series}
            for one in found
        ]
    }


def _points(line: Line) -> list[JsonValue]:
    pairs = zip(line.times.tolist(), line.values.tolist(), strict=True)
    # JSON has no infinity; a quantile outside of every bucket is none.
    return [[at, value] for at, value in pairs if math.isfinite(value)]


def _matchers(text: str) -> Iterator[Matcher]:
    position = 0
    for count in range(MATCHERS_MAX + 1):
        if position == len(text.rstrip()):
            return
        match = _MATCHER.match(text, position)
        if match is None or count == MATCHERS_MAX:
            raise ValidationError(
                "labels cannot be read",
                hint='Write them as route="/memory",status=~"5.+", 20 at most.',
                field="labels",
            )
        label, comparison, value = match.groups()
        plain = _ESCAPED.sub(r"\1", value)
        yield Matcher(label, plain, Comparison(comparison))
        position = match.end()


def _names(text: str) -> Iterator[str]:
    for name in filter(None, (part.strip() for part in text.split(","))):
        if not _LABEL.fullmatch(name):
            raise ValidationError(f"{name!r} is no label", field="by")
        yield name
