"""Memory and temporary files of the process."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from cortex.foundation.clock import Clock
from cortex.foundation.garbage import collector_status
from cortex.foundation.leftovers import ROUND_SECONDS, Leftovers
from cortex.settings import Settings
from cortex.usecases.inference_control import Housekeeping

TEMPORARY_FOLDER = "tmp"
"""Folder under HOME for files of work in progress."""

_STATM = Path("/proc/self/statm")


def leftovers(settings: Settings, clock: Clock) -> Leftovers:
    """Return who removes what cut-off work left in the home folder."""
    home = settings.home_folder
    places = (
        (home / TEMPORARY_FOLDER, "*"),
        (home, ".doctor-*"),
        # Copies before migrations that were cut off, with their journals.
        (home, "*.bak.*partial*"),
        (home / "ledger", "*.bak.*partial*"),
    )
    return Leftovers(places, clock=clock)


def cleaning(left: Leftovers, clock: Clock) -> Callable[[], Awaitable[None]]:
    """Return the loop that looks for leftovers, for ever."""

    async def run() -> None:
        while True:
            await asyncio.to_thread(left.clean)
            await clock.sleep(ROUND_SECONDS)

    return run


def housekeeping(left: Leftovers) -> Housekeeping:
    """Return how the process looks after itself."""
    return Housekeeping(resident_bytes(), collector_status(), left.cleaned)


def resident_bytes() -> int:
    """Return the memory that this process has now; 0 where that is not told."""
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
