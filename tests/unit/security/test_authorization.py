"""The policy in force answers for the edges."""

import pytest

from cortex.foundation.errors import PermissionDenied
from cortex.foundation.tenancy import Principal
from cortex.security.authorization import Authorization
from cortex.security.policy_file import parse_policy

CI = Principal("ci", "acme", frozenset({"memory"}))
POLICY = """
version = 1
[[rules]]
id = "shared"
effect = "allow"
actions = ["memory.*"]
namespaces = ["shared"]
[[rules]]
id = "inside"
effect = "deny"
actions = ["memory.forget"]
when = [{ attribute = "client.address", in_network = ["192.0.2.0/24"] }]
"""


def test_without_a_policy_the_scope_decides(clock):
    gate = Authorization(clock)
    gate.require(CI, "memory.forget", namespace="anything")
    with pytest.raises(PermissionDenied, match="'audit'") as caught:
        gate.require(CI, "audit.read")
    assert caught.value.data == {"scope": "audit"}


def test_a_policy_is_put_in_force_at_once(clock):
    gate = Authorization(clock)
    gate.replace(parse_policy(POLICY))
    near = {"client.address": "192.0.2.7"}
    far = {"client.address": "198.51.100.7"}
    gate.require(CI, "memory.forget", namespace="shared", attributes=far)
    with pytest.raises(PermissionDenied) as caught:
        gate.require(CI, "memory.forget", namespace="shared", attributes=near)
    assert caught.value.data == {"action": "memory.forget", "rule": "inside"}
    with pytest.raises(PermissionDenied, match="no rule allows"):
        gate.require(CI, "memory.read", namespace="other")
    assert [rule.id for rule in gate.policy.rules] == ["inside", "shared"]
