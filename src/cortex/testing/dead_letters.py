"""Dead letters in memory, with a subscriber that can be told to take them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cortex.bus.events import Event
from cortex.storage.outbox import DeadLetter, Letters


@dataclass
class FakeLetters:
    """Letters as they were put in; ``broken`` says why none is taken."""

    kept: list[DeadLetter[Event]] = field(default_factory=list)
    broken: str = ""

    async def dead_letters(
        self, which: Letters | None = None, *, limit: int
    ) -> Sequence[DeadLetter[Event]]:
        """Return those that meet the conditions."""
        wanted = which or Letters()
        return [
            one
            for one in self.kept
            if wanted.tenant in (None, one.event.tenant)
            and wanted.subscriber in (None, one.subscriber)
            and wanted.event_id in (None, one.event_id)
        ][:limit]

    async def redeliver(self, letter: DeadLetter[Event]) -> str:
        """Take the letter, or count the try."""
        at = self.kept.index(letter)
        if self.broken:
            again = replace(letter, error=self.broken, tries=letter.tries + 1)
            self.kept[at] = again
        else:
            del self.kept[at]
        return self.broken
