"""Looks at the health of all components, and has the changes told."""

from collections.abc import Callable
from dataclasses import dataclass

from cortex.foundation.clock import Clock
from cortex.operations.health_changes import HealthChanges, Seen
from cortex.usecases.health import Health
from cortex.usecases.model import CheckResult

LOOK_SECONDS = 5.0
"""Between two looks: one makes a handful of short calls."""


@dataclass(frozen=True, slots=True)
class HealthWatch:
    """Asks the health again and again.

    Attributes:
        leads: of several processes over the same files only one tells.
    """

    health: Health
    changes: HealthChanges
    clock: Clock
    leads: Callable[[], bool]

    async def run(self) -> None:
        """Look for ever."""
        await self.changes.follow()
        while True:
            await self.look()
            await self.clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once; a process that does not lead keeps up with the one that does."""
        if not self.leads():
            await self.changes.follow()
            return
        report = await self.health()
        await self.changes.evaluate(
            _seen(name, check) for name, check in report.checks.items()
        )


def _seen(name: str, check: CheckResult) -> Seen:
    reason = check.error or str(check.detail.get("reason", ""))
    return Seen(name, check.status.value, reason)
