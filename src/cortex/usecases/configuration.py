"""Settings changed while the server runs: shown, changed, rolled back, followed.

A change is checked as a whole, stored as a revision together with its event, and then
put in force here; every other process over the same files sees the new revision within
`FOLLOW_SECONDS`. A process that fails to put one in force undoes it and stores a
rollback, so that all processes agree again. A process that ends between storing and
applying has lost nothing: the next one begins with what is stored.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cortex.bus.registry import EVENT_TEXT_CHARACTERS_MAX
from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError, PreconditionFailed, ValidationError
from cortex.operations.configuration.model import (
    ORIGIN,
    Change,
    Draft,
    Kind,
    Layer,
    Revision,
    Setting,
    differences,
    patched,
)
from cortex.operations.errors import (
    RevisionMoved,
    RevisionNotFound,
    SettingsNotApplied,
)
from cortex.usecases.model import CallContext

FOLLOW_SECONDS = 1.0
"""Between two looks for what another process changed: one row by its key."""

ATTEMPTS_MAX = 5
"""Times a change is made again because another was stored meanwhile."""

AUTOMATIC = "~automatic"
"""Actor of a rollback that nobody asked for; no caller can have the name."""

DAMAGED = "*"
"""Stands for all settings of a stored layer that cannot be read."""

_BEYOND_ALL = 2**62
_FAILURES = (CortexError, OSError, ValueError, RuntimeError)
"""What may keep a setting from being put in force; anything else is a fault of ours."""

Warn = Callable[..., Any]


class Revisions(Protocol):
    """Where revisions are kept; ``RevisionStore`` is one."""

    def newest(self) -> int:
        """Return the number of the revision in force."""
        ...

    async def get(self, number: int) -> Revision:
        """Return one revision, or raise ``RevisionNotFound``."""
        ...

    async def history(self, before: int, count: int) -> list[Revision]:
        """Return the newest revisions below a number, newest first."""
        ...

    async def append(self, draft: Draft, *, on: int) -> Revision:
        """Store the next revision, or raise ``RevisionMoved``."""
        ...


class Tuning(Protocol):
    """The settings of this process; ``cortex.bootstrap.tuning`` has the real one."""

    def read(self, document: Mapping[str, JsonValue]) -> Layer:
        """Return the values of a document nested as ``cortex.toml``, by dotted name."""
        ...

    def checked(self, layer: Layer, names: Collection[str] = ()) -> Layer:
        """Return the layer as it would be kept.

        Raises:
            ValidationError: a value is wrong, or one of these settings or ``names``
                cannot be changed at run time; names each.
        """
        ...

    def values(self, layer: Layer) -> Layer:
        """Return the value that each changeable setting has under a checked layer."""
        ...

    def apply(self, layer: Layer) -> None:
        """Put a checked layer in force, all of it or nothing."""
        ...

    def settings(self, layer: Layer) -> Sequence[Setting]:
        """Return every setting as it is under a checked layer."""
        ...


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of a change; without changes the revision is the one of before."""

    revision: int
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Over which revision a change may be made, and why it is.

    Attributes:
        if_match: number of the revision in force, ``*`` or None for any.
        reason: in the operator's words, for history, event and ledger.
    """

    if_match: str | None = None
    reason: str = ""


class Configuration:
    """The run-time layer of one process; for one event loop."""

    def __init__(
        self, tuning: Tuning, revisions: Revisions, clock: Clock, warn: Warn
    ) -> None:
        """Begin with nothing set at run time; ``open`` reads what is stored."""
        self._tuning = tuning
        self._revisions = revisions
        self._clock = clock
        self._warn = warn
        self._lock = asyncio.Lock()
        self._revision = ORIGIN
        self._layer: Layer = {}
        self._ignored: Mapping[str, str] = {}

    @property
    def revision(self) -> int:
        """Return the number of the revision this process has put in force."""
        return self._revision

    @property
    def ignored(self) -> Mapping[str, str]:
        """Return stored settings that are not in force, each with the reason."""
        return self._ignored

    def settings(self) -> Sequence[Setting]:
        """Return every setting with the layer it came from."""
        return self._tuning.settings(self._layer)

    async def health(self) -> Mapping[str, JsonValue]:
        """Tell which stored settings are not in force."""
        facts: dict[str, JsonValue] = {"revision": self._revision}
        if self._ignored:
            told = "; ".join(f"{n}: {why}" for n, why in self._ignored.items())
            facts |= {"degraded": True, "reason": f"ignored settings: {told}"}
        return facts

    async def open(self) -> None:
        """Put in force what is stored; what no longer can be is ignored and told."""
        async with self._lock:
            await self._settle(await self._revisions.get(self._revisions.newest()))

    async def run(self) -> None:
        """Follow what other processes change; runs until cancelled."""
        while True:
            await self._clock.sleep(FOLLOW_SECONDS)
            await self.follow()

    async def follow(self) -> None:
        """Put in force what another process stored."""
        async with self._lock:
            await self._catch_up()

    async def change(
        self,
        document: Mapping[str, JsonValue],
        reset: Collection[str],
        condition: Condition,
        context: CallContext,
    ) -> Changed:
        """Set some settings, and give others back to the layers below.

        Raises:
            ValidationError: a name or a value is refused; nothing is changed.
            PreconditionFailed: another revision is in force.
            SettingsNotApplied: it failed here; it was undone everywhere.
        """
        values = self._tuning.read(document)
        both = values.keys() & set(reset)
        if both:
            name = min(both)
            raise ValidationError(f"{name} is both set and reset", field=name)

        async def wanted() -> Draft:
            checked = self._tuning.checked(values, reset)
            layer = patched(self._layer, checked, reset)
            return self._draft(layer, condition.reason, context)

        return await self._make(wanted, condition.if_match)

    async def roll_back(
        self, target: int | None, condition: Condition, context: CallContext
    ) -> Changed:
        """Make a new revision that sets what an earlier one did.

        ``target`` is its number, 0 for nothing set at all; None is the one before.

        Raises:
            RevisionNotFound: it is not kept, or there is none before.
            ValidationError: it holds what is no longer valid; nothing is changed.
            PreconditionFailed: another revision is in force.
            SettingsNotApplied: it failed here; it was undone everywhere.
        """

        async def wanted() -> Draft:
            number = self._revision - 1 if target is None else target
            if not ORIGIN <= number < self._revision:
                raise RevisionNotFound(
                    f"the revision in force is {self._revision}; there is none to go "
                    "back to" + ("" if target is None else f" with number {target}"),
                    hint="`cortex config history` lists those that are kept.",
                    field="revision",
                )
            earlier = await self._revisions.get(number)
            layer = self._tuning.checked(earlier.layer)
            return self._draft(layer, condition.reason, context, number)

        return await self._make(wanted, condition.if_match)

    async def history(self, before: int | None, count: int) -> list[Revision]:
        """Return the newest revisions below a number, newest first."""
        return await self._revisions.history(before or _BEYOND_ALL, count)

    def _draft(
        self, layer: Layer, reason: str, context: CallContext, back: int | None = None
    ) -> Draft:
        before, after = self._tuning.values(self._layer), self._tuning.values(layer)
        return Draft(
            layer=layer,
            changes=differences(before, after),
            actor=context.actor[:EVENT_TEXT_CHARACTERS_MAX],
            reason=reason,
            correlation_id=context.correlation_id,
            kind=Kind.CHANGED if back is None else Kind.ROLLED_BACK,
            target=back,
        )

    async def _make(
        self, wanted: Callable[[], Awaitable[Draft]], if_match: str | None
    ) -> Changed:
        """Store what is wanted over the revision in force, and apply it here."""
        async with self._lock:
            for _ in range(ATTEMPTS_MAX):
                await self._catch_up()
                self._require(if_match)
                draft = await wanted()
                if draft.layer == self._layer and not self._ignored:
                    return Changed(self._revision, ())
                try:
                    made = await self._revisions.append(draft, on=self._revision)
                except RevisionMoved:
                    continue
                failed = await self._put_in_force(made)
                if failed:
                    raise SettingsNotApplied(
                        f"revision {made.number} was undone: {failed}",
                        hint="The settings are as they were before.",
                    )
                return Changed(made.number, made.changes)
        raise RevisionMoved(
            "the settings are being changed by others all the time",
            hint="Try again.",
        )

    def _require(self, if_match: str | None) -> None:
        if if_match not in {None, "*", str(self._revision)}:
            raise PreconditionFailed(
                f"the revision in force is {self._revision}",
                hint="Read the settings again, then change them.",
            )

    async def _catch_up(self) -> None:
        newest = self._revisions.newest()
        if newest != self._revision:
            await self._put_in_force(await self._revisions.get(newest))

    async def _put_in_force(self, stored: Revision) -> str:
        """Apply a revision; where that fails undo it for all and return the reason."""
        usable, ignored = self._sorted_out(stored)
        try:
            self._tuning.apply(usable)
        except _FAILURES as error:
            undone = differences(
                self._tuning.values(usable), self._tuning.values(self._layer)
            )
            await self._undo(stored, undone, f"it did not apply: {error}")
            return str(error)
        self._take(stored.number, usable, ignored)
        return ""

    async def _undo(
        self, stored: Revision, undone: tuple[Change, ...], reason: str
    ) -> None:
        """Go back to what is in force here; nothing of the revision is."""
        self._warn("settings not applied", revision=stored.number, reason=reason)
        if stored.actor == AUTOMATIC:
            # Processes that cannot agree must not roll each other back for ever.
            self._take(stored.number, self._layer, {DAMAGED: reason})
            return
        back = Draft(
            layer=self._layer,
            changes=undone,
            actor=AUTOMATIC,
            reason=reason[:EVENT_TEXT_CHARACTERS_MAX],
            kind=Kind.ROLLED_BACK,
            target=self._revision,
        )
        try:
            made = await self._revisions.append(back, on=stored.number)
        except RevisionMoved:
            return  # Another process was quicker; the next look follows it.
        self._revision = made.number

    async def _settle(self, stored: Revision) -> None:
        """Apply what is stored at the start, each setting by itself."""
        usable, ignored = self._sorted_out(stored)
        layer: dict[str, JsonValue] = {}
        for name, value in usable.items():
            try:
                self._tuning.apply({**layer, name: value})
            except _FAILURES as error:
                ignored[name] = str(error)
            else:
                layer[name] = value
        self._take(stored.number, layer, ignored)

    def _sorted_out(self, stored: Revision) -> tuple[Layer, dict[str, str]]:
        """Return what can still be set, and why the rest cannot."""
        if stored.damaged:
            return {}, {DAMAGED: "the stored layer cannot be read"}
        usable: dict[str, JsonValue] = {}
        ignored: dict[str, str] = {}
        for name, value in stored.layer.items():
            try:
                usable |= self._tuning.checked({name: value})
            except ValidationError as error:
                ignored[name] = error.message
        return usable, ignored

    def _take(self, number: int, layer: Layer, ignored: Mapping[str, str]) -> None:
        self._revision, self._layer, self._ignored = number, layer, ignored
        for name, reason in ignored.items():
            self._warn("stored setting ignored", setting=name, reason=reason)
