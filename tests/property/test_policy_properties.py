"""What holds for every policy: deny wins, silence is no, order has no meaning."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cortex.security.conditions import Condition, Operator, TimeWindow
from cortex.security.patterns import Patterns
from cortex.security.policy import Effect, Ground, Policy, Request, Rule

NAMES = ["a", "ab", "b", "team/a", "team/b"]
ACTIONS = ["memory.read", "memory.forget", "audit.read"]
SCOPES = ["memory", "audit", "config"]

patterns = st.lists(
    st.sampled_from([*NAMES, "*", "a*", "team/*", "{subject}", "team/{subject}"]),
    min_size=1,
    max_size=3,
).map(Patterns)
plain_patterns = st.lists(
    st.sampled_from([*NAMES, "*", "a*", "team/*"]), min_size=1, max_size=3
).map(Patterns)
conditions = st.builds(
    Condition,
    attribute=st.sampled_from(["x", "y"]),
    operator=st.sampled_from([Operator.IS, Operator.IS_NOT, Operator.AT_LEAST]),
    operand=st.integers(0, 2),
)
rules = st.builds(
    Rule,
    id=st.just("r"),
    effect=st.sampled_from(Effect),
    actions=st.lists(
        st.sampled_from([*ACTIONS, "memory.*", "*"]), min_size=1, max_size=2
    ).map(Patterns),
    subjects=plain_patterns,
    tenants=plain_patterns,
    namespaces=patterns,
    conditions=st.lists(conditions, max_size=2).map(tuple),
    window=st.none() | st.builds(TimeWindow, days=st.frozensets(st.integers(0, 6))),
)
rule_lists = st.lists(rules, max_size=8).map(
    lambda found: [replace(rule, id=f"r{n}") for n, rule in enumerate(found)]
)
requests = st.builds(
    Request,
    subject=st.sampled_from(NAMES),
    tenant=st.sampled_from(NAMES),
    action=st.sampled_from(ACTIONS),
    now=st.floats(0, 1e7),
    scopes=st.frozensets(st.sampled_from([*SCOPES, "*"])),
    namespace=st.none() | st.sampled_from(NAMES),
    attributes=st.dictionaries(st.sampled_from(["x", "y"]), st.integers(0, 2)),
)


@given(rule_lists, requests, st.randoms(use_true_random=False))
def test_the_order_of_rules_has_no_meaning(found, request, chance):
    expected = Policy(found).explain(request)
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert Policy(shuffled).explain(request) == expected


@given(rule_lists, requests)
def test_one_applying_deny_rule_is_enough(found, request):
    told = Policy(found).explain(request)
    denied = [c for c in told.considered if c.applied and c.effect is Effect.DENY]
    if denied:
        assert told.decision.ground is Ground.RULE_DENIES
        assert told.decision.rule == denied[0].rule
        assert not told.decision.allowed


@given(rule_lists, requests)
def test_yes_needs_a_held_scope_an_allow_rule_and_no_deny_rule(found, request):
    told = Policy(found).explain(request)
    applied = {c.effect for c in told.considered if c.applied}
    held = bool({"*", request.action.partition(".")[0]} & request.scopes)
    assert told.decision.allowed == (applied == {Effect.ALLOW} and held)


@given(rule_lists, requests)
def test_more_deny_rules_never_open_and_fewer_attributes_never_help(found, request):
    allows = [rule for rule in found if rule.effect is Effect.ALLOW]
    if Policy(found).decide(request).allowed:
        assert Policy(allows).decide(request).allowed
    if Policy(found).decide(replace(request, attributes={})).allowed:
        assert all(
            Policy(found).decide(replace(request, attributes={"x": x, "y": y})).allowed
            for x in range(3)
            for y in range(3)
            if not any(rule.conditions for rule in found)
        )


@given(requests)
def test_an_empty_policy_allows_nothing(request):
    assert not Policy([]).decide(request).allowed


@given(rule_lists, requests)
def test_an_explanation_says_why_for_every_rule(found, request):
    told = Policy(found).explain(request)
    assert len(told.considered) == len(found)
    assert all(c.because and c.applied == (not c.failed) for c in told.considered)
