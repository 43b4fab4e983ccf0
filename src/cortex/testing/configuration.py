"""Settings at run time in memory: two that can be changed, and one secret."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError
from cortex.operations.configuration.model import (
    ORIGIN,
    Draft,
    Layer,
    Revision,
    Setting,
)
from cortex.operations.errors import RevisionMoved, RevisionNotFound
from cortex.usecases.configuration import Configuration

DEFAULTS: Mapping[str, JsonValue] = {"log_level": "info", "trace.ratio": 0.1}
LEVELS = ("debug", "info", "warning")


@dataclass
class FakeRevisions:
    """Revisions in a list; share one between configurations as between processes."""

    clock: Clock
    kept: list[Revision] = field(default_factory=lambda: [Revision(ORIGIN)])

    def newest(self) -> int:
        """Return the number of the revision in force."""
        return len(self.kept) - 1

    async def get(self, number: int) -> Revision:
        """Return one revision."""
        if not 0 <= number < len(self.kept):
            raise RevisionNotFound(f"there is no revision {number}")
        return self.kept[number]

    async def history(self, before: int, count: int) -> list[Revision]:
        """Return the newest revisions below a number, newest first."""
        found = [one for one in self.kept if ORIGIN < one.number < before]
        return found[::-1][:count]

    async def append(self, draft: Draft, *, on: int) -> Revision:
        """Keep the next revision."""
        if on != self.newest():
            raise RevisionMoved(f"the revision in force is {self.newest()}, not {on}")
        made = Revision(
            on + 1,
            draft.layer,
            draft.changes,
            draft.kind,
            draft.target,
            draft.actor,
            draft.reason,
            self.clock.now(),
        )
        self.kept.append(made)
        return made


@dataclass
class FakeTuning:
    """Takes what ``DEFAULTS`` has; fails to apply whatever is in ``broken``."""

    applied: Layer = field(default_factory=dict)
    broken: set[JsonValue] = field(default_factory=set)

    def read(self, document: Mapping[str, JsonValue]) -> Layer:
        """Flatten the one table."""
        found: dict[str, JsonValue] = {}
        for key, value in document.items():
            if key == "trace" and isinstance(value, Mapping):
                found |= {f"trace.{name}": inner for name, inner in value.items()}
            else:
                found[key] = value
        return found

    def checked(self, layer: Layer, names: Collection[str] = ()) -> Layer:
        """Refuse other names, levels and ratios."""
        for name in (*layer, *names):
            if name not in DEFAULTS:
                raise ValidationError(f"{name[:80]} is not a setting", field=name[:80])
        if layer.get("log_level", "info") not in LEVELS:
            message = f"log_level must be one of {LEVELS}"
            raise ValidationError(message, field="log_level")
        ratio = layer.get("trace.ratio", 1.0)
        if not isinstance(ratio, int | float) or not 0 < ratio <= 1:
            message = "trace.ratio must be above 0 and at most 1"
            raise ValidationError(message, field="trace.ratio", limit=1)
        return layer

    def values(self, layer: Layer) -> Layer:
        """Return defaults below the layer."""
        return {**DEFAULTS, **layer}

    def apply(self, layer: Layer) -> None:
        """Remember the layer, or fail."""
        if self.broken & set(layer.values()):
            raise RuntimeError("it is broken")
        self.applied = layer

    def settings(self, layer: Layer) -> Sequence[Setting]:
        """Return the two settings and the secret."""
        found = [
            Setting(
                name=name,
                value=value,
                secret=False,
                given=True,
                source="runtime" if name in layer else "default",
                changeable=True,
                limits={},
                variable=f"CORTEX_{name.upper().replace('.', '__')}",
                description="",
            )
            for name, value in self.values(layer).items()
        ]
        secret = Setting(
            "tokens", None, True, True, "environment", False, {}, "CORTEX_TOKENS", ""
        )
        return [*found, secret]


def fake_configuration(clock: Clock) -> Configuration:
    """Return a configuration that nothing depends on."""

    def warn(event: str, **fields: object) -> None:
        del event, fields

    return Configuration(FakeTuning(), FakeRevisions(clock), clock, warn)
