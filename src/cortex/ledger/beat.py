"""The rhythm of checkpoints: soon after each entry, and at once when many wait."""

import asyncio

from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError, Unavailable
from cortex.ledger.appender import Appender
from cortex.ledger.checkpoint import SignedCheckpoint
from cortex.ledger.errors import LedgerTampered
from cortex.ledger.options import LedgerOptions
from cortex.ledger.publisher import Publisher

RETRY_SECONDS = 1.0
"""Seconds before publishing is tried again after it failed."""


class Beat:
    """Publishes heads when they are due, and remembers why one could not be."""

    def __init__(
        self,
        publisher: Publisher,
        appender: Appender,
        options: LedgerOptions,
        clock: Clock,
    ) -> None:
        """Take the publisher, and the appender that a contradiction stops."""
        self._publisher = publisher
        self._appender = appender
        self._options = options
        self._clock = clock
        self._waiting = asyncio.Event()
        self._full = asyncio.Event()
        self._new_entries = 0
        self.fault = ""

    def note_new(self) -> None:
        """Take note of a durable entry."""
        self._new_entries += 1
        self._waiting.set()
        if self._new_entries >= self._options.checkpoint_entries:
            self._full.set()

    async def run(self) -> None:
        """Publish whenever it is due, until cancelled."""
        while True:
            await self._waiting.wait()
            await self._wait_until_due()
            try:
                await self.publish()
            except (CortexError, OSError):
                # ``publish`` noted it for ``health``; the entries stay durable.
                await self._clock.sleep(RETRY_SECONDS)

    async def publish(self) -> SignedCheckpoint:
        """Sign and show a head over everything durable; return it.

        Raises:
            LedgerTampered: what is stored contradicts a signed head.
            CortexError, OSError: the disk failed.
        """
        self._waiting.clear()
        self._full.clear()
        self._new_entries = 0
        try:
            signed = await self._publisher.publish()
        except LedgerTampered as error:
            self.fault = str(error)
            self._appender.stop(error.message)
            raise
        except (CortexError, OSError) as error:
            self.fault = str(error)
            self._waiting.set()
            raise
        except asyncio.CancelledError:
            # Whoever asked is gone; what waits for a head still does.
            self._waiting.set()
            raise
        self.fault = ""
        return signed

    async def cover(self, index: int) -> None:
        """Wait for a head that covers a durable entry; those who wait share one.

        Raises:
            Unavailable, LedgerTampered, CortexError, OSError: none could be signed.
        """
        signed = await self.publish()
        if signed.size <= index:
            message = "no checkpoint could be made over this entry"
            raise Unavailable(message, hint="The entry itself is durable.")

    async def _wait_until_due(self) -> None:
        try:
            async with asyncio.timeout(self._options.checkpoint_seconds):
                await self._full.wait()
        except TimeoutError:
            return
