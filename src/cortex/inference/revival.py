"""Finds out that a model which failed works again, before any caller has to.

The breaker of the embedding service refuses callers for a minute. Meanwhile one short
text is tried every few seconds, and the breaker closes as soon as one has a vector.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from cortex.foundation.breaker import Breaker, Phase
from cortex.foundation.clock import Clock
from cortex.inference.lanes import Lanes

TRY_SECONDS: Final = 10.0
"""Between two tries, and for one of them: a third of the time to recover in."""

_TEXT: Final = "Is anybody there?"


@dataclass(frozen=True, slots=True)
class Revival:
    """Tries what the breaker keeps callers from."""

    lanes: Lanes
    breaker: Breaker
    clock: Clock

    async def run(self) -> None:
        """Try for ever; nothing is asked while all is well."""
        while True:
            await self.clock.sleep(TRY_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Try once if the breaker is open."""
        if self.breaker.state.phase is Phase.CLOSED:
            return
        try:
            running = self.lanes.submit(_TEXT)
        except RuntimeError:
            return  # The service is closed.
        await asyncio.wait((running,), timeout=TRY_SECONDS)
        if not running.done():
            running.cancel()
        elif not running.cancelled() and running.exception() is None:
            self.breaker.reset()
