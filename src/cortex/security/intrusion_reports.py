"""Writes the signals of the watch as events, through the outbox."""

from cortex.bus.events import Event
from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import DEFAULT_TENANT
from cortex.security.intrusion import Signal, SignalType, Watch
from cortex.storage import outbox
from cortex.storage.sqlite import Connection, Database

REPORT_SECONDS = 1.0
"""Seconds between two reports: how old a signal gets before anyone sees it."""

_SOURCE = "/cortex/security"


class IntrusionReports:
    """Carries signals from the watch to the outbox, from where everyone hears them."""

    def __init__(
        self,
        watch: Watch,
        database: Database,
        *,
        clock: Clock,
        ids: IdSource,
        tenant: str = DEFAULT_TENANT,
    ) -> None:
        """Report under ``tenant``, the operator's own: clients may have none."""
        self._watch = watch
        self._database = database
        self._clock = clock
        self._ids = ids
        self._tenant = tenant

    async def run(self) -> None:
        """Report for ever; for the application's background loops."""
        while True:
            await self._clock.sleep(REPORT_SECONDS)
            await self.report()

    async def report(self) -> int:
        """Write what has come together, in one transaction; return how many."""
        signals = self._watch.take()
        if not signals:
            return 0
        events = [self._event(signal) for signal in signals]

        def unit(connection: Connection) -> None:
            for event in events:
                outbox.append(connection, event)

        await self._database.write(unit)
        return len(events)

    def _event(self, signal: Signal) -> Event:
        return Event(
            id=self._ids.new(),
            type=signal.type,
            source=_SOURCE,
            time=self._clock.now(),
            subject=signal.client,
            tenant=self._tenant,
            data=_data(signal),
        )


def _data(signal: Signal) -> dict[str, JsonValue]:
    if signal.type is SignalType.TAMPERING:
        data: dict[str, JsonValue] = {"target": signal.client, "reason": signal.reason}
        if signal.value is not None:
            data["index"] = int(signal.value)
        return data
    data = {
        "client": signal.client,
        "reason": signal.reason,
        "count": signal.count,
    }
    if signal.value is not None:
        data["value"] = round(signal.value, 3)
    return data
