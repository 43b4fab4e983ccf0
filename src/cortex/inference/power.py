"""Saving power: whether now, by whose word, and what follows from it.

The decision (`is_low`) is pure: the mode that was asked for, the schedule and the time
of day. `PowerControl` applies it to whatever can save, when the mode is switched and
when the schedule says so.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError


@dataclass(frozen=True, slots=True)
class SavingCost:
    """What saving power gives and takes, as it was measured.

    Attributes:
        cpu_saved: share of the CPU time of a search that is not spent, 0 to 1.
        recall_lost: share of answers no longer among the first ten, 0 to 1.
        source: the measurement.
    """

    cpu_saved: float
    recall_lost: float
    source: str


SAVING_COST: Final = SavingCost(
    cpu_saved=0.72,
    recall_lost=0.04,
    source="383 questions of LoCoMo: benchmarks/results/inference-power.json",
)
"""Of the quicker model that comes with Cortex; a test holds it against the file."""

BY_SCHEDULE: Final = "schedule"
"""Reason of a switch that the time of day made."""

LOOK_SECONDS: Final = 15.0
"""How often the schedule is looked at; it is kept in minutes."""

MINUTES_OF_DAY: Final = 24 * 60

_SPAN: Final = re.compile(
    r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)", re.ASCII
)


class PowerMode(StrEnum):
    """What was asked for."""

    NORMAL = "normal"
    LOW = "low"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the day; one that ends before it begins runs over midnight.

    Attributes:
        begin: first minute of the day.
        end: first minute no longer part of it.
    """

    begin: int
    end: int

    def holds(self, minute: int) -> bool:
        """Return whether this minute of the day is in it."""
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


def parse_hours(text: str) -> tuple[Span, ...]:
    """Return the spans of ``22:00-06:00,12:00-13:00``; none for an empty text.

    Raises:
        ValidationError: it reads otherwise.
    """
    spans = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = _SPAN.fullmatch(part)
        if match is None:
            message = f"{part[:20]!r} is not a span of the day"
            hint = "Write it as 22:00-06:00."
            raise ValidationError(message, hint=hint, field="power")
        numbers = [int(number) for number in match.groups()]
        begin, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
        if end > MINUTES_OF_DAY or begin == end:
            message = f"{part!r} is empty or ends after the day"
            raise ValidationError(message, field="power")
        spans.append(Span(begin, end))
    return tuple(spans)


def read_power(text: str) -> tuple[PowerMode, str]:
    """Return the mode and the hours that a setting means.

    Raises:
        ValidationError: it is neither ``normal`` nor ``low`` nor hours of the day.
    """
    word = text.strip()
    if word in {PowerMode.NORMAL, PowerMode.LOW}:
        return PowerMode(word), ""
    if not parse_hours(word):
        message = "power must be normal, low, or hours such as 22:00-06:00"
        raise ValidationError(message, field="power")
    return PowerMode.SCHEDULE, word


def is_low(mode: PowerMode, hours: Sequence[Span], minute: int) -> bool:
    """Return whether power is to be saved at this minute of the day."""
    if mode is PowerMode.SCHEDULE:
        return any(span.holds(minute) for span in hours)
    return mode is PowerMode.LOW


@dataclass(frozen=True, slots=True)
class PowerStatus:
    """Where the saving stands.

    Attributes:
        mode: what was asked for.
        low: whether power is saved now.
        hours: when the schedule means low, as it was written.
        reason: who asked for it, or what the schedule said.
        since: epoch seconds of the last change.
        cost: what saving gives and takes; None where the model has no quicker one.
    """

    mode: PowerMode
    low: bool
    hours: str
    reason: str
    since: float
    cost: SavingCost | None = None


class PowerControl:
    """Holds the mode and applies what follows; on one event loop."""

    def __init__(
        self,
        mode: PowerMode,
        hours: str,
        *,
        clock: Clock,
        savers: Sequence[Callable[[bool], object]],
        cost: SavingCost | None = None,
    ) -> None:
        """Apply the first decision at once.

        Args:
            mode: what the settings ask for.
            hours: the schedule, as `parse_hours` reads it.
            clock: tells the time of day.
            savers: called with whether power is saved, whenever that changes.
            cost: what saving gives and takes, where that was measured.

        Raises:
            ValidationError: the schedule cannot be read, or there is none to go by.
        """
        self._hours = parse_hours(hours)
        self._clock = clock
        self._savers = tuple(savers)
        self.changed: Callable[[PowerStatus], object] | None = None
        self._status = PowerStatus(
            PowerMode.NORMAL,
            low=False,
            hours=hours,
            reason="start",
            since=clock.now(),
            cost=cost,
        )
        self.switch(mode, "settings")

    @property
    def status(self) -> PowerStatus:
        """Return where it stands."""
        return self._status

    @property
    def low(self) -> bool:
        """Return whether power is saved now."""
        return self._status.low

    def switch(self, mode: PowerMode, reason: str) -> PowerStatus:
        """Ask for another mode; return what follows.

        Raises:
            ValidationError: the schedule is asked for and there is none.
        """
        if mode is PowerMode.SCHEDULE and not self._hours:
            message = "there is no schedule to save power by"
            hint = "Set CORTEX_INFERENCE__POWER to its hours: 22:00-06:00."
            raise ValidationError(message, hint=hint, field="mode")
        self._status = replace(self._status, mode=mode)
        self._look(reason)
        return self._status

    def follow(self, mode: PowerMode, hours: str, reason: str) -> PowerStatus:
        """Ask for a mode with another schedule; return what follows.

        Raises:
            ValidationError: the schedule cannot be read, or is asked for and empty.
        """
        spans, before = parse_hours(hours), self._hours
        self._hours = spans
        try:
            self.switch(mode, reason)
        except ValidationError:
            self._hours = before
            raise
        self._status = replace(self._status, hours=hours)
        return self._status

    async def run(self) -> None:
        """Follow the schedule, for ever."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            self._look(BY_SCHEDULE)

    def _look(self, reason: str) -> None:
        moment = datetime.fromtimestamp(self._clock.now()).astimezone()
        low = is_low(self._status.mode, self._hours, moment.hour * 60 + moment.minute)
        if low is self._status.low:
            return
        now = self._clock.now()
        self._status = replace(self._status, low=low, reason=reason, since=now)
        for save in self._savers:
            save(low)
        if self.changed is not None:
            self.changed(self._status)
