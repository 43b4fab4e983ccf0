"""History's functions give what a real Prometheus gave for the same samples.

``tests/data/prometheus/answers.json`` holds the answers of Debian's Prometheus 2.42,
recorded by ``make record-prometheus``; ``make test-peers`` asks a living one.
"""

import importlib.util
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from cortex.telemetry.history.model import Kind, Selector, Series, labels_of
from cortex.telemetry.history.question import Function, Question, answer

TESTS = Path(__file__).resolve().parents[2]
RECORDED = json.loads((TESTS / "data/prometheus/answers.json").read_text())

_UNITS = {"s": 1, "m": 60, "h": 3600}
_FORM = re.compile(
    r"(?:(?P<sum>sum)(?: by \((?P<by>\w+)\))? ?\()?"
    r"(?:histogram_quantile\((?P<q>[\d.]+), sum by \(le\) \()?"
    r"(?:(?P<fn>rate|increase|avg_over_time)\()?"
    r"(?P<metric>[a-z_]+)(?:\[(?P<count>\d+)(?P<unit>[smh])\])?\)*"
)
_FUNCTIONS = {
    None: Function.VALUE,
    "rate": Function.RATE,
    "increase": Function.INCREASE,
    "avg_over_time": Function.AVERAGE,
}


def peer():
    path = TESTS / "peers/prometheus.py"
    spec = importlib.util.spec_from_file_location("peer_prometheus", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def all_series():
    found = {}
    for text, row in peer().series().items():
        name, _, inside = text.partition("{")
        labels = labels_of(dict(re.findall(r'(\w+)="([^"]*)"', inside)))
        times, values = np.array(row, dtype=float).T
        line = Series(name, labels, Kind.COUNTER, times, values)
        found.setdefault(name, []).append(line)
    return found


SERIES = all_series()


def question(expression):
    form = _FORM.fullmatch(expression)
    window = int(form["count"] or 5) * _UNITS[form["unit"] or "m"]
    start, end, step = RECORDED["range"]
    by = ((form["by"],) if form["by"] else ()) if form["sum"] else None
    function = _FUNCTIONS[form["fn"]]
    name, q = form["metric"], 0.95
    if form["q"]:
        function, q, by = Function.QUANTILE, float(form["q"]), ()
        name = name.removesuffix("_bucket")
    return Question(Selector(name), start, end, step, function, window, q, by)


@pytest.mark.parametrize("expression", RECORDED["answers"])
def test_every_value_is_prometheus_value(expression):
    asked = question(expression)
    name = asked.selector.name
    found = answer(SERIES.get(name) or SERIES[f"{name}_bucket"], asked)
    ours = {
        (labels, at): value
        for line in found
        for labels, at, value in zip(
            [line.labels] * line.times.size, line.times, line.values, strict=True
        )
        if not math.isnan(value)
    }
    theirs = {
        (labels_of({k: v for k, v in one["metric"].items() if k != "__name__"}), at): (
            float(value)
        )
        for one in RECORDED["answers"][expression]
        for at, value in one["values"]
        if value != "NaN"
    }
    assert len(theirs) > 30
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert ours[key] == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_the_recorded_answers_are_those_of_all_expressions():
    assert set(RECORDED["answers"]) == set(peer().EXPRESSIONS)
    assert RECORDED["source"].startswith("Prometheus 2.")
