"""Decisions of roles and rules, and what they say about themselves."""

from dataclasses import replace

import pytest

from cortex.foundation.tenancy import Principal
from cortex.security.errors import PolicyInvalid
from cortex.security.policy import Ground, Request, scopes_suffice
from cortex.security.policy_file import parse_policy

FRIDAY_MORNING = 1_800_000_000.0  # 2027-01-15T08:00:00Z

HOUSE = """
version = 1

[roles.reader]
scopes = ["memory", "context"]

[roles.operator]
inherits = ["reader"]
scopes = ["audit"]

[[bindings]]
subjects = ["ana"]
tenants = ["acme"]
roles = ["operator"]

[[bindings]]
subjects = ["corp:*"]
roles = ["reader"]

[[rules]]
id = "at-home"
effect = "allow"
actions = ["memory.*"]
namespaces = ["agents/{subject}/*", "shared"]

[[rules]]
id = "operators-audit"
effect = "allow"
actions = ["audit.read"]
roles = ["operator"]

[[rules]]
id = "no-forgetting-when-poisoned"
effect = "deny"
actions = ["memory.forget"]
when = [{ attribute = "memory.trust", at_most = 0.2 }]

[[rules]]
id = "office-hours"
effect = "deny"
actions = ["memory.forget"]
time = { hours = "18:00-07:00" }
"""

ASK = Request(
    subject="ana",
    tenant="acme",
    action="memory.forget",
    now=FRIDAY_MORNING,
    namespace="agents/ana/notes",
    attributes={"memory.trust": 0.9},
)


def decide(request: Request = ASK, text: str = HOUSE, **change: object):
    return parse_policy(text).decide(replace(request, **change))


def test_a_role_gives_the_scope_and_a_rule_allows():
    decision = decide()
    assert decision.allowed
    assert decision.rule == "at-home"
    assert decision.reason == "the rule 'at-home' allows memory.forget"


def test_nothing_said_means_no():
    decision = decide(namespace="agents/bob/notes")
    assert not decision.allowed
    assert decision.ground is Ground.NOTHING_ALLOWS


def test_a_scope_that_nobody_gave_is_missing():
    decision = decide(subject="eve", namespace="shared")
    assert decision.ground is Ground.SCOPE_NOT_HELD
    assert decide(subject="eve", namespace="shared", scopes=frozenset({"memory"}))


def test_a_binding_holds_in_its_tenants_only():
    assert decide(tenant="other").ground is Ground.SCOPE_NOT_HELD


def test_a_claimed_role_counts_only_if_the_policy_knows_it():
    asked = replace(ASK, subject="eve", namespace="shared")
    assert decide(asked, roles=frozenset({"reader"})).allowed
    assert not decide(asked, roles=frozenset({"root"})).allowed


def test_a_deny_rule_beats_the_allow_rule():
    decision = decide(attributes={"memory.trust": 0.1})
    assert decision.ground is Ground.RULE_DENIES
    assert decision.rule == "no-forgetting-when-poisoned"


def test_what_is_not_known_counts_against_the_caller():
    decision = decide(attributes={})
    assert decision.rule == "no-forgetting-when-poisoned"
    allow = HOUSE.replace('effect = "deny"', 'effect = "allow"').replace(
        'namespaces = ["agents/{subject}/*", "shared"]', 'namespaces = ["none"]'
    )
    opened = decide(text=allow, attributes={}, now=FRIDAY_MORNING)
    assert opened.ground is Ground.NOTHING_ALLOWS


def test_a_value_of_another_type_is_as_good_as_missing():
    assert decide(attributes={"memory.trust": "0.9"}).ground is Ground.RULE_DENIES


def test_time_windows_wrap_over_midnight():
    at_six = FRIDAY_MORNING - 2 * 3600
    assert decide(now=at_six).rule == "office-hours"
    assert decide(now=at_six + 3600).allowed


@pytest.mark.parametrize("subject", ["a/b", "", "ana*"])
def test_a_placeholder_is_filled_by_plain_names_only(subject: str):
    assert not decide(
        subject=subject,
        scopes=frozenset({"memory"}),
        namespace="agents/ana/notes",
    ).allowed


def test_a_subject_with_a_slash_owns_nothing_below_another():
    held = frozenset({"*"})
    outcome = decide(subject="x/y", scopes=held, namespace="agents/x/y/notes")
    assert not outcome.allowed


def test_the_explanation_names_every_rule_and_why():
    told = parse_policy(HOUSE).explain(replace(ASK, namespace="agents/bob/notes"))
    assert told.roles == ("operator",)
    assert told.scopes == ("audit", "context", "memory")
    reasons = {c.rule: c.because for c in told.considered}
    assert reasons["at-home"] == (
        "the namespace 'agents/bob/notes' is not among [agents/{subject}/*, shared]"
    )
    assert reasons["no-forgetting-when-poisoned"] == (
        "'memory.trust at_most 0.2' fails: it is 0.9"
    )
    assert reasons["office-hours"].startswith("it applies between 18:00 and 07:00")
    assert reasons["operators-audit"] == (
        "the action 'memory.forget' is not among [audit.read]"
    )


def test_an_unknown_attribute_is_told():
    told = parse_policy(HOUSE).explain(replace(ASK, attributes={}))
    reason = next(c for c in told.considered if c.rule.startswith("no-forgetting"))
    assert reason.applied
    assert "cannot be known, so it counts" in reason.because


def test_without_a_file_a_held_scope_is_enough():
    principal = Principal("ci", scopes=frozenset({"memory"}))
    policy = scopes_suffice()
    assert policy.decide(Request.of(principal, "memory.read", 0.0)).allowed
    assert not policy.decide(Request.of(principal, "audit.read", 0.0)).allowed


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        (("version = 1", "version = 2"), "version", "must be 1"),
        (('["memory", "context"]', '["memry"]'), "roles.reader.scopes", "'memory'?"),
        (('["reader"]\nscopes', '["readr"]\nscopes'), "roles.operator.inherits", "?"),
        (
            ('scopes = ["memory", "context"]', 'inherits = ["operator"]'),
            "roles.reader.inherits",
            "circle: reader > operator > reader",
        ),
        (
            ('"allow"\nactions = ["mem', '"alow"\nactions = ["mem'),
            "rules[0].effect",
            "",
        ),
        (('["memory.*"]', '["memoryy.*"]'), "rules[0].actions", "'memory'?"),
        (('["memory.*"]', '["memory"]'), "rules[0].actions", "needs a verb"),
        (('"shared"]', '"sh*ared"]'), "rules[0].namespaces", "not a pattern"),
        (("{subject}", "{user}"), "rules[0].namespaces", "{subject}, {tenant}"),
        (("at_most = 0.2", 'at_most = "x"'), "rules[2].when[0].at_most", "number"),
        (("at_most = 0.2", "at_most = 1, is = 2"), "rules[2].when[0]", "exactly one"),
        (("18:00-07:00", "6pm"), "rules[3].time.hours", "08:00-18:00"),
        (('id = "office-hours"', 'id = "at-home"'), "rules[3].id", "given twice"),
        (('effect = "allow"\n', ""), "rules[0]", "lacks 'effect'"),
        (("time = {", "tim = {"), "rules[3]", "'time'?"),
        (("[[rules]]", "[[rules"), "policy", "not TOML"),
    ],
)
def test_a_broken_file_is_refused_at_its_place(change, place, said):
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(HOUSE.replace(*change, 1))
    assert caught.value.data["field"] == place
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("condition", "attributes", "applies"),
    [
        ('attribute = "a", is = 1', {"a": 1.0}, True),
        ('attribute = "a", is = true', {"a": 1}, False),
        ('attribute = "a", is_not = "x"', {"a": "y"}, True),
        ('attribute = "a", in = ["x", 3]', {"a": 3}, True),
        ('attribute = "a", not_in = ["x"]', {"a": "x"}, False),
        ('attribute = "a", not_in = ["x"]', {}, False),
        ('attribute = "a", at_least = 2', {"a": 2}, True),
        ('attribute = "a", starts_with = "ag"', {"a": "agent"}, True),
        ('attribute = "a", in_network = ["10.0.0.0/8"]', {"a": "10.1.2.3"}, True),
        (
            'attribute = "a", in_network = ["10.0.0.0/8"]',
            {"a": "::ffff:10.1.2.3"},
            True,
        ),
        ('attribute = "a", in_network = ["10.0.0.0/8"]', {"a": "11.1.2.3"}, False),
        ('attribute = "a", in_network = ["10.0.0.0/8"]', {"a": "here"}, False),
        ('attribute = "a", present = true', {"a": 0}, True),
        ('attribute = "a", present = false', {}, True),
    ],
)
def test_conditions(condition, attributes, applies):
    text = f"""
version = 1
[[rules]]
id = "r"
effect = "allow"
actions = ["*"]
when = [{{ {condition} }}]
"""
    asked = Request("s", "t", "memory.read", 0.0, frozenset({"*"}))
    outcome = parse_policy(text).decide(replace(asked, attributes=attributes))
    assert outcome.allowed is applies


def test_dates_days_and_offsets():
    text = """
version = 1
[[rules]]
id = "r"
effect = "allow"
actions = ["*"]
[rules.time]
not_before = 2027-01-15T00:00:00Z
not_after = 2027-01-20
days = ["fri"]
hours = "10:00-24:00"
utc_offset = "+02:00"
"""
    policy = parse_policy(text)
    asked = Request("s", "t", "memory.read", FRIDAY_MORNING, frozenset({"*"}))
    assert policy.decide(asked).allowed
    for other in (-1, 86_400, 7 * 86_400, -86_400 * 7):
        assert not policy.decide(replace(asked, now=FRIDAY_MORNING + other)).allowed
