"""Settings at run time and their revisions; pure.

A *layer* is what was set at run time: values by dotted name, such as ``trace.ratio``.
It lies above all other layers. A *revision* is one layer with who set it, when and why.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from cortex.foundation.canonical import JsonValue

Layer: TypeAlias = Mapping[str, JsonValue]

ORIGIN = 0
"""Number of the revision in which nothing is set at run time."""


class Kind(StrEnum):
    """How a revision came about."""

    CHANGED = "changed"
    ROLLED_BACK = "rolledback"


@dataclass(frozen=True, slots=True)
class Change:
    """What one setting was and is, in effect."""

    name: str
    before: JsonValue
    after: JsonValue


@dataclass(frozen=True, slots=True)
class Draft:
    """A revision before it has a number.

    Attributes:
        layer: all that is set at run time from now on.
        target: the revision that a rollback went back to.
        reason: in the operator's words, or why it did not apply.
    """

    layer: Layer
    changes: tuple[Change, ...]
    actor: str
    reason: str = ""
    correlation_id: str = ""
    kind: Kind = Kind.CHANGED
    target: int | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """What was set at run time once, by whom and why.

    Attributes:
        at: epoch seconds.
        damaged: whether the stored layer could not be read; it is empty then.
    """

    number: int
    layer: Layer = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    kind: Kind = Kind.CHANGED
    target: int | None = None
    actor: str = ""
    reason: str = ""
    at: float = 0.0
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as an operator sees it.

    Attributes:
        value: in effect now; None for a secret.
        secret: whether the value is not to be shown.
        given: whether it has any value; all that is told of a secret.
        source: the layer the value came from.
        changeable: whether it can be changed at run time.
        limits: what the value may be, such as ``minimum``.
    """

    name: str
    value: JsonValue
    secret: bool
    given: bool
    source: str
    changeable: bool
    limits: Mapping[str, JsonValue]
    variable: str
    description: str


def patched(
    layer: Layer, values: Layer, reset: Collection[str]
) -> dict[str, JsonValue]:
    """Return the layer with some values set and others no longer."""
    left = {name: value for name, value in layer.items() if name not in reset}
    return {**left, **values}


def differences(before: Layer, after: Layer) -> tuple[Change, ...]:
    """Return what differs between two sets of values in effect, by name."""
    return tuple(
        Change(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )
