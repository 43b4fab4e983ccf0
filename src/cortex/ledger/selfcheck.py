"""The ledger looks after itself: what is new often, everything now and then.

A look at what is new begins at the last pinned head that an earlier look had agreed
with, so it costs what was added since. What lies before is read in full less often.
"""

import asyncio
from collections.abc import Callable

from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError
from cortex.ledger.log import Ledger
from cortex.ledger.pins import PinFolder
from cortex.ledger.verdicts import Reason, Verdict, Verification
from cortex.ledger.verify import Request

LOOK_SECONDS = 60.0
"""Between two looks at what is new: a thousand entries take some milliseconds."""

FULL_SECONDS = 900.0
"""Between two verifications of everything: 300 000 entries take a second."""

_SUSPICIOUS = frozenset((Reason.PIN_UNUSABLE, Reason.NO_HEAD, Reason.NO_KEY))
"""What cannot be checked although this server pinned it: somebody took it away."""

Alarm = Callable[[Verification], None]
"""Told of each new finding, once."""


class SelfCheck:
    """Verifies a ledger from time to time and remembers what is wrong with it."""

    def __init__(
        self, ledger: Ledger, pins: PinFolder, clock: Clock, alarm: Alarm
    ) -> None:
        """Take the ledger, where its heads are pinned, and whom to tell."""
        self._ledger = ledger
        self._pins = pins
        self._clock = clock
        self._alarm = alarm
        self._agreed = 0
        self._full_at = float("-inf")

    async def run(self) -> None:
        """Look for ever; the first look comes after a minute, and reads it all."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> Verification:
        """Verify what is new, or everything when that is due."""
        now = self._clock.monotonic()
        is_full = now - self._full_at >= FULL_SECONDS
        since = 0 if is_full else await asyncio.to_thread(self._start)
        found = await self._ledger.verify(Request(since=since))
        if is_full or not since:
            self._full_at = now
        self._judge(found, is_full=is_full)
        return found

    def _start(self) -> int:
        """Return the largest pinned size that an earlier look agreed with."""
        try:
            pinned = self._pins.read()
        except ValidationError:
            # A whole verification says what is wrong with it.
            return 0
        if pinned is None:
            return 0
        sizes = {head.size for head in pinned.trail}
        if pinned.head is not None:
            sizes.add(pinned.head.size)
        return max((size for size in sizes if size <= self._agreed), default=0)

    def _judge(self, found: Verification, *, is_full: bool) -> None:
        if found.verdict is Verdict.INTACT:
            self._agreed = found.signed_size
            if is_full:
                # Only who read everything may say that nothing is wrong any more.
                self._ledger.finding = None
        elif found.verdict is Verdict.TAMPERED or found.reason in _SUSPICIOUS:
            known = self._ledger.finding
            self._ledger.finding = found
            self._agreed = 0
            self._full_at = float("-inf")
            news = known is None or (known.reason, known.index) != (
                found.reason,
                found.index,
            )
            if news:
                self._alarm(found)
