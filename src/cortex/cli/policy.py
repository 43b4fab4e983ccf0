"""``cortex policy``: test a policy file, and ask it why."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cortex.cli.command import command
from cortex.cli.exits import Exit
from cortex.cli.printing import print_json, print_table
from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import ValidationError
from cortex.foundation.tenancy import DEFAULT_TENANT
from cortex.security.conditions import Attribute
from cortex.security.policy import Explanation, Policy, Request
from cortex.security.policy_file import parse_policy

PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--file", "-f", help="The policy; else CORTEX_POLICY_FILE, else policy.toml."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@dataclass(frozen=True, slots=True)
class Question:
    """Who wants what, where and when."""

    subject: Annotated[str, typer.Option(help="Name of the token's holder.")] = ""
    tenant: Annotated[str, typer.Option(help="Whose data it is.")] = DEFAULT_TENANT
    scope: Annotated[
        list[str] | None, typer.Option(help="A scope the token holds; repeatable.")
    ] = None
    role: Annotated[
        list[str] | None, typer.Option(help="A role the token claims; repeatable.")
    ] = None
    resource: Annotated[str, typer.Option(help="Such as memory/0192….")] = ""
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Namespace it touches.")
    ] = None
    attribute: Annotated[
        list[str] | None,
        typer.Option("--attribute", "-a", help="NAME=VALUE; repeatable."),
    ] = None
    at: Annotated[str | None, typer.Option(help="The moment, ISO 8601; else now.")] = (
        None
    )


@command
def explain(
    action: Annotated[str, typer.Argument(help="SCOPE.VERB, such as memory.forget.")],
    question: Question,
    file: PolicyFile = None,
    as_json: AsJson = False,
) -> int:
    """Say whether something is allowed, by which rule, and what kept the others out.

    Exit code 0 when it is allowed, 5 when it is not.

    Example: cortex policy explain memory.forget --subject ci --scope memory -n shared
    """
    told = _read(_chosen(file)).explain(_request(action, question))
    if as_json:
        print_json(_as_json(told))
    else:
        _print(told)
    return Exit.OK if told.decision.allowed else Exit.AUTH


@command
def check(file: PolicyFile = None, as_json: AsJson = False) -> int:
    """Read a policy file and say what is wrong with it, or what is in it.

    Example: cortex policy check --file policy.toml
    """
    file = _chosen(file)
    policy = _read(file)
    allows = sum(rule.effect == "allow" for rule in policy.rules)
    denies = len(policy.rules) - allows
    if as_json:
        print_json({"ok": True, "allow": allows, "deny": denies})
    else:
        print(f"{file} is good: {allows} allow rules, {denies} deny rules")
        if not allows:
            print("nothing is allowed: there is no allow rule")
    return Exit.OK


def build() -> typer.Typer:
    """Return the command group."""
    group = typer.Typer(
        no_args_is_help=True, help="Access policy: check a file, ask it why."
    )
    group.command("explain")(explain)
    group.command("check")(check)
    return group


def _chosen(file: Path | None) -> Path:
    if file is not None:
        return file
    from cortex.settings import load

    return (load().settings.policy_file or Path("policy.toml")).expanduser()


def _read(file: Path) -> Policy:
    return parse_policy(file.read_text(encoding="utf-8"))


def _request(action: str, question: Question) -> Request:
    return Request(
        subject=question.subject,
        tenant=question.tenant,
        action=action,
        now=_moment(question.at),
        scopes=frozenset(question.scope or ()),
        roles=frozenset(question.role or ()),
        resource=question.resource,
        namespace=question.namespace,
        attributes=dict(_attribute(text) for text in question.attribute or ()),
    )


def _moment(text: str | None) -> float:
    if text is None:
        return SystemClock().now()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValidationError(f"{text!r} is not an ISO 8601 time", field="at") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _attribute(text: str) -> tuple[str, Attribute]:
    """Read NAME=VALUE; true, false and numbers are what they look like."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValidationError(f"{text!r} is not NAME=VALUE", field="attribute")
    if value in {"true", "false"}:
        return name, value == "true"
    try:
        return name, float(value)
    except ValueError:
        return name, value


def _as_json(told: Explanation) -> dict[str, object]:
    decision = told.decision
    return {
        "allowed": decision.allowed,
        "ground": decision.ground.value,
        "rule": decision.rule,
        "reason": decision.reason,
        "roles": told.roles,
        "scopes": told.scopes,
        "considered": told.considered,
    }


def _print(told: Explanation) -> None:
    decision = told.decision
    print(f"{'allowed' if decision.allowed else 'denied'}: {decision.reason}")
    print(f"roles: {', '.join(told.roles) or '-'}")
    print(f"scopes held: {', '.join(told.scopes) or '-'}")
    rows = [
        (c.rule, c.effect.value, "applies" if c.applied else c.failed, c.because)
        for c in told.considered
    ]
    print_table(("rule", "effect", "outcome", "because"), rows)
