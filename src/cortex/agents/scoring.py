"""From measured values to one calibrated score, and to what to do about it.

The score is a logistic function of the measured values, fitted on hand-labelled
outputs (``python -m benchmarks.agents --fit``): of outputs with such values, the share
that a person called good, were as many good as bad. No weight is positive: a finding
never makes a score better.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from cortex.agents.checking import Findings
from cortex.agents.model import (
    APPROVED_FROM,
    CHECKS,
    Issue,
    IssueKind,
    Judgement,
    Progress,
    Severity,
    short,
)

BIAS: Final = 1.48
WEIGHTS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "uncovered": -3.04,
        "unmet": -1.64,
        "unsupported": -4.67,
        "foreign_numbers": -3.64,
        "foreign_citations": -2.25,
        "contradicts_source": -4.97,
        "contradicts_itself": -4.97,
        "malformed": -2.98,
        "repetition": -1.18,
        "brevity": -2.15,
    }
)

ACTIONS_MAX: Final = 5
"""Things to do first: a longer list is read by nobody."""

_ORDER: Final = {Severity.HIGH: 0, Severity.MEDIUM: 1, Severity.LOW: 2}
_JUST_BELOW: Final = 0.01

_SUGGESTIONS: Final[Mapping[IssueKind, str]] = MappingProxyType(
    {
        IssueKind.GOAL_NOT_COVERED: "Answer every part of the goal by name.",
        IssueKind.CRITERION_NOT_MET: "Meet each criterion literally; they are counted.",
        IssueKind.UNSUPPORTED_CLAIM: "State what the sources say, or name a source.",
        IssueKind.NUMBER_NOT_IN_SOURCES: "Take numbers from the sources only.",
        IssueKind.CITATION_NOT_IN_SOURCES: "Cite and quote only what was read.",
        IssueKind.CONTRADICTS_SOURCE: "Follow the source, or say why it is wrong.",
        IssueKind.CONTRADICTS_ITSELF: "Decide which of both statements holds.",
        IssueKind.FORMAT: "Give the form that was asked for, complete.",
        IssueKind.LENGTH: "Fit the length to what was asked for.",
        IssueKind.REPETITION: "Say each thing once.",
        IssueKind.OVERCONFIDENT: "Claim less confidence until the issues are gone.",
        IssueKind.JUDGED: "See to what the model found.",
    }
)

_ACTIONS: Final[Mapping[IssueKind, str]] = MappingProxyType(
    {
        IssueKind.GOAL_NOT_COVERED: "Add what deals with: {evidence}",
        IssueKind.CRITERION_NOT_MET: "Change it until this holds: {against}",
        IssueKind.UNSUPPORTED_CLAIM: "Support or remove: {evidence}",
        IssueKind.NUMBER_NOT_IN_SOURCES: "Correct the number in: {evidence}",
        IssueKind.CITATION_NOT_IN_SOURCES: "Remove or correct the citation: {evidence}",
        IssueKind.CONTRADICTS_SOURCE: "Reconcile: {evidence}",
        IssueKind.CONTRADICTS_ITSELF: "Reconcile: {evidence}",
        IssueKind.FORMAT: "{message}",
        IssueKind.LENGTH: "Change the length: {evidence}",
        IssueKind.REPETITION: "Remove the repetition: {evidence}",
        IssueKind.OVERCONFIDENT: "Lower the confidence",
        IssueKind.JUDGED: "{message}",
    }
)


def score(features: Mapping[str, float]) -> float:
    """Return the quality, 0..1, of an output with these measured values."""
    worth = BIAS + sum(
        weight * features.get(name, 0.0) for name, weight in WEIGHTS.items()
    )
    return round(1 / (1 + math.exp(-worth)), 4)


def judged(findings: Findings, notes: Sequence[str] = ()) -> Judgement:
    """Return the judgement that follows from what was measured."""
    return Judgement(
        quality_score=score(findings.features),
        issues=by_weight(findings.issues),
        suggestions=suggestions(findings.issues),
        action_items=actions(findings.issues),
        method=CHECKS,
        features=findings.features,
        notes=tuple(notes),
    )


def joined(measured: Judgement, opinion: Judgement) -> Judgement:
    """Return the judgement of a model beside the measured one.

    The score is the mean of both. What was measured as grave cannot be talked away:
    with such an issue the score stays below the approval.
    """
    mean = (measured.quality_score + opinion.quality_score) / 2
    grave = any(one.severity is Severity.HIGH for one in measured.issues)
    if grave:
        mean = min(mean, APPROVED_FROM - _JUST_BELOW)
    issues = by_weight((*measured.issues, *opinion.issues))
    return Judgement(
        quality_score=round(mean, 4),
        issues=issues,
        suggestions=_unique((*measured.suggestions, *opinion.suggestions)),
        action_items=_unique((*opinion.action_items, *actions(issues)))[:ACTIONS_MAX],
        method=opinion.method,
        features=measured.features,
        notes=(*measured.notes, *opinion.notes),
    )


def by_weight(issues: Sequence[Issue]) -> tuple[Issue, ...]:
    """Return the issues, the gravest first."""
    return tuple(sorted(issues, key=lambda one: _ORDER[one.severity]))


def suggestions(issues: Sequence[Issue]) -> tuple[str, ...]:
    """Return one suggestion a kind of issue, the gravest first."""
    return _unique(tuple(_SUGGESTIONS[one.kind] for one in by_weight(issues)))


def actions(issues: Sequence[Issue]) -> tuple[str, ...]:
    """Return what to do first, at most five things."""
    told = [
        short(
            _ACTIONS[one.kind].format(
                evidence=one.evidence, against=one.against, message=one.message
            ),
            240,
        )
        for one in by_weight(issues)
    ]
    return _unique(tuple(told))[:ACTIONS_MAX]


def progress(
    previous_id: str, former_score: float, former: Sequence[str], now: Judgement
) -> Progress:
    """Return what changed since the attempt whose issues' keys are ``former``."""
    keys = tuple(one.key for one in now.issues)
    return Progress(
        previous_id=previous_id,
        score_change=round(now.quality_score - former_score, 4),
        resolved=tuple(key for key in former if key not in keys),
        remaining=tuple(key for key in former if key in keys),
    )


def _unique(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
