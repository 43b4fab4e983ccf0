"""What was observed: metrics over time."""

from dataclasses import dataclass

from cortex.foundation.clock import Clock
from cortex.telemetry.history.model import Catalogued
from cortex.telemetry.history.ports import History
from cortex.telemetry.history.question import Line, Question, ask


@dataclass(frozen=True, slots=True)
class Observed:
    """Answers questions about the past of this server."""

    kept: History
    clock: Clock

    async def history(self, question: Question, /) -> list[Line]:
        """Return the lines that answer a question about metrics."""
        return await ask(self.kept, question)

    async def catalog(self) -> list[Catalogued]:
        """Return every metric that history holds."""
        return await self.kept.catalog()
