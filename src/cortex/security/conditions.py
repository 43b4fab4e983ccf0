"""Conditions of policy rules, on attributes and on time; pure."""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

Attribute: TypeAlias = str | int | float | bool
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

MINUTES_PER_DAY = 24 * 60
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_SECONDS_PER_MINUTE = 60
_SECONDS_PER_DAY = 86_400
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday


class Operator(StrEnum):
    """How an attribute is compared."""

    IS = "is"
    IS_NOT = "is_not"
    IN = "in"
    NOT_IN = "not_in"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    STARTS_WITH = "starts_with"
    IN_NETWORK = "in_network"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of one attribute.

    Attributes:
        attribute: a name such as ``client.address`` or ``memory.trust``.
        operand: of the type the operator asks for: a scalar, a tuple of scalars, a
            number, a text, a tuple of networks, or a flag.
        written: the operand as the file has it, for explanations.
    """

    attribute: str
    operator: Operator
    operand: object
    written: str = field(default="", compare=False)

    def holds(self, attributes: Mapping[str, Attribute]) -> bool | None:
        """Tell whether it holds; None when the attribute is missing or unfit.

        A value of another type than the operand's is as good as missing: neither
        answer would mean anything.
        """
        if self.operator is Operator.PRESENT:
            return (self.attribute in attributes) is self.operand
        value = attributes.get(self.attribute)
        if value is None:
            return None
        return _COMPARE[self.operator](value, self.operand)

    def __str__(self) -> str:
        """Return it as a person would say it."""
        operand = self.written or repr(self.operand)
        return f"{self.attribute} {self.operator} {operand}"


def _is(value: Attribute, operand: object) -> bool | None:
    if _kind(value) is not _kind(operand):
        return None
    return value == operand


def _is_not(value: Attribute, operand: object) -> bool | None:
    same = _is(value, operand)
    return None if same is None else not same


def _in(value: Attribute, operand: object) -> bool | None:
    choices = operand if isinstance(operand, tuple) else ()
    fitting = [choice for choice in choices if _kind(choice) is _kind(value)]
    return value in fitting if fitting else None


def _not_in(value: Attribute, operand: object) -> bool | None:
    inside = _in(value, operand)
    return None if inside is None else not inside


def _at_least(value: Attribute, operand: object) -> bool | None:
    if _kind(value) is not float or not isinstance(operand, int | float):
        return None
    return float(value) >= operand


def _at_most(value: Attribute, operand: object) -> bool | None:
    if _kind(value) is not float or not isinstance(operand, int | float):
        return None
    return float(value) <= operand


def _starts_with(value: Attribute, operand: object) -> bool | None:
    if isinstance(value, str) and isinstance(operand, str):
        return value.startswith(operand)
    return None


def _in_network(value: Attribute, operand: object) -> bool | None:
    try:
        address = ipaddress.ip_address(value)  # type: ignore[arg-type]
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    networks = operand if isinstance(operand, tuple) else ()
    return any((mapped or address) in network for network in networks)


def _kind(value: object) -> type:
    """Return what a value compares with: flags are not numbers, 1 is 1.0."""
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, int | float) else type(value)


_COMPARE: Mapping[Operator, Callable[[Attribute, object], bool | None]] = (
    MappingProxyType(
        {
            Operator.IS: _is,
            Operator.IS_NOT: _is_not,
            Operator.IN: _in,
            Operator.NOT_IN: _not_in,
            Operator.AT_LEAST: _at_least,
            Operator.AT_MOST: _at_most,
            Operator.STARTS_WITH: _starts_with,
            Operator.IN_NETWORK: _in_network,
        }
    )
)


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """When a rule applies; each part that is set must fit.

    Attributes:
        not_before: epoch seconds, inclusive.
        not_after: epoch seconds, exclusive.
        minutes: (from, until) in minutes after local midnight, the end exclusive; a
            start after its end wraps over midnight.
        days: local weekdays, Monday is 0; empty is every day.
        utc_offset_minutes: local time minus UTC. There are no named zones, so no
            daylight saving: two rules say it where it matters.
    """

    not_before: float | None = None
    not_after: float | None = None
    minutes: tuple[int, int] | None = None
    days: frozenset[int] = frozenset()
    utc_offset_minutes: int = 0

    def contains(self, now: float) -> bool:
        """Tell whether the moment (epoch seconds) lies inside."""
        if self.not_before is not None and now < self.not_before:
            return False
        if self.not_after is not None and now >= self.not_after:
            return False
        local = now + self.utc_offset_minutes * _SECONDS_PER_MINUTE
        day, second = divmod(local, _SECONDS_PER_DAY)
        if self.days and (int(day) + _EPOCH_WEEKDAY) % len(DAYS) not in self.days:
            return False
        return self.minutes is None or _between(
            int(second) // _SECONDS_PER_MINUTE, *self.minutes
        )

    def __str__(self) -> str:
        """Return it as a person would say it."""
        parts = []
        if self.not_before is not None:
            parts.append(f"from epoch {self.not_before:.0f}")
        if self.not_after is not None:
            parts.append(f"until epoch {self.not_after:.0f}")
        if self.days:
            parts.append("on " + ", ".join(DAYS[day] for day in sorted(self.days)))
        if self.minutes is not None:
            first, last = (f"{m // 60:02}:{m % 60:02}" for m in self.minutes)
            parts.append(f"between {first} and {last}")
        sign = "-" if self.utc_offset_minutes < 0 else "+"
        hours, minutes = divmod(abs(self.utc_offset_minutes), 60)
        return f"{' '.join(parts) or 'always'} (UTC{sign}{hours:02}:{minutes:02})"


def _between(minute: int, first: int, last: int) -> bool:
    if first <= last:
        return first <= minute < last
    return minute >= first or minute < last
