"""Measures of an output against its goal, its criteria, its sources and itself.

Every finding carries its evidence. What cannot be measured is not held against the
output: without sources nothing is unsupported.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cortex.agents.clauses import decompose
from cortex.agents.criteria import measure
from cortex.agents.model import Issue, IssueKind, Output, Severity, Source, short
from cortex.agents.statements import (
    NUMBERS_MAX,
    Statement,
    citations,
    clauses,
    is_claim,
    numbers,
    opposed,
    statement,
    statements,
)
from cortex.memory.terms import TermAnalyser, words

ASPECTS_MAX: Final = 12
"""Parts of the goal and criteria that coverage is measured for."""

CLAIMS_MAX: Final = 24
"""Claims of an output that are held against the sources: an embedding each."""

PASSAGES_MAX: Final = 48
"""Passages of the sources they are held against."""

COVERED_FROM: Final = 0.3
"""Nearness from which a part of the goal counts as dealt with."""

SUPPORTED_FROM: Final = 0.5
"""Nearness to some passage from which a claim counts as supported."""

EVIDENCE_CHARACTERS_MAX: Final = 200
ISSUES_OF_A_KIND_MAX: Final = 5
"""Issues of one kind that are listed: more of the same teach nothing."""

OVERCONFIDENT_FROM: Final = 0.9
WORDS_MIN: Final = 5
"""Words below which an output can hardly answer a goal."""

COMBINED_MAX: Final = 40
"""Numbers of the sources whose sums and differences count as told."""

TELLING: Final = 12
"""Characters from which a sentence that stands twice is a repetition."""

_QUESTION: Final = re.compile(r"^(?:what|how|why|when|where|who)\b", re.IGNORECASE)
_ASPECT: Final = re.compile(r"[,;]\s+(?:and\s+)?|\?\s+")
_ORDER: Final = re.compile(
    r"^(?:and\s+)?(?:summari[sz]e|report|explain|describe|tell(?:\s+(?:me|us|\w+ \w+))?"
    r"|write|answer|review|document|list|give|show|discuss|outline|draft)\b"
    r"(?:\s+(?:the|a|an|our|about|to|when|what|how|why|who|where))*\s+",
    re.IGNORECASE,
)
_TRIGRAM: Final = 3
_REPEATED_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Material:
    """An output and what it is held against.

    Attributes:
        sources: memories and what the caller gave; empty when there is nothing.
    """

    output: Output
    goal: str = ""
    criteria: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """The texts whose nearness in meaning is wanted, bounded.

    Attributes:
        aspects: parts of the goal, and criteria that no count measures.
        claims: statements of the output.
        passages: statements of the sources, each with its source's id.
    """

    aspects: tuple[str, ...]
    claims: tuple[Statement, ...]
    passages: tuple[tuple[str, Statement], ...]


@dataclass(frozen=True, slots=True)
class Nearness:
    """Cosines, -1..1, in the order of the probe; the best over the other side.

    Attributes:
        aspects: each aspect to the nearest claim.
        claims: each claim to the nearest passage.
    """

    aspects: tuple[float, ...]
    claims: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """Issues, and the measured values that the score is made from (0..1 each)."""

    issues: tuple[Issue, ...]
    features: dict[str, float]


FEATURES: Final = (
    "uncovered",
    "unmet",
    "unsupported",
    "foreign_numbers",
    "foreign_citations",
    "contradicts_source",
    "contradicts_itself",
    "malformed",
    "repetition",
    "brevity",
)
"""Names of the values, each 0 for nothing wrong."""


def probe(material: Material) -> Probe:
    """Return the texts to compare by meaning."""
    soft = [
        one
        for one in material.criteria
        if not measure(one, material.output.content).understood
    ]
    stated = statements(material.output.content)
    passages = [
        (source.id, one)
        for source in material.sources
        for one in statements(source.text)
        if one.words
    ]
    return Probe(
        tuple((*aspects(material.goal), *soft)[:ASPECTS_MAX]),
        tuple(one for one in stated if one.words)[:CLAIMS_MAX],
        tuple(passages[:PASSAGES_MAX]),
    )


def aspects(goal: str) -> list[str]:
    """Return what a goal wants to be dealt with, without the words of the order.

    "Report the quarter: revenue, costs" has the aspects revenue and costs.
    """
    found = (_ORDER.sub("", piece.strip(" .?!")) for piece in _pieces(goal))
    return [piece for piece in found if _tells(piece)]


def _pieces(goal: str) -> list[str]:
    parts = [part.text for part in decompose(goal).parts] if goal.strip() else []
    return [piece for part in map(_untitled, parts) for piece in _ASPECT.split(part)]


def _untitled(part: str) -> str:
    """Return what stands behind a colon: before it stands who asks, and for what."""
    return part.partition(": ")[2] or part


def _tells(aspect: str) -> bool:
    """Return whether an aspect names a subject; "what happened" names none."""
    subject = len(statement(aspect).words)
    return subject > 1 if _QUESTION.match(aspect) else subject > 0


@dataclass(frozen=True, slots=True)
class Checker:
    """Runs the checks; deterministic."""

    analyser: TermAnalyser

    def check(
        self, material: Material, probed: Probe, nearness: Nearness | None
    ) -> Findings:
        """Return what was found; ``nearness`` None measures by words alone."""
        groups: dict[str, tuple[list[Issue], float]] = {
            "uncovered": self._uncovered(material, probed, nearness),
            "unmet": _unmet(material),
            "unsupported": self._unsupported(probed, nearness),
            "foreign_numbers": _foreign_numbers(material),
            "foreign_citations": _foreign_citations(material),
            "contradicts_source": _against_sources(probed),
            "contradicts_itself": _against_itself(probed.claims),
            "malformed": _malformed(material),
            "repetition": _repetition(material.output.content),
            "brevity": _brevity(material),
        }
        issues = [
            one for found, _ in groups.values() for one in found[:ISSUES_OF_A_KIND_MAX]
        ]
        confidence = material.output.confidence
        if confidence is not None and confidence >= OVERCONFIDENT_FROM and issues:
            many = "an issue" if len(issues) == 1 else f"{len(issues)} issues"
            told = f"It claims {confidence:.0%} and has {many}."
            issues.append(
                Issue(IssueKind.OVERCONFIDENT, Severity.LOW, told, f"{confidence:g}")
            )
        features = {name: round(value, 4) for name, (_, value) in groups.items()}
        return Findings(tuple(issues), features)

    def _uncovered(
        self, material: Material, probed: Probe, nearness: Nearness | None
    ) -> tuple[list[Issue], float]:
        issues, missing = [], 0.0
        whole = set(self.analyser.terms(material.output.content))
        for n, aspect in enumerate(probed.aspects):
            near = _share(self.analyser.query_terms(aspect), whole)
            if nearness is not None and nearness.aspects:
                near = max(near, nearness.aspects[n])
            missing += max(0.0, 1 - near / COVERED_FROM) if near < COVERED_FROM else 0.0
            if near < COVERED_FROM:
                severity = Severity.HIGH if near < COVERED_FROM / 2 else Severity.MEDIUM
                told = f"Nothing in it deals with: {short(aspect, 160)}"
                kind = IssueKind.GOAL_NOT_COVERED
                issues.append(
                    Issue(
                        kind,
                        severity,
                        told,
                        short(aspect, EVIDENCE_CHARACTERS_MAX),
                        f"nearness {near:.2f}",
                    )
                )
        return issues, missing / len(probed.aspects) if probed.aspects else 0.0

    def _unsupported(
        self, probed: Probe, nearness: Nearness | None
    ) -> tuple[list[Issue], float]:
        if not probed.passages:
            return [], 0.0
        known = [set(self.analyser.terms(one.text)) for _, one in probed.passages]
        issues, claims = [], 0
        for n, claim in enumerate(probed.claims):
            if not is_claim(claim):
                continue
            claims += 1
            wanted = self.analyser.query_terms(claim.text)
            held = max(_share(wanted, terms) for terms in known)
            near = held
            if nearness is not None and nearness.claims:
                near = (held + max(0.0, nearness.claims[n])) / 2
            if near < SUPPORTED_FROM:
                severity = (
                    Severity.HIGH if near < SUPPORTED_FROM / 2 else Severity.MEDIUM
                )
                told = "No source says this."
                evidence = short(claim.text, EVIDENCE_CHARACTERS_MAX)
                kind = IssueKind.UNSUPPORTED_CLAIM
                issues.append(
                    Issue(kind, severity, told, evidence, f"nearness {near:.2f}")
                )
        return issues, len(issues) / claims if claims else 0.0


def _share(wanted: Sequence[int], held: set[int]) -> float:
    """Return the share of a text's words that are held."""
    return sum(term in held for term in wanted) / len(wanted) if wanted else 0.0


def _unmet(material: Material) -> tuple[list[Issue], float]:
    """Return criteria with counts that are not met; forms are counted elsewhere."""
    found, understood = [], 0
    for criterion in material.criteria:
        met = measure(criterion, material.output.content)
        understood += met.understood
        if met.issue is not None and met.issue.kind is not IssueKind.FORMAT:
            found.append(met.issue)
    return found, len(found) / understood if understood else 0.0


def _malformed(material: Material) -> tuple[list[Issue], float]:
    content = material.output.content
    issues = [
        met.issue
        for met in (measure(one, content) for one in material.criteria)
        if met.issue is not None and met.issue.kind is IssueKind.FORMAT
    ]
    issues += [
        Issue(IssueKind.FORMAT, Severity.MEDIUM, told)
        for told in _broken_forms(content)
    ]
    return issues, float(bool(issues))


def _broken_forms(content: str) -> Iterator[str]:
    if content.count("```") % 2:
        yield "A code block is opened and not closed."
    end = content.rstrip()
    if (
        end
        and end[-1].isalnum()
        and len(end.split()) > 3 * WORDS_MIN
        and "\n" not in end
    ):
        yield "It stops in the middle of a sentence."
    elif end.endswith((",", " and", ":", ";")):
        yield "It stops where something should follow."


def _foreign_numbers(material: Material) -> tuple[list[Issue], float]:
    stated = list(dict.fromkeys(numbers(material.output.content)))[:NUMBERS_MAX]
    if not material.sources or not stated:
        return [], 0.0
    told = (material.goal, *material.criteria, *(s.text for s in material.sources))
    known = set(numbers("\n".join(told)))
    explained = _derived(known)
    foreign = [
        one
        for one in stated
        if one not in known and round(float(one), _DIGITS) not in explained
    ]
    sentences = statements(material.output.content) if foreign else ()
    issues = [
        Issue(
            IssueKind.NUMBER_NOT_IN_SOURCES,
            Severity.HIGH,
            f"The number {one} is in no source.",
            _around(sentences, one),
        )
        for one in foreign[:ISSUES_OF_A_KIND_MAX]
    ]
    return issues, max(len(foreign) / len(stated), min(1.0, len(foreign) / 2))


def _derived(known: set[str]) -> frozenset[float]:
    """Return what needs no source: small counts, sums and differences of two."""
    values = [float(one) for one in sorted(known)[:COMBINED_MAX]]
    pairs = {
        round(result, _DIGITS)
        for n, left in enumerate(values)
        for right in values[:n]
        for result in (left + right, left - right, right - left)
    }
    return frozenset(pairs | {0.0, 1.0, 2.0, 3.0})


_DIGITS: Final = 6
"""Digits behind the point to which sums are compared."""


def _foreign_citations(material: Material) -> tuple[list[Issue], float]:
    cited = citations(material.output.content)
    if not material.sources or not cited:
        return [], 0.0
    told = (material.goal, *(f"[{s.id}] {s.text}" for s in material.sources))
    known = " ".join("\n".join(told).casefold().split())
    foreign = [one for one in cited if " ".join(one.casefold().split()) not in known]
    issues = [
        Issue(
            IssueKind.CITATION_NOT_IN_SOURCES,
            Severity.HIGH,
            "What it cites or quotes is in no source.",
            short(one, EVIDENCE_CHARACTERS_MAX),
        )
        for one in foreign
    ]
    return issues, len(foreign) / len(cited)


def _against_sources(probed: Probe) -> tuple[list[Issue], float]:
    told = [
        (source_id, passage, part)
        for source_id, passage in probed.passages
        for part in clauses(passage.text)
    ]
    issues = []
    for claim in probed.claims:
        found = next(
            (
                (why, source_id, passage)
                for part in clauses(claim.text)
                for source_id, passage, other in told
                if (why := opposed(part, other))
            ),
            None,
        )
        if found is None:
            continue
        why, source_id, passage = found
        issues.append(
            Issue(
                IssueKind.CONTRADICTS_SOURCE,
                Severity.HIGH,
                f"A source says otherwise ({why}).",
                short(claim.text, EVIDENCE_CHARACTERS_MAX),
                f"{source_id}: {short(passage.text, EVIDENCE_CHARACTERS_MAX)}",
            )
        )
    return issues, min(1.0, len(issues) / 2)


def _against_itself(claims: Sequence[Statement]) -> tuple[list[Issue], float]:
    parts = [(claim, part) for claim in claims for part in clauses(claim.text)]
    issues = []
    for n, (claim, part) in enumerate(parts):
        for other_claim, other in parts[n + 1 :]:
            why = opposed(part, other)
            if why:
                told = f"It contradicts itself ({why})."
                evidence = short(other_claim.text, EVIDENCE_CHARACTERS_MAX)
                against = short(claim.text, EVIDENCE_CHARACTERS_MAX)
                kind = IssueKind.CONTRADICTS_ITSELF
                issues.append(Issue(kind, Severity.HIGH, told, evidence, against))
    return issues, min(1.0, len(issues) / 2)


def _repetition(content: str) -> tuple[list[Issue], float]:
    said = Counter(" ".join(words(one.text)) for one in statements(content))
    again = [(text, n) for text, n in said.items() if n > 1 and len(text) > TELLING]
    run = words(content)
    grams = Counter(zip(run, run[1:], run[2:], strict=False))
    total = sum(grams.values())
    share = sum(n - 1 for n in grams.values()) / total if total else 0.0
    issues = [
        Issue(
            IssueKind.REPETITION,
            Severity.MEDIUM,
            f"The same sentence stands {n} times.",
            short(text, EVIDENCE_CHARACTERS_MAX),
        )
        for text, n in again
    ]
    if share > _REPEATED_SHARE and not issues:
        told = f"{share:.0%} of its runs of {_TRIGRAM} words are repetitions."
        issues.append(Issue(IssueKind.REPETITION, Severity.LOW, told))
    return issues, min(1.0, share * 2)


def _brevity(material: Material) -> tuple[list[Issue], float]:
    size = len(words(material.output.content))
    wanted = max(WORDS_MIN, len(_pieces(material.goal)) * WORDS_MIN)
    if size >= wanted or _short_is_asked(material):
        return [], 0.0
    told = f"{size} words are few for a goal of this size."
    issue = Issue(IssueKind.LENGTH, Severity.MEDIUM, told, f"{size} words")
    return [issue], 1 - size / wanted


def _short_is_asked(material: Material) -> bool:
    text = material.output.content
    return any(measure(one, text).understood for one in material.criteria)


def _around(sentences: Sequence[Statement], number: str) -> str:
    """Return the sentence that holds the number."""
    for one in sentences:
        if number in one.numbers:
            return short(one.text, EVIDENCE_CHARACTERS_MAX)
    return number


__all__ = [
    "FEATURES",
    "Checker",
    "Findings",
    "Material",
    "Nearness",
    "Probe",
    "probe",
    "statement",
]
