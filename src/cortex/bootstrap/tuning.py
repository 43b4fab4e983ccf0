"""Which settings can be changed while the server runs, and what each change does.

A setting is here if the rooms read it at each use, or take another one at any time;
everything else needs a restart.
"""

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import ValidationError as PydanticError

from cortex.bootstrap.limits import quotas_of, rate_of
from cortex.bootstrap.observing import sampling_of
from cortex.bootstrap.promises import Promises
from cortex.bootstrap.tools import Tools
from cortex.foundation.bucket import Rate
from cortex.foundation.canonical import JsonValue
from cortex.foundation.dial import Dial
from cortex.foundation.errors import ValidationError
from cortex.inference.power import PowerControl, read_power
from cortex.operations.configuration.model import Layer, Setting
from cortex.operations.configuration.store import RevisionStore
from cortex.operations.quotas import Meter
from cortex.service.faults import invalid_input
from cortex.settings import PREFIX, Settings
from cortex.settings.described import described
from cortex.settings.runtime import (
    flat,
    is_given,
    is_secret,
    limits_of,
    names,
    value_of,
    with_values,
)
from cortex.storage.sqlite import Database
from cortex.telemetry.logs import route_stdlib
from cortex.telemetry.redaction import redact
from cortex.usecases.configuration import Configuration
from cortex.usecases.snapshot import SnapshotOptions

RUNTIME = "runtime"
"""Name of the layer above all others."""

LIBRARIES = ("uvicorn", "asyncio")
"""Loggers of libraries that log at our level."""


@dataclass(frozen=True, slots=True)
class Knob:
    """Settings that are put in force together.

    Attributes:
        turn: puts those of some settings in force.
        check: raises ``ValidationError`` for what the types of the tree let pass.
    """

    names: tuple[str, ...]
    turn: Callable[[Settings], object]
    check: Callable[[Settings], object] | None = None


@dataclass(frozen=True, slots=True)
class Tuned:
    """The parts whose settings can be changed."""

    tools: Tools
    rate: Dial[Rate]
    meter: Meter
    packs: Dial[SnapshotOptions]
    power: PowerControl
    promises: Promises


def knobs_of(parts: Tuned) -> tuple[Knob, ...]:
    """Return every setting that can be changed, with what that does."""

    def log_level(settings: Settings) -> None:
        parts.tools.log.set_level(settings.log_level.value)
        route_stdlib(parts.tools.log, settings.log_level.value, *LIBRARIES)

    return (
        Knob(("log_level",), log_level),
        Knob(("rate_limit_per_minute",), lambda s: parts.rate.turn(rate_of(s))),
        Knob(
            ("quotas.tokens", "quotas.embeddings", "quotas.bytes"),
            lambda s: parts.meter.limit(quotas_of(s)),
        ),
        Knob(
            ("default_ttl", "context_size_cap"),
            lambda s: parts.packs.turn(packs_of(s)),
        ),
        Knob(
            ("trace.enabled", "trace.ratio", "trace.slow_ms"),
            lambda s: parts.tools.tracer.sample(sampling_of(s)),
        ),
        Knob(
            ("inference.power",),
            lambda s: parts.power.follow(*read_power(s.inference.power), "settings"),
            lambda s: read_power(s.inference.power),
        ),
        Knob(
            ("energy.alarm_watts",),
            lambda s: parts.promises.alarm_above(s.energy.alarm_watts),
        ),
    )


def packs_of(settings: Settings) -> SnapshotOptions:
    """Return the limits of context packs."""
    return SnapshotOptions(
        ttl_seconds=float(settings.default_ttl),
        size_bytes_max=settings.context_size_cap,
    )


def open_configuration(
    settings: Settings, database: Database, parts: Tuned
) -> Configuration:
    """Return what shows and changes the settings of this process."""
    tools = parts.tools
    tuner = Tuner(settings, tools.sources, knobs_of(parts))
    revisions = RevisionStore(database, clock=tools.clock, ids=tools.ids)
    return Configuration(tuner, revisions, tools.clock, tools.log.warning)


class Tuner:
    """The settings of one process with what was set at run time above them."""

    def __init__(
        self, settings: Settings, sources: Mapping[str, str], knobs: Sequence[Knob]
    ) -> None:
        """Take the settings of the start, where they came from, and what can change."""
        self._settings = settings
        self._sources = sources
        self._knobs = tuple(knobs)
        self._known = MappingProxyType({n: k for k in knobs for n in k.names})
        self._applied = settings

    def read(self, document: Mapping[str, JsonValue]) -> Layer:
        """Return the values of a nested document, by dotted name.

        Raises:
            ValidationError: a setting is given twice, once nested and once by its name.
        """
        found: dict[str, JsonValue] = {}
        for name, value in flat(document):
            if name in found:
                raise ValidationError(f"{name} is given twice", field=name)
            found[name] = value
        return found

    def checked(self, layer: Layer, names: Collection[str] = ()) -> Layer:
        """Return the layer as it would be kept.

        Raises:
            ValidationError: a value is wrong, or one of these settings or ``names``
                cannot be changed at run time; names each.
        """
        refused = [*_refused({*layer, *names}, self._known)]
        if refused:
            raise _told(refused)
        try:
            wanted = with_values(self._settings, layer)
        except PydanticError as error:
            raise invalid_input(error.errors(include_input=False)) from None
        for name, value in layer.items():
            self._check(name, value, wanted)
        return {name: value_of(wanted, name) for name in layer}

    def values(self, layer: Layer) -> Layer:
        """Return the value that each changeable setting has under a checked layer."""
        wanted = with_values(self._settings, layer)
        return {name: value_of(wanted, name) for name in self._known}

    def apply(self, layer: Layer) -> None:
        """Put a checked layer in force, all of it or nothing."""
        before, wanted = self._applied, with_values(self._settings, layer)
        turned: list[Knob] = []
        try:
            for knob in self._knobs:
                if _differ(knob, before, wanted):
                    turned.append(knob)
                    knob.turn(wanted)
        except BaseException:
            for knob in reversed(turned):
                knob.turn(before)
            raise
        self._applied = wanted

    def settings(self, layer: Layer) -> Sequence[Setting]:
        """Return every setting as it is under a checked layer, in order of the tree."""
        wanted = with_values(self._settings, layer)
        sources = {**self._sources, **dict.fromkeys(layer, RUNTIME)}
        return [
            Setting(
                name=one.name,
                value=_shown(value_of(wanted, one.name)),
                secret=is_secret(wanted, one.name),
                given=is_given(wanted, one.name),
                source=one.source,
                changeable=one.name in self._known,
                limits=limits_of(wanted, one.name),
                variable=one.variable,
                description=one.description,
            )
            for one in described(wanted, sources)
        ]

    def _check(self, name: str, value: JsonValue, wanted: Settings) -> None:
        now = value_of(wanted, name)
        if isinstance(value, bool) is not isinstance(now, bool):
            kind = "true or false" if isinstance(now, bool) else "no truth value"
            raise ValidationError(f"{name} must be {kind}", field=name)
        check = self._known[name].check
        if check is None:
            return
        try:
            check(wanted)
        except ValidationError as error:
            raise ValidationError(
                f"{name}: {error.message}", hint=error.hint, field=name
            ) from None


def _differ(knob: Knob, one: Settings, other: Settings) -> bool:
    return any(value_of(one, n) != value_of(other, n) for n in knob.names)


def _refused(given: Collection[str], known: Collection[str]) -> list[tuple[str, str]]:
    """Return what cannot be changed, each with the reason."""
    every = names()
    found = []
    for name in sorted(set(given) - set(known)):
        if name in every:
            variable = PREFIX + name.upper().replace(".", "__")
            reason = (
                "cannot be changed while the server runs; set it in cortex.toml or "
                f"{variable} and restart"
            )
        else:
            close = difflib.get_close_matches(name, sorted(known), n=1)
            reason = "is not a setting" + (
                f"; do you mean {close[0]}?" if close else ""
            )
        found.append((name, reason))
    return found


def _told(refused: Sequence[tuple[str, str]]) -> ValidationError:
    findings = [
        {"type": "value_error", "loc": (name,), "msg": reason, "ctx": {"error": reason}}
        for name, reason in refused
    ]
    error = invalid_input(findings)
    error.hint = "GET /config tells which settings can be changed, and their limits."
    return error


def _shown(value: JsonValue) -> JsonValue:
    """Return a value without credentials that an address may hold."""
    shown: JsonValue = redact("value", value)  # type: ignore[assignment]
    return shown
