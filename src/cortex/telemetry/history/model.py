"""What history is made of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cortex.foundation.errors import ValidationError

Floats: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Label and value, sorted by label."""

STEP_SECONDS = 10.0
"""Between two samples of one series."""

PATTERN_CHARACTERS_MAX = 200
"""Characters of a pattern in a matcher."""


class Kind(StrEnum):
    """How values of a series are read.

    A counter's values are the total since its birth, over all restarts: they never
    fall. Buckets, sums and counts of histograms are counters.
    """

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value as a process exposes it: a counter counts from the process' start."""

    name: str
    labels: Labels
    kind: Kind
    value: float


@dataclass(frozen=True, slots=True)
class Run:
    """One life of the counters that are sampled: they were zero when it began.

    Attributes:
        name: differs from every other life's, such as the process' id and start.
        started_at: epoch seconds.
    """

    name: str
    started_at: float


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Values of one metric with one set of labels, oldest first.

    Attributes:
        times: epoch seconds, strictly rising.
        values: as many.
    """

    name: str
    labels: Labels
    kind: Kind
    times: Floats
    values: Floats


class Comparison(StrEnum):
    """How a matcher compares, written as in PromQL."""

    EQUAL = "="
    UNEQUAL = "!="
    MATCHES = "=~"
    DIFFERS = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label; a label that is not there counts as empty."""

    label: str
    value: str
    comparison: Comparison = Comparison.EQUAL

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Return whether a series with these labels is meant.

        Raises:
            ValidationError: the value is to be matched and is no pattern.
        """
        found = labels.get(self.label, "")
        if self.comparison is Comparison.EQUAL:
            return found == self.value
        if self.comparison is Comparison.UNEQUAL:
            return found != self.value
        matches = self._pattern().fullmatch(found) is not None
        return matches is (self.comparison is Comparison.MATCHES)

    def _pattern(self) -> re.Pattern[str]:
        try:
            if len(self.value) > PATTERN_CHARACTERS_MAX:
                raise ValidationError(
                    f"a pattern has at most {PATTERN_CHARACTERS_MAX} characters",
                    field="labels",
                )
            return re.compile(self.value)
        except re.error as error:
            message = f"{self.value!r} is no regular expression: {error}"
            raise ValidationError(message, field="labels") from error


@dataclass(frozen=True, slots=True)
class Selector:
    """Which series: a metric's name, and conditions that all must hold."""

    name: str
    matchers: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogued:
    """A metric that history holds, with how many series of it."""

    name: str
    kind: Kind
    series: int


def labels_of(values: Mapping[str, str]) -> Labels:
    """Return labels in their one order."""
    return tuple(sorted(values.items()))
