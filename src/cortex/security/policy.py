"""Who may do what, decided by roles and rules; pure.

Three gates, and all must open (NIST RBAC for the first, NIST SP 800-162 ABAC for the
others)::

    no deny rule applies  ∧  the scope is held  ∧  an allow rule applies

The scope is held when the credential carries it or a role of the subject gives it.
Nothing said means no: without an allow rule that applies, the answer is no. A deny
rule beats every allow rule, wherever it stands: the order of rules has no meaning.

What cannot be known counts against the caller: a condition on an attribute that the
request lacks keeps an allow rule from applying, and does not keep a deny rule from it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from cortex.foundation.tenancy import ALL_SCOPES, Principal
from cortex.security.conditions import Attribute, Condition, TimeWindow
from cortex.security.patterns import ANYTHING, Patterns

DEFAULT_RULE = "scopes-suffice"
"""Id of the only rule of the built-in policy."""

CALLERS_REMEMBERED_MAX = 4_096
"""Callers and actions whose candidate rules are kept: some MB; then begun anew."""


class Effect(StrEnum):
    """What a rule does when it applies."""

    ALLOW = "allow"
    DENY = "deny"


class Ground(StrEnum):
    """What a decision rests on."""

    RULE_ALLOWS = "rule_allows"
    RULE_DENIES = "rule_denies"
    SCOPE_NOT_HELD = "scope_not_held"
    NOTHING_ALLOWS = "nothing_allows"


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the policy.

    Attributes:
        action: ``<scope>.<verb>``, such as ``memory.forget``.
        now: epoch seconds, for rules with a time.
        scopes: what the credential carries; ``*`` is all.
        roles: what the credential claims beyond the policy's own bindings.
        resource: what is touched, such as ``memory/0192…``; empty for a whole kind.
        namespace: the partition that is touched; None where there is none. A rule
            for certain namespaces does not apply then.
        attributes: facts for conditions, such as ``client.address``.
    """

    subject: str
    tenant: str
    action: str
    now: float
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    resource: str = ""
    namespace: str | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    @classmethod
    def of(cls, principal: Principal, action: str, now: float) -> "Request":
        """Return the question whether a principal may do something at all."""
        return cls(
            subject=principal.subject,
            tenant=principal.tenant,
            action=action,
            now=now,
            scopes=principal.scopes,
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One sentence of the policy; applies when all of its criteria do.

    Attributes:
        roles: the subject has one of them; empty asks for none.
        conditions: on attributes of the request; all must hold.
        window: the times at which it applies; None is always.
    """

    id: str
    effect: Effect
    actions: Patterns
    subjects: Patterns = ANYTHING
    tenants: Patterns = ANYTHING
    roles: frozenset[str] = frozenset()
    resources: Patterns = ANYTHING
    namespaces: Patterns = ANYTHING
    conditions: tuple[Condition, ...] = ()
    window: TimeWindow | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """Gives roles to subjects of some tenants."""

    subjects: Patterns
    roles: frozenset[str]
    tenants: Patterns = ANYTHING


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, and what it rests on.

    Attributes:
        rule: id of the deciding rule; empty when none decided.
    """

    allowed: bool
    ground: Ground
    rule: str
    action: str

    @property
    def reason(self) -> str:
        """Return the answer as a sentence for a person."""
        scope = self.action.partition(".")[0]
        return {
            Ground.RULE_ALLOWS: f"the rule {self.rule!r} allows {self.action}",
            Ground.RULE_DENIES: f"the rule {self.rule!r} denies {self.action}",
            Ground.SCOPE_NOT_HELD: f"neither the token nor a role holds {scope!r}",
            Ground.NOTHING_ALLOWS: f"no rule allows {self.action}",
        }[self.ground]


@dataclass(frozen=True, slots=True)
class Considered:
    """What became of one rule.

    Attributes:
        failed: the first criterion that kept it from applying; empty when it applied.
        because: the same as a sentence.
    """

    rule: str
    effect: Effect
    applied: bool
    failed: str
    because: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with everything that led to it."""

    decision: Decision
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    considered: tuple[Considered, ...]


@dataclass(frozen=True, slots=True)
class _Candidates:
    """What of a policy can matter to one caller's one action, in the order of ids."""

    roles: frozenset[str]
    held: bool
    denies: tuple[Rule, ...]
    allows: tuple[Rule, ...]


class Policy:
    """Rules, roles and bindings, made ready for many decisions; never changes.

    What depends only on the caller and the action is worked out once and remembered,
    within a bound: it changes no answer.
    """

    __slots__ = ("_bound", "_known", "_roles", "rules")

    def __init__(
        self,
        rules: Iterable[Rule],
        *,
        roles: Mapping[str, frozenset[str]] | None = None,
        bindings: Iterable[Binding] = (),
    ) -> None:
        """Take the parts; ``roles`` maps a role to its scopes, inherited ones too."""
        self.rules = tuple(sorted(rules, key=lambda rule: rule.id))
        self._roles = MappingProxyType(dict(roles or {}))
        self._bound: Mapping[str, tuple[Binding, ...]] = MappingProxyType(
            _by_exact_subject(bindings)
        )
        self._known: dict[tuple[object, ...], _Candidates] = {}

    @property
    def roles(self) -> Mapping[str, frozenset[str]]:
        """Return each role's scopes, for issuers that name roles."""
        return self._roles

    def roles_of(self, request: Request) -> frozenset[str]:
        """Return the subject's known roles: claimed ones and bound ones."""
        found = request.roles & self._roles.keys()
        exact = self._bound.get(request.subject, ())
        for binding in (*exact, *self._bound.get("", ())):
            if binding.subjects.match(request.subject) and binding.tenants.match(
                request.tenant
            ):
                found |= binding.roles
        return frozenset(found)

    def scopes_of(self, request: Request) -> frozenset[str]:
        """Return the scopes held by the credential or by a role."""
        roles = self.roles_of(request)
        if not roles:
            return request.scopes
        return request.scopes.union(*(self._roles[role] for role in roles))

    def decide(self, request: Request) -> Decision:
        """Answer one request."""
        action = request.action
        found = self._candidates(request)
        for rule in found.denies:
            if not _mismatch_here(rule, request):
                return Decision(
                    allowed=False,
                    ground=Ground.RULE_DENIES,
                    rule=rule.id,
                    action=action,
                )
        if not found.held:
            return Decision(
                allowed=False, ground=Ground.SCOPE_NOT_HELD, rule="", action=action
            )
        for rule in found.allows:
            if not _mismatch_here(rule, request):
                return Decision(
                    allowed=True, ground=Ground.RULE_ALLOWS, rule=rule.id, action=action
                )
        return Decision(
            allowed=False, ground=Ground.NOTHING_ALLOWS, rule="", action=action
        )

    def explain(self, request: Request) -> Explanation:
        """Answer one request, and say what became of every rule."""
        roles = self.roles_of(request)
        return Explanation(
            decision=self.decide(request),
            roles=tuple(sorted(roles)),
            scopes=tuple(sorted(self.scopes_of(request))),
            considered=tuple(_considered(rule, request, roles) for rule in self.rules),
        )

    def _candidates(self, request: Request) -> _Candidates:
        key = (
            request.action,
            request.subject,
            request.tenant,
            request.scopes,
            request.roles,
        )
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= CALLERS_REMEMBERED_MAX:
                self._known.clear()
            found = self._known[key] = self._work_out(request)
        return found

    def _work_out(self, request: Request) -> _Candidates:
        roles = self.roles_of(request)
        near = [r for r in self.rules if not _mismatch_of_caller(r, request, roles)]
        scopes = self.scopes_of(request)
        return _Candidates(
            roles=roles,
            held=ALL_SCOPES in scopes or request.action.partition(".")[0] in scopes,
            denies=tuple(r for r in near if r.effect is Effect.DENY),
            allows=tuple(r for r in near if r.effect is Effect.ALLOW),
        )


def scopes_suffice() -> Policy:
    """Return the policy of a server without a policy file: a held scope is enough."""
    return Policy([Rule(DEFAULT_RULE, Effect.ALLOW, ANYTHING)])


def _by_exact_subject(bindings: Iterable[Binding]) -> dict[str, tuple[Binding, ...]]:
    """Index bindings by subject; those with a pattern stand under the empty one."""
    index: dict[str, tuple[Binding, ...]] = {}
    for binding in bindings:
        names = binding.subjects.exact if binding.subjects.only_exact else {""}
        for name in names:
            index[name] = (*index.get(name, ()), binding)
    return index


def _mismatch(rule: Rule, request: Request, roles: frozenset[str]) -> str:
    """Return the first criterion that keeps the rule from applying, or nothing."""
    return _mismatch_of_caller(rule, request, roles) or _mismatch_here(rule, request)


def _mismatch_of_caller(rule: Rule, request: Request, roles: frozenset[str]) -> str:
    """Look at the criteria that stay the same for a caller and an action."""
    if not rule.actions.match(request.action):
        return "actions"
    if not rule.subjects.match(request.subject):
        return "subjects"
    if not rule.tenants.match(request.tenant):
        return "tenants"
    return "roles" if rule.roles and not rule.roles & roles else ""


def _mismatch_here(rule: Rule, request: Request) -> str:
    """Look at the criteria that differ from request to request."""
    if not rule.resources.match(request.resource, request.subject, request.tenant):
        return "resources"
    if not _namespace_fits(rule, request):
        return "namespaces"
    return _situation(rule, request)


def _namespace_fits(rule: Rule, request: Request) -> bool:
    if request.namespace is None:
        return rule.namespaces.any
    return rule.namespaces.match(request.namespace, request.subject, request.tenant)


def _situation(rule: Rule, request: Request) -> str:
    unknown_counts = rule.effect is Effect.DENY
    for condition in rule.conditions:
        holds = condition.holds(request.attributes)
        if not (unknown_counts if holds is None else holds):
            return "when"
    if rule.window is not None and not rule.window.contains(request.now):
        return "time"
    return ""


def _considered(rule: Rule, request: Request, roles: frozenset[str]) -> Considered:
    failed = _mismatch(rule, request, roles)
    return Considered(
        rule=rule.id,
        effect=rule.effect,
        applied=not failed,
        failed=failed,
        because=_because(rule, request, failed, roles),
    )


def _because(rule: Rule, request: Request, failed: str, roles: frozenset[str]) -> str:
    """Say in a sentence why the rule applied or not."""
    facts = {
        "actions": f"the action {request.action!r} is not among {rule.actions}",
        "subjects": f"the subject {request.subject!r} is not among {rule.subjects}",
        "tenants": f"the tenant {request.tenant!r} is not among {rule.tenants}",
        "roles": f"the roles {sorted(roles)} hold none of {sorted(rule.roles)}",
        "resources": f"the resource {request.resource!r} is not among {rule.resources}",
        "namespaces": (
            f"the namespace {request.namespace!r} is not among {rule.namespaces}"
        ),
        "time": f"it applies {rule.window} only",
    }
    if failed == "when":
        return "; ".join(_unmet(rule, request))
    if failed:
        return facts[failed]
    unknown = [c for c in rule.conditions if c.holds(request.attributes) is None]
    if unknown:
        return f"every criterion fits; {unknown[0]} cannot be known, so it counts"
    return "every criterion fits"


def _unmet(rule: Rule, request: Request) -> Iterable[str]:
    for condition in rule.conditions:
        holds = condition.holds(request.attributes)
        if holds is None and rule.effect is Effect.ALLOW:
            yield f"{condition.attribute!r} is not known, so '{condition}' fails"
        elif holds is False:
            value = request.attributes.get(condition.attribute)
            yield f"'{condition}' fails: it is {value!r}"
