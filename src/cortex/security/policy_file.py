"""The policy file: TOML to a ``Policy``, with errors that say where and what is right.

::

    version = 1

    [roles.reader]
    scopes = ["memory", "context"]

    [roles.operator]
    inherits = ["reader"]
    scopes = ["audit"]

    [[bindings]]
    subjects = ["ci", "corp:*"]
    tenants = ["acme"]
    roles = ["reader"]

    [[rules]]
    id = "everyone-at-home"
    effect = "allow"
    actions = ["memory.*"]
    namespaces = ["agents/{subject}/*"]

    [[rules]]
    id = "no-forgetting-from-outside"
    effect = "deny"
    actions = ["memory.forget"]
    when = [{ attribute = "client.address", in_network = ["0.0.0.0/0"] }]
    time = { hours = "18:00-08:00", days = ["mon", "fri"], utc_offset = "+01:00" }
"""

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType

from cortex.foundation.errors import ValidationError
from cortex.foundation.tenancy import ALL_SCOPES
from cortex.security.conditions import (
    DAYS,
    MINUTES_PER_DAY,
    Condition,
    Operator,
    TimeWindow,
)
from cortex.security.errors import PolicyInvalid
from cortex.security.patterns import ANYTHING, Patterns
from cortex.security.policy import Binding, Effect, Policy, Rule
from cortex.security.scopes import Scope, parse_scopes

FORMAT_VERSION = 1

POLICY_BYTES_MAX = 1024 * 1024
"""Bytes of a policy file: thousands of rules; more is a mistake."""

RULES_MAX = 1_000
"""Rules of one policy: keeps a decision short."""

_RULE_FIELDS = (
    "id",
    "effect",
    "actions",
    "subjects",
    "tenants",
    "roles",
    "resources",
    "namespaces",
    "when",
    "time",
    "description",
)
_TIME_FIELDS = ["not_before", "not_after", "hours", "days", "utc_offset"]
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_OFFSET = re.compile(r"([+-])(0\d|1[0-4]):([0-5]\d)")
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_HINT = "docs/how-to/security.md shows a whole policy; 'cortex policy check' tests one."


def parse_policy(text: str) -> Policy:
    """Return the policy written in ``text``.

    Raises:
        PolicyInvalid: it is not TOML, or breaks a rule of the format; the message
            begins with the place, such as ``rules[2].time.hours``.
    """
    if len(text.encode()) > POLICY_BYTES_MAX:
        raise _wrong("", f"the file has more than {POLICY_BYTES_MAX} bytes")
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong("", f"not TOML: {error}") from None
    _only(tree, ("version", "roles", "bindings", "rules"), "")
    if tree.get("version") != FORMAT_VERSION:
        raise _wrong("version", f"must be {FORMAT_VERSION}")
    roles = _roles(_table(tree.get("roles", {}), "roles"))
    return Policy(
        _rules(_tables(tree.get("rules", []), "rules"), roles),
        roles=roles,
        bindings=[
            _binding(entry, f"bindings[{n}]", roles)
            for n, entry in enumerate(_tables(tree.get("bindings", []), "bindings"))
        ],
    )


def _roles(tree: Mapping[str, object]) -> dict[str, frozenset[str]]:
    own: dict[str, frozenset[str]] = {}
    parents: dict[str, tuple[str, ...]] = {}
    for name, entry in tree.items():
        where = f"roles.{name}"
        if not _ID.fullmatch(name):
            raise _wrong(where, "a role's name is lower case, digits and . _ -")
        table = _table(entry, where)
        _only(table, ("scopes", "inherits"), where)
        own[name] = _scopes(table.get("scopes", []), f"{where}.scopes")
        parents[name] = _texts(table.get("inherits", []), f"{where}.inherits")
    for name, above in parents.items():
        _known(above, own, f"roles.{name}.inherits", "role")
    return {name: _inherited(name, own, parents, ()) for name in own}


def _inherited(
    name: str,
    own: Mapping[str, frozenset[str]],
    parents: Mapping[str, tuple[str, ...]],
    path: tuple[str, ...],
) -> frozenset[str]:
    if name in path:
        circle = " > ".join((*path[path.index(name) :], name))
        raise _wrong(f"roles.{name}.inherits", f"goes in a circle: {circle}")
    above = (_inherited(p, own, parents, (*path, name)) for p in parents[name])
    return own[name].union(*above)


def _scopes(value: object, where: str) -> frozenset[str]:
    names = _texts(value, where)
    if not names:
        return frozenset()
    _known(names, [*(scope.value for scope in Scope), ALL_SCOPES], where, "scope")
    return parse_scopes(names)


def _binding(
    entry: Mapping[str, object], where: str, roles: Mapping[str, frozenset[str]]
) -> Binding:
    _only(entry, ("subjects", "tenants", "roles"), where)
    _needs(entry, ("subjects", "roles"), where)
    names = _texts(entry["roles"], f"{where}.roles")
    _known(names, roles, f"{where}.roles", "role")
    return Binding(
        subjects=_names(entry, "subjects", where),
        roles=frozenset(names),
        tenants=_names(entry, "tenants", where),
    )


def _rules(
    entries: list[Mapping[str, object]], roles: Mapping[str, frozenset[str]]
) -> list[Rule]:
    if len(entries) > RULES_MAX:
        raise _wrong("rules", f"has more than {RULES_MAX} rules")
    found = [_rule(entry, f"rules[{n}]", roles) for n, entry in enumerate(entries)]
    seen: set[str] = set()
    for number, rule in enumerate(found):
        if rule.id in seen:
            raise _wrong(f"rules[{number}].id", f"{rule.id!r} is given twice")
        seen.add(rule.id)
    return found


def _rule(
    entry: Mapping[str, object], where: str, roles: Mapping[str, frozenset[str]]
) -> Rule:
    _only(entry, _RULE_FIELDS, where)
    _needs(entry, ("id", "effect", "actions"), where)
    name = entry["id"]
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise _wrong(f"{where}.id", "must be lower case letters, digits and . _ -")
    effect = entry["effect"]
    if effect not in tuple(Effect):
        raise _wrong(f"{where}.effect", "must be 'allow' or 'deny'")
    held = _texts(entry.get("roles", []), f"{where}.roles")
    _known(held, roles, f"{where}.roles", "role")
    return Rule(
        id=name,
        effect=Effect(str(effect)),
        actions=_actions(entry, where),
        subjects=_names(entry, "subjects", where),
        tenants=_names(entry, "tenants", where),
        roles=frozenset(held),
        resources=_patterns(entry, "resources", where),
        namespaces=_patterns(entry, "namespaces", where),
        conditions=_conditions(entry.get("when", []), f"{where}.when"),
        window=_window(entry["time"], f"{where}.time") if "time" in entry else None,
        description=_text(entry.get("description", ""), f"{where}.description"),
    )


def _actions(entry: Mapping[str, object], where: str) -> Patterns:
    found = _patterns(entry, "actions", where)
    for text in found.texts:
        if text == "*":
            continue
        scope, dot, verb = text.partition(".")
        place = f"{where}.actions"
        _known((scope,), [s.value for s in Scope], place, "scope")
        if not dot or not verb:
            raise _wrong(place, f"{text!r} needs a verb, such as '{scope}.*'")
    return found


def _names(entry: Mapping[str, object], key: str, where: str) -> Patterns:
    found = _patterns(entry, key, where)
    if any("{" in text for text in found.texts):
        raise _wrong(f"{where}.{key}", "placeholders belong in namespaces or resources")
    return found


def _patterns(entry: Mapping[str, object], key: str, where: str) -> Patterns:
    if key not in entry:
        return ANYTHING
    texts = _texts(entry[key], f"{where}.{key}")
    if not texts:
        raise _wrong(f"{where}.{key}", "is empty, so the rule could never apply")
    try:
        return Patterns(texts)
    except ValidationError as error:
        raise _wrong(f"{where}.{key}", error.message) from None


def _conditions(value: object, where: str) -> tuple[Condition, ...]:
    return tuple(
        _condition(entry, f"{where}[{number}]")
        for number, entry in enumerate(_tables(value, where))
    )


def _condition(entry: Mapping[str, object], where: str) -> Condition:
    operators = [operator.value for operator in Operator]
    _only(entry, ("attribute", *operators), where)
    _needs(entry, ("attribute",), where)
    given = [key for key in entry if key != "attribute"]
    if len(given) != 1:
        raise _wrong(where, f"needs exactly one of {', '.join(operators)}")
    attribute = _text(entry["attribute"], f"{where}.attribute")
    operator, written = Operator(given[0]), entry[given[0]]
    operand = _OPERANDS[operator](written, f"{where}.{operator}")
    return Condition(attribute, operator, operand, str(written))


def _scalar(value: object, where: str) -> object:
    if isinstance(value, str | int | float | bool):
        return value
    raise _wrong(where, "must be a text, a number or a flag")


def _scalars(value: object, where: str) -> object:
    if not isinstance(value, list) or not value:
        raise _wrong(where, "must be a list with at least one value")
    return tuple(_scalar(item, where) for item in value)


def _number(value: object, where: str) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise _wrong(where, "must be a number")


def _networks(value: object, where: str) -> object:
    try:
        return tuple(ipaddress.ip_network(text) for text in _texts(value, where))
    except ValueError as error:
        raise _wrong(where, f"{error}") from None


def _flag(value: object, where: str) -> object:
    if isinstance(value, bool):
        return value
    raise _wrong(where, "must be true or false")


def _window(value: object, where: str) -> TimeWindow:
    table = _table(value, where)
    _only(table, _TIME_FIELDS, where)
    if not table.keys() - {"utc_offset"}:
        raise _wrong(where, f"needs one of {', '.join(_TIME_FIELDS[:-1])}")
    days = _texts(table.get("days", []), f"{where}.days")
    _known(days, DAYS, f"{where}.days", "day")
    return TimeWindow(
        not_before=_moment(table.get("not_before"), f"{where}.not_before"),
        not_after=_moment(table.get("not_after"), f"{where}.not_after"),
        minutes=_minutes(table.get("hours"), f"{where}.hours"),
        days=frozenset(DAYS.index(day) for day in days),
        utc_offset_minutes=_offset(table.get("utc_offset"), f"{where}.utc_offset"),
    )


def _moment(value: object, where: str) -> float | None:
    """Read a TOML date or time; one without an offset is UTC."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    raise _wrong(where, "must be a date or a time, such as 2027-01-01T00:00:00Z")


def _minutes(value: object, where: str) -> tuple[int, int] | None:
    if value is None:
        return None
    match = _HOURS.fullmatch(_text(value, where))
    if match is None:
        raise _wrong(where, "must look like 08:00-18:00")
    first_hour, first_minute, last_hour, last_minute = map(int, match.groups())
    first, last = first_hour * 60 + first_minute, last_hour * 60 + last_minute
    if first == last or last > MINUTES_PER_DAY:
        raise _wrong(where, "must begin and end at different times of one day")
    return first, last


def _offset(value: object, where: str) -> int:
    if value is None:
        return 0
    match = _OFFSET.fullmatch(_text(value, where))
    if match is None:
        raise _wrong(where, "must look like +01:00")
    minutes = int(match[2]) * 60 + int(match[3])
    return -minutes if match[1] == "-" else minutes


def _table(value: object, where: str) -> Mapping[str, object]:
    if isinstance(value, dict):
        return value
    raise _wrong(where, "must be a table")


def _tables(value: object, where: str) -> list[Mapping[str, object]]:
    if not isinstance(value, list):
        raise _wrong(where, "must be a list of tables")
    return [_table(item, f"{where}[{number}]") for number, item in enumerate(value)]


def _text(value: object, where: str) -> str:
    if isinstance(value, str):
        return value
    raise _wrong(where, "must be a text")


def _texts(value: object, where: str) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise _wrong(where, "must be a list of texts")


def _only(table: Mapping[str, object], fields: Iterable[str], where: str) -> None:
    _known(table.keys(), tuple(fields), where, "field")


def _needs(table: Mapping[str, object], fields: Iterable[str], where: str) -> None:
    for name in fields:
        if name not in table:
            raise _wrong(where, f"lacks {name!r}")


def _known(names: Iterable[str], known: Iterable[str], where: str, kind: str) -> None:
    choices = sorted(known)
    for name in names:
        if name not in choices:
            close = difflib.get_close_matches(name, choices, n=1)
            guess = f" (did you mean {close[0]!r}?)" if close else ""
            raise _wrong(where, f"{name!r} is not a known {kind}{guess}")


def _wrong(where: str, message: str) -> PolicyInvalid:
    text = f"policy: {where}: {message}" if where else f"policy: {message}"
    return PolicyInvalid(text, hint=_HINT, field=where or "policy")


_OPERANDS: Mapping[Operator, Callable[[object, str], object]] = MappingProxyType(
    {
        Operator.IS: _scalar,
        Operator.IS_NOT: _scalar,
        Operator.IN: _scalars,
        Operator.NOT_IN: _scalars,
        Operator.AT_LEAST: _number,
        Operator.AT_MOST: _number,
        Operator.STARTS_WITH: _text,
        Operator.IN_NETWORK: _networks,
        Operator.PRESENT: _flag,
    }
)
