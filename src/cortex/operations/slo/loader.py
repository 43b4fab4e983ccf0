"""Reads objectives: the short form of ``.slo.yml``, and OpenSLO v1 documents.

Short form::

    slo:
      memory: {p95_ms: 250, error_rate: 0.001}
      /memory/search: {p95_ms: 400, error_rate: 0.01}

A key is a route template or a group of ``cortex.operations.slo.defaults``. What a file
says of a group replaces the default promise of that name; the rest stays.

OpenSLO (https://github.com/OpenSLO/OpenSLO, apiVersion ``openslo/v1``): documents of
kind SLO whose indicator has the metric source type ``cortex`` and a ``spec`` with
``routes`` or ``group``; SLI documents may stand apart. A ``ratioMetric`` is an
availability, a ``thresholdMetric`` in seconds a latency. Services, data sources and
alert policies are read over: pages follow from the objective itself.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

import yaml

from cortex.operations.errors import SloInvalid
from cortex.operations.slo.defaults import (
    GROUPS,
    P95_SHARE,
    P99_SHARE,
    Group,
    availability,
    default_objectives,
    latency,
)
from cortex.operations.slo.model import Kind, Objective

FILE_CHARACTERS_MAX = 262_144
"""Characters of a file of objectives: thousands of lines, written by people."""

OBJECTIVES_MAX = 200
"""Objectives in force: each is two series and six windows a tick."""

LATENCY_MS_MAX = 600_000.0
PERIOD_DAYS_MIN, PERIOD_DAYS_MAX = 7, 28
"""A period shorter than the longest alert window means nothing; a longer one than is
kept cannot be told."""

SOURCE_TYPE = "cortex"
OPENSLO = "openslo/v1"

_SHORT_KEYS = frozenset({"p95_ms", "p99_ms", "error_rate"})
_SHARES = {"p95_ms": P95_SHARE, "p99_ms": P99_SHARE}
_OPENSLO_KINDS = frozenset(
    {
        "SLO",
        "SLI",
        "Service",
        "DataSource",
        "AlertPolicy",
        "AlertCondition",
        "AlertNotificationTarget",
    }
)
_DURATION = re.compile(r"^(\d{1,3})([dw])$")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DAYS = {"d": 1, "w": 7}

Document: TypeAlias = Mapping[str, Any]


class _Twice(Exception):
    """A key that a mapping has already; YAML itself lets the last one win unsaid."""

    def __init__(self, key: str, line: int) -> None:
        super().__init__(key)
        self.key = key
        self.line = line


class _Loader(yaml.SafeLoader):
    """Reads plain data, and no key twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return a mapping.

        Raises:
            _Twice: it names a key twice.
        """
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _Twice(key.value, key.start_mark.line + 1)
                seen.add(key.value)
        return node


def parse_objectives(text: str) -> tuple[Objective, ...]:
    """Return the defaults with what the text says, by name.

    Raises:
        SloInvalid: it is not YAML, or says something that cannot be meant.
    """
    if len(text) > FILE_CHARACTERS_MAX:
        raise _wrong("", f"is longer than {FILE_CHARACTERS_MAX} characters")
    try:
        documents = [d for d in yaml.load_all(text, _Loader) if d is not None]
    except _Twice as error:
        raise _wrong(f"line {error.line}", f"names {error.key!r} again") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f"line {where.line + 1}" if where is not None else ""
        raise _wrong(line, "is not YAML that can be read") from None
    objectives = {item.name: item for item in default_objectives()}
    for objective in _read(documents):
        objectives[objective.name] = objective
    if len(objectives) > OBJECTIVES_MAX:
        raise _wrong("", f"makes more than {OBJECTIVES_MAX} objectives")
    return tuple(objectives.values())


def _read(documents: Sequence[object]) -> Iterator[Objective]:
    indicators: dict[str, Document] = {}
    slos: list[Document] = []
    for number, document in enumerate(documents, 1):
        where = f"document {number}"
        body = _mapping(document, where)
        if "apiVersion" not in body:
            yield from _short(body, where)
            continue
        kind = _openslo_kind(body, where)
        if kind == "SLI":
            indicators[_name(body, where)] = body
        elif kind == "SLO":
            slos.append(body)
    for body in slos:
        yield from _openslo(body, indicators)


def _short(body: Document, where: str) -> Iterator[Objective]:
    unknown = set(body) - {"slo"}
    if unknown or "slo" not in body:
        raise _wrong(where, "must have the one key 'slo', or be an OpenSLO document")
    for name, promised in _mapping(body["slo"], "slo").items():
        at = f"slo.{name}"
        group = _group(str(name), at)
        goals = _mapping(promised, at)
        unknown = set(goals) - _SHORT_KEYS
        if unknown or not goals:
            raise _wrong(at, f"takes {', '.join(sorted(_SHORT_KEYS))}")
        if "error_rate" in goals:
            rate = _between(goals["error_rate"], f"{at}.error_rate", 0, 1)
            yield availability(str(name), group, rate)
        for key, share in _SHARES.items():
            if key in goals:
                limit = _between(goals[key], f"{at}.{key}", 0, LATENCY_MS_MAX)
                yield latency(str(name), group, share, limit)


def _group(name: str, where: str) -> Group:
    if name.startswith("/"):
        return Group((name,))
    if name in GROUPS:
        return GROUPS[name]
    known = ", ".join(sorted(GROUPS))
    raise _wrong(where, f"is neither a route (/…) nor one of the groups {known}")


def _openslo_kind(body: Document, where: str) -> str:
    if body["apiVersion"] != OPENSLO:
        raise _wrong(f"{where}.apiVersion", f"must be {OPENSLO}")
    kind = body.get("kind")
    if kind not in _OPENSLO_KINDS:
        raise _wrong(f"{where}.kind", f"must be one of {sorted(_OPENSLO_KINDS)}")
    return str(kind)


def _openslo(body: Document, indicators: Mapping[str, Document]) -> Iterator[Objective]:
    name = _name(body, "SLO")
    at = f"SLO {name}"
    spec = _mapping(body.get("spec"), f"{at}.spec")
    if spec.get("budgetingMethod", "Occurrences") != "Occurrences":
        raise _wrong(f"{at}.spec.budgetingMethod", "must be Occurrences")
    indicator = _indicator(spec, indicators, at)
    kind, group = _measured(indicator, at)
    period = _period(spec, at)
    goals = spec.get("objectives")
    if not isinstance(goals, list) or not goals:
        raise _wrong(f"{at}.spec.objectives", "must hold at least one objective")
    for number, given in enumerate(goals):
        where = f"{at}.spec.objectives[{number}]"
        goal = _mapping(given, where)
        suffix = "" if len(goals) == 1 else f"-{number + 1}"
        yield Objective(
            name=f"{name}{suffix}:{kind.value}",
            group=name,
            kind=kind,
            routes=group.routes,
            target=_target(goal, where),
            threshold_seconds=_threshold(goal, where) if kind is Kind.LATENCY else None,
            excluded=group.excluded,
            period_seconds=period,
        )


def _indicator(spec: Document, indicators: Mapping[str, Document], at: str) -> Document:
    if "indicatorRef" in spec:
        found = indicators.get(str(spec["indicatorRef"]))
        if found is None:
            raise _wrong(f"{at}.spec.indicatorRef", "names no SLI of this file")
        return _mapping(found.get("spec"), "SLI.spec")
    inline = _mapping(spec.get("indicator"), f"{at}.spec.indicator")
    return _mapping(inline.get("spec"), f"{at}.spec.indicator.spec")


def _measured(indicator: Document, at: str) -> tuple[Kind, Group]:
    ratio, threshold = indicator.get("ratioMetric"), indicator.get("thresholdMetric")
    if (ratio is None) == (threshold is None):
        raise _wrong(at, "needs one of ratioMetric and thresholdMetric")
    if threshold is not None:
        return Kind.LATENCY, _source(_mapping(threshold, at), at)
    parts = _mapping(ratio, at)
    for side in ("total", "good", "bad", "raw"):
        if side in parts:
            return Kind.AVAILABILITY, _source(_mapping(parts[side], at), at)
    raise _wrong(at, "has a ratioMetric without good, bad or total")


def _source(metric: Document, at: str) -> Group:
    source = _mapping(metric.get("metricSource"), f"{at}.metricSource")
    if source.get("type") != SOURCE_TYPE:
        told = f"must have the type {SOURCE_TYPE!r}: other sources are not asked"
        raise _wrong(f"{at}.metricSource", told)
    spec = _mapping(source.get("spec"), f"{at}.metricSource.spec")
    if "group" in spec:
        return _group(str(spec["group"]), f"{at}.metricSource.spec.group")
    routes = spec.get("routes")
    if not isinstance(routes, list) or not routes:
        raise _wrong(f"{at}.metricSource.spec", "needs group or routes")
    if not all(isinstance(r, str) and r.startswith("/") for r in routes):
        raise _wrong(f"{at}.metricSource.spec.routes", "must be route templates (/…)")
    return Group(tuple(routes))


def _period(spec: Document, at: str) -> float:
    windows = spec.get("timeWindow")
    where = f"{at}.spec.timeWindow"
    if not isinstance(windows, list) or len(windows) != 1:
        raise _wrong(where, "must hold one window")
    window = _mapping(windows[0], where)
    if window.get("isRolling") is not True:
        raise _wrong(where, "must be rolling (isRolling: true)")
    match = _DURATION.match(str(window.get("duration")))
    days = int(match[1]) * _DAYS[match[2]] if match else 0
    if not PERIOD_DAYS_MIN <= days <= PERIOD_DAYS_MAX:
        told = f"must last {PERIOD_DAYS_MIN}d to {PERIOD_DAYS_MAX}d, such as 28d or 4w"
        raise _wrong(f"{where}.duration", told)
    return days * 86_400.0


def _target(goal: Document, where: str) -> float:
    if ("target" in goal) == ("targetPercent" in goal):
        raise _wrong(where, "needs one of target and targetPercent")
    if "target" in goal:
        return _between(goal["target"], f"{where}.target", 0, 1)
    return _between(goal["targetPercent"], f"{where}.targetPercent", 0, 100) / 100


def _threshold(goal: Document, where: str) -> float:
    if goal.get("op") not in {"lte", "lt"}:
        raise _wrong(f"{where}.op", "must be lte or lt: a latency is an upper bound")
    limit = LATENCY_MS_MAX / 1_000
    return _between(goal.get("value"), f"{where}.value (seconds)", 0, limit)


def _name(body: Document, where: str) -> str:
    name = _mapping(body.get("metadata"), f"{where}.metadata").get("name")
    if not isinstance(name, str) or not re.fullmatch(
        r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name
    ):
        raise _wrong(f"{where}.metadata.name", "must be an RFC 1123 label")
    return name


def _mapping(value: object, where: str) -> Document:
    if not isinstance(value, dict):
        raise _wrong(where, "must be a mapping")
    return cast("Document", value)


def _between(value: object, where: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(where, "must be a number")
    if not low < value < high:
        raise _wrong(where, f"must lie between {low:g} and {high:g}")
    return float(value)


def _wrong(where: str, problem: str) -> SloInvalid:
    place = where or "the file of objectives"
    hint = "docs/how-to/slo.md shows both forms."
    return SloInvalid(f"{place} {problem}", hint=hint, field=where)
