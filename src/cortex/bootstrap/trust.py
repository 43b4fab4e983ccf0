"""The ledger and what feeds it: every event of the outbox becomes an entry, once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from cortex.app import Loop, opened
from cortex.bootstrap.archives import archive_at
from cortex.bootstrap.stores import Stores
from cortex.bootstrap.tools import Tools
from cortex.bootstrap.transports import Transport, transport_of
from cortex.bootstrap.witnesses import witness_clients
from cortex.bus.events import Event
from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import CortexError
from cortex.foundation.lifecycle import Component
from cortex.foundation.tenancy import DEFAULT_TENANT
from cortex.ledger.cosigning import Cosigning
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.options import LedgerOptions
from cortex.ledger.pins import PinFolder
from cortex.ledger.selfcheck import SelfCheck
from cortex.ledger.upkeep import Moved
from cortex.ledger.verdicts import Verification
from cortex.settings import Settings
from cortex.storage.relay import Relay
from cortex.usecases.audit import ROTATED, Audit, LedgerRoom, Tell
from cortex.usecases.dead_letters import DeadLetters
from cortex.usecases.follow import Follow
from cortex.usecases.health import Check
from cortex.usecases.model import CallContext
from cortex.usecases.past_events import PastEvents

LEDGER_UPKEEP_SECONDS = 60.0
"""Between two looks at rotation, archive and snapshots."""

REOPEN_SECONDS = 10.0
"""Between two tries to open a ledger that did not open or that its disk stopped."""

EVENTS_TOGETHER = 128
"""Events recorded at once: they share the ledger's commits."""

ACTOR = "cortex"
"""Who moves entries outwards when they are old."""

RELAY_NAME = "ledger"
"""Name of the cursor; it stays over releases."""


class Trust:
    """The open ledger of a process, its relay and its background work."""

    def __init__(
        self, settings: Settings, stores: Stores, tools: Tools, tell: Tell
    ) -> None:
        """Nothing is opened yet."""
        self._home = settings.home_folder
        pins = settings.ledger_pins or self._home / "pins"
        self._pins = pins.expanduser()
        self._archive = archive_at(settings.ledger_archive)
        self._witnesses = witness_clients(settings.ledger_witnesses)
        self._tell = tell
        self._cosigning: dict[str, Cosigning] = {}
        self._clock = tools.clock
        self._ids = tools.ids
        self._log = tools.log
        self._watch = tools.watch
        self.room = LedgerRoom()
        self._replaced = asyncio.Event()
        self.audit = Audit(self.room, tell)
        self._relay: Relay[Event] = Relay(
            stores.database, Event.from_json, clock=tools.clock
        )
        self._tracer = tools.tracer
        self._relay.subscribe(RELAY_NAME, self._keep, together=EVENTS_TOGETHER)
        self.follow = Follow(self._relay.journal, tools.clock)
        self.past_events = PastEvents(self._relay.journal)
        self.dead_letters = DeadLetters(self._relay.journal, self._relay.redeliver)
        transport = transport_of(settings)
        self.transports = () if transport is None else (transport,)
        for one in self.transports:
            self._relay.subscribe(one.name, one.publish)
        self._relay.subscribe("followers", self.follow.committed, durable=False)

    def components(self) -> tuple[Component, ...]:
        """Return the parts in the order they start."""
        return (
            opened("ledger", self._open, self._close),
            self._loop("ledger-heads", partial(self._beside, Ledger.run)),
            self._loop("ledger-upkeep", self._upkeep),
            self._loop("ledger-verifier", partial(self._beside, self._verifier)),
            self._loop("ledger-reopening", self._reopening),
            *(
                self._loop(
                    f"ledger-witness-{number}",
                    partial(self._beside, partial(self._cosign, url)),
                )
                for number, url in enumerate(self._witnesses)
            ),
            *(one.component() for one in self.transports),
            self._loop("relay", self._relay.run),
        )

    def health(self) -> Mapping[str, JsonValue]:
        """Return whether the ledger can be relied on, and which witnesses sign.

        Raises:
            Unavailable: it did not open.
        """
        state = self.room.ledger.health()
        facts: dict[str, JsonValue] = {
            "entries": state.size,
            "published": state.published,
        }
        if state.status != "ok":
            facts |= {"degraded": True, "reason": state.reason}
        if self._witnesses:
            facts["witnesses"] = len(self._witnesses)
            faults = [known.fault for known in self._cosigning.values() if known.fault]
            facts["witnesses_failing"] = len(faults)
        return facts

    def transport_checks(self) -> dict[str, Check]:
        """Return a health check a transport of events, by its name."""
        return {one.name: partial(self._reaches, one) for one in self.transports}

    async def _reaches(self, transport: Transport) -> Mapping[str, JsonValue]:
        behind = (await self._relay.lag()).get(transport.name, 0)
        return await transport.health(behind)

    def _loop(self, name: str, run: Callable[[], Awaitable[None]]) -> Component:
        return Loop(name, run, self._clock, self._log).component()

    async def lag(self) -> tuple[int, int]:
        """Return events that no entry keeps yet, and entries that no head covers."""
        behind = (await self._relay.lag()).get(RELAY_NAME, 0)
        if self.room.fault:
            return behind, 0
        state = self.room.ledger.health()
        return behind, state.size - state.published

    async def _keep(self, event: Event) -> None:
        """Record an event, as a part of the trace of the request that caused it."""
        with self._tracer.root("ledger.keep", event.traceparent) as root:
            root.set(event=event.type)
            await self.audit.keep(event)

    async def _open(self) -> None:
        context = LedgerContext(self._clock, self._ids, archive=self._archive)
        options = LedgerOptions(pins=self._pins)
        try:
            self.room.opened(await Ledger.open(self._home, context, options))
        except (CortexError, OSError) as error:
            # Memory goes on without its ledger; health and audit calls tell.
            # Callers are not told where the data folder lies.
            reason = str(error).replace(f"{self._home}/", "")
            if self.room.fault != reason:
                self._log.error("ledger did not open", reason=str(error))
            self.room.failed(reason)
            return
        replaced, self._replaced = self._replaced, asyncio.Event()
        replaced.set()

    async def _close(self) -> None:
        if not self.room.fault:
            await self.room.ledger.close()

    async def _reopening(self) -> None:
        """Open the ledger as soon as its disk, its keys or its files allow it."""
        while True:
            await self._clock.sleep(REOPEN_SECONDS)
            if not self.room.fault and self.room.ledger.disk_failed:
                await self.room.ledger.close()
                await self._open()
            elif self.room.fault:
                await self._open()

    async def _beside(self, work: Callable[[Ledger], Awaitable[None]]) -> None:
        """Do some work on the ledger, and on the one that takes its place."""
        loop = asyncio.current_task()
        name = None if loop is None else loop.get_name()
        while True:
            replaced = self._replaced
            async with asyncio.TaskGroup() as tasks:
                doing = tasks.create_task(self._on_ledger(work), name=name)
                await replaced.wait()
                doing.cancel()

    async def _on_ledger(self, work: Callable[[Ledger], Awaitable[None]]) -> None:
        if not self.room.fault:
            await work(self.room.ledger)

    async def _upkeep(self) -> None:
        while True:
            await self._clock.sleep(LEDGER_UPKEEP_SECONDS)
            if not self.room.fault:
                self._announce(await self.room.ledger.upkeep.run())

    def _announce(self, moved: Moved) -> None:
        for target, count, index in (
            ("bundles", moved.rotated, moved.rotated_to),
            ("archive", moved.archived, moved.archived_to),
        ):
            if count:
                data: dict[str, JsonValue] = {
                    "index": index,
                    "count": count,
                    "target": target,
                }
                context = CallContext(self._ids.new(), ACTOR)
                self._tell(ROTATED, (DEFAULT_TENANT, target), data, context)

    async def _verifier(self, ledger: Ledger) -> None:
        """Look for tampering from time to time, and report it as an intrusion."""
        pins = PinFolder(self._pins)
        await SelfCheck(ledger, pins, self._clock, self._alarm).run()

    def _alarm(self, found: Verification) -> None:
        self._watch.tampering("ledger", found.reason.value, found.index)
        self._log.error("ledger tampered", reason=found.reason.value, index=found.index)

    async def _cosign(self, url: str, ledger: Ledger) -> None:
        self._cosigning[url] = Cosigning(ledger, self._witnesses[url], self._clock)
        await self._cosigning[url].run()
