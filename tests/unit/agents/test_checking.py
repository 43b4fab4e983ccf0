import pytest

from cortex.agents.checking import Checker, Findings, Material, Nearness, probe
from cortex.agents.criteria import measure
from cortex.agents.model import IssueKind, Output, Source
from cortex.agents.statements import citations, numbers, opposed, statement
from cortex.memory.terms import TermAnalyser

CHECKER = Checker(TermAnalyser())
SOURCES = (
    Source("m1", "The bridge was opened in 1932 and is 503 metres long."),
    Source("m2", "Ships up to 40 metres high can pass below the bridge."),
)
GOAL = "Describe the bridge: when was it opened and how long is it?"
GOOD = "The bridge was opened in 1932. It is 503 metres long."


def check(content: str, goal: str = GOAL, sources=SOURCES, criteria=(), **output):
    material = Material(Output(content, **output), goal, tuple(criteria), sources)
    return CHECKER.check(material, probe(material), None)


def kinds(found: Findings) -> set[IssueKind]:
    return {issue.kind for issue in found.issues}


def test_a_good_output_has_no_issue() -> None:
    assert check(GOOD).issues == ()


@pytest.mark.parametrize(
    ("content", "kind", "evidence"),
    [
        (GOOD.replace("503", "530"), IssueKind.NUMBER_NOT_IN_SOURCES, "530"),
        (f'{GOOD} It is "the most beautiful bridge".',
         IssueKind.CITATION_NOT_IN_SOURCES, "most beautiful bridge"),
        (f"{GOOD} See https://bridge.example/facts for more.",
         IssueKind.CITATION_NOT_IN_SOURCES, "bridge.example"),
        (f"{GOOD} Ships up to 40 metres high cannot pass below the bridge.",
         IssueKind.CONTRADICTS_SOURCE, "cannot pass"),
        (f"{GOOD} The bridge was never opened in 1932.",
         IssueKind.CONTRADICTS_ITSELF, "never opened"),
        (f"{GOOD} Elephants painted the northern towers bright yellow.",
         IssueKind.UNSUPPORTED_CLAIM, "Elephants"),
        (f"{GOOD} {GOOD}", IssueKind.REPETITION, "bridge"),
        (f"{GOOD} Apart from that the long bridge was opened by the mayor of a city in",
         IssueKind.FORMAT, ""),
        ("Cheese is made of milk by people in dairies every day.",
         IssueKind.GOAL_NOT_COVERED, "opened"),
        ("1932.", IssueKind.LENGTH, "1 words"),
    ],
)  # fmt: skip
def test_each_fault_is_found_with_its_evidence(
    content: str, kind: IssueKind, evidence: str
) -> None:
    found = check(content)
    issues = [issue for issue in found.issues if issue.kind is kind]
    assert issues, found
    assert any(evidence in issue.evidence for issue in issues)
    assert all(issue.message for issue in found.issues)


def test_without_sources_nothing_is_unsupported() -> None:
    found = check("The bridge was opened in 1732 and is 99 metres long.", sources=())
    assert kinds(found) == set()


def test_a_sum_of_known_numbers_is_not_foreign() -> None:
    sources = (Source("a", "Rent is 900 euros. Power is 60 euros."),)
    found = check("Rent and power are 960 euros together.", "Sum up", sources)
    assert IssueKind.NUMBER_NOT_IN_SOURCES not in kinds(found)


def test_too_much_confidence_is_told() -> None:
    assert IssueKind.OVERCONFIDENT in kinds(check("1932.", confidence=0.95))
    *others, told = check("1932.", confidence=0.95).issues
    many = "an issue" if len(others) == 1 else f"{len(others)} issues"
    assert told.message == f"It claims 95% and has {many}."
    assert IssueKind.OVERCONFIDENT not in kinds(check(GOOD, confidence=0.95))


def test_nearness_in_meaning_supports_other_words() -> None:
    material = Material(Output("Tall vessels fit underneath easily."), "", (), SOURCES)
    probed = probe(material)
    far = Nearness((), (0.1,))
    near = Nearness((), (1.0,))
    assert IssueKind.UNSUPPORTED_CLAIM in kinds(CHECKER.check(material, probed, far))
    assert kinds(CHECKER.check(material, probed, near)) == set()


@pytest.mark.parametrize(
    ("criterion", "good", "bad"),
    [
        ("at most 5 words", "one two three", "one two three four five six"),
        ("no fewer than 2 sentences", "One. Two.", "One."),
        ("exactly 2 bullet points", "- a\n- b", "- a"),
        ('mentions "Ana"', "ana is here", "nobody is here"),
        ('must not say "cheap"', "It costs little.", "It is cheap."),
        ("valid JSON", '{"a": 1}', "{a: 1}"),
        ("answer as a bullet list", "- a\n- b", "a and b"),
        ("with a table", "| a | b |\n|---|---|", "a, b"),
        ("ends with a question", "Shall we?", "We shall."),
    ],
)  # fmt: skip
def test_criteria_that_can_be_counted_are(criterion: str, good: str, bad: str) -> None:
    assert measure(criterion, good).understood
    assert measure(criterion, good).issue is None
    assert measure(criterion, bad).issue is not None


def test_a_criterion_of_taste_is_not_counted() -> None:
    assert not measure("friendly tone", "Hello").understood


def test_numbers_are_compared_by_value() -> None:
    assert numbers("1,000.50 euros, 7 % and -3; see [4]\n2. point") == [
        "1000.5",
        "7",
        "-3",
    ]


def test_citations_of_all_kinds_are_seen() -> None:
    text = (
        "See https://a.example/x, (Miller 2019), Smith et al. 2020, RFC 9457 and "
        '"a longer quotation" [3].'
    )
    assert len(citations(text)) == 6


@pytest.mark.parametrize(
    ("one", "other", "opposite"),
    [
        ("Sales rose in March 2020", "Sales fell in March 2020", True),
        ("The server supports IPv6", "The server does not support IPv6", True),
        ("The pump holds 40 litres of oil", "The pump holds 60 litres of oil", True),
        ("Sales rose in March 2020", "Costs fell in June 2021", False),
        ("The pump holds 40 litres", "The pump is red", False),
        ("Pier 4 stands in the river", "Pier 5 stands in the river", False),
        ("It is open, but there is no lift here", "It is open", False),
    ],
)
def test_contraries_are_told_from_other_subjects(
    one: str, other: str, *, opposite: bool
) -> None:
    assert bool(opposed(statement(one), statement(other))) is opposite
