"""Prometheus' functions over series, value for value.

They follow PromQL as Prometheus 2.42 evaluates it (``promql/functions.go``,
``extrapolatedRate``; ``promql/quantile.go``, ``bucketQuantile``): windows hold both
their ends, and a rate is extrapolated to the window's edges, at most half a step beyond
a series' own ends and never below zero. All are pure and take many instants at once;
where there is no answer they return NaN.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from cortex.telemetry.history.model import Floats, Series

LOOKBACK_SECONDS = 300.0
"""How old a value may be to be the value now; as in Prometheus."""

_EDGE_STEPS = 1.1
"""Steps between the window's edge and a sample up to which the edge is reached."""


def query(
    series: Series, instants: Floats, lookback: float = LOOKBACK_SECONDS
) -> Floats:
    """Return the last value at or before each instant, if it is not too old."""
    last = np.searchsorted(series.times, instants, side="right") - 1
    found = last >= 0
    at = np.where(found, last, 0)
    if not series.times.size:
        return np.full(instants.shape, np.nan)
    found &= instants - series.times[at] <= lookback
    return np.where(found, series.values[at], np.nan)


def increase(series: Series, instants: Floats, window: float) -> Floats:
    """Return by how much a counter grew in the ``window`` seconds to each instant.

    A fall is read as a restart from zero. Fewer than two values in a window: NaN.
    """
    return _increases(series.times, series.values, instants, window)


def rate(series: Series, instants: Floats, window: float) -> Floats:
    """Return a counter's growth a second in the ``window`` seconds to each instant."""
    return increase(series, instants, window) / window


def rates(many: Sequence[Series], instants: Floats, window: float) -> list[Floats]:
    """Return `rate` of each; those with the same times are computed at once."""
    alike: dict[bytes, list[int]] = defaultdict(list)
    for number, series in enumerate(many):
        alike[series.times.tobytes()].append(number)
    answer: list[Floats] = [instants] * len(many)
    for numbers in alike.values():
        values = np.vstack([many[n].values for n in numbers])
        times = many[numbers[0]].times
        grown = _increases(times, values, instants, window) / window
        for number, line in zip(numbers, grown, strict=True):
            answer[number] = line
    return answer


def average(series: Series, instants: Floats, window: float) -> Floats:
    """Return the mean of a gauge's values in the ``window`` seconds to each instant."""
    first = np.searchsorted(series.times, instants - window, side="left")
    last = np.searchsorted(series.times, instants, side="right")
    sums = np.concatenate(([0.0], np.cumsum(series.values)))
    count = last - first
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, (sums[last] - sums[first]) / count, np.nan)


def total(lines: Sequence[Floats], instants: Floats) -> Floats:
    """Return the sum over lines at each instant; lines without a value are left out."""
    if not lines:
        return np.full(instants.shape, np.nan)
    if len(lines) == 1:
        return lines[0]
    stacked = np.vstack(lines)
    missing = np.isnan(stacked)
    summed = np.where(missing, 0.0, stacked).sum(axis=0)
    return np.where(missing.all(axis=0), np.nan, summed)


def quantile(q: float, bounds: Sequence[float], counts: Sequence[Floats]) -> Floats:
    """Return the ``q`` quantile of a histogram at each instant, interpolated linearly.

    Args:
        q: 0 to 1; below is minus infinity, above plus infinity.
        bounds: upper bound of each bucket; one must be infinite.
        counts: of each bucket, cumulative as Prometheus' are: a number at each instant.
    """
    order = np.argsort(np.asarray(bounds, dtype=np.float64), kind="stable")
    upper = np.asarray(bounds, dtype=np.float64)[order]
    stacked = np.nan_to_num(np.vstack([counts[n] for n in order]))
    held = np.maximum.accumulate(stacked, axis=0)
    if upper.size < 2 or not np.isposinf(upper[-1]):  # noqa: PLR2004 - one is no scale
        return np.full(held.shape[1], np.nan)
    return np.array([_quantile(q, upper, column) for column in held.T])


def _quantile(q: float, upper: Floats, held: Floats) -> float:
    observed = held[-1]
    if np.isnan(q) or not observed:
        return float("nan")
    if not 0 <= q <= 1:
        return float("-inf") if q < 0 else float("inf")
    rank = q * observed
    bucket = int(np.searchsorted(held[:-1], rank, side="left"))
    if bucket == upper.size - 1:
        return float(upper[-2])
    if bucket == 0:
        if upper[0] <= 0:
            return float(upper[0])
        return float(upper[0] * (rank / held[0])) if held[0] else float("nan")
    below = held[bucket - 1]
    low, high = upper[bucket - 1], upper[bucket]
    return float(low + (high - low) * ((rank - below) / (held[bucket] - below)))


def _increases(
    times: Floats, values: Floats, instants: Floats, window: float
) -> Floats:
    """Return the increases of counters with the same times, the last axis of values."""
    answer = np.full((*values.shape[:-1], *instants.shape), np.nan)
    first = np.searchsorted(times, instants - window, side="left")
    last = np.searchsorted(times, instants, side="right") - 1
    enough = last > first
    if not enough.any():
        return answer
    i, j, ends = first[enough], last[enough], instants[enough]
    lost = _resets(values)
    grown = values[..., j] - values[..., i] + lost[..., j] - lost[..., i]
    spanned = times[j] - times[i]
    step = spanned / (j - i)
    before, after = times[i] - (ends - window), ends - times[j]
    before = _not_below_zero(before, spanned, values[..., i], grown)
    reach = spanned
    for gap in (before, after):
        reach = reach + np.where(gap < step * _EDGE_STEPS, gap, step / 2)
    answer[..., enough] = grown * (reach / spanned)
    return answer


def _resets(values: Floats) -> Floats:
    """Return what was lost by falls up to each value."""
    lost = np.zeros(values.shape)
    fell = values[..., 1:] < values[..., :-1]
    np.cumsum(np.where(fell, values[..., :-1], 0.0), axis=-1, out=lost[..., 1:])
    return lost


def _not_below_zero(
    before: Floats, spanned: Floats, first: Floats, grown: Floats
) -> Floats:
    """Shorten the way back to the window's start where the counter was zero."""
    clamped = (grown > 0) & (first >= 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        to_zero = np.where(clamped, spanned * (first / grown), np.inf)
    shortened: Floats = np.minimum(before, to_zero)
    return shortened
