"""Changing the signing key without a break in trust."""

import asyncio
from collections.abc import Awaitable, Callable

from cortex.foundation.ids import IdSource
from cortex.ledger.keys import KeyFolder
from cortex.ledger.model import KEY_ROTATED, Receipt, SystemEvent
from cortex.ledger.pins import PinFolder
from cortex.ledger.publisher import Publisher


class KeyRotation:
    """Lets a new key sign beside the old one for a while, then alone."""

    def __init__(
        self,
        folder: KeyFolder,
        publisher: Publisher,
        pins: PinFolder | None,
        ids: IdSource,
    ) -> None:
        """Take the keys, who signs with them, and where verifiers' keys are pinned."""
        self._folder = folder
        self._publisher = publisher
        self._pins = pins
        self._ids = ids

    async def begin(
        self, actor: str, record: Callable[[SystemEvent], Awaitable[Receipt]]
    ) -> Receipt:
        """Record a new key, then let it sign beside the present one.

        The entry is covered by a head that only the old key signed, so that who
        trusts the old key can trust the new one. ``record`` returns when it is.
        """
        new = await asyncio.to_thread(self._folder.prepare_next)
        old = self._publisher.keys.signers[0].verifier_key
        event = SystemEvent(
            id=self._ids.new(),
            kind=KEY_ROTATED,
            subject=new.name,
            data={"new": new.encode(), "old": old.encode()},
            actor=actor,
        )
        receipt = await record(event)
        await asyncio.to_thread(self._folder.rotate)
        await asyncio.to_thread(self._reload)
        return receipt

    async def end_overlap(self) -> None:
        """Destroy the previous key: only the newest one signs from now on."""
        await asyncio.to_thread(self._folder.end_overlap)
        await asyncio.to_thread(self._reload)

    def _reload(self) -> None:
        keys = self._publisher.keys
        self._publisher.keys = self._folder.load(
            keys.origin, post_quantum=keys.cosigner is not None
        )
        if self._pins is not None:
            self._pins.replace_keys(self._publisher.keys.verifier_keys)
