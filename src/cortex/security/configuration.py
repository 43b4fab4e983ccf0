"""Tells what was changed in the settings since the last start: names, never values."""

import json
from collections.abc import Mapping

from cortex.bus.events import Event
from cortex.foundation.clock import Clock
from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import DEFAULT_TENANT
from cortex.storage import outbox
from cortex.storage.queries import Queries
from cortex.storage.sqlite import Connection, Database

OPERATOR = "operator"
"""Who changes settings: whoever starts the process."""

_SOURCE = "/cortex/security"
_SQL = Queries.load("cortex.security", "configuration")


class ConfigurationLog:
    """Compares the settings of this start with those of the last one."""

    def __init__(self, database: Database, *, clock: Clock, ids: IdSource) -> None:
        """Use an opened database with the migrations of storage and security."""
        self._database = database
        self._clock = clock
        self._ids = ids

    async def note(self, digests: Mapping[str, str]) -> tuple[str, ...]:
        """Keep the digests and return the names that changed, an event with them.

        The first start of all changes nothing; of several processes one tells.
        """

        def unit(connection: Connection) -> tuple[str, ...]:
            row = connection.execute(_SQL["last"]).fetchone()
            before: dict[str, str] = {} if row is None else json.loads(row[0])
            names = before.keys() | digests.keys()
            changed = tuple(sorted(n for n in names if before.get(n) != digests.get(n)))
            if not changed:
                return ()
            connection.execute(_SQL["keep"], (json.dumps(dict(digests)),))
            if row is None:
                return ()
            outbox.append(connection, self._event(changed))
            return changed

        return await self._database.write(unit)

    def _event(self, changed: tuple[str, ...]) -> Event:
        return Event(
            id=self._ids.new(),
            type="config.changed",
            source=_SOURCE,
            time=self._clock.now(),
            subject="settings",
            tenant=DEFAULT_TENANT,
            data={"keys": list(changed), "actor": OPERATOR},
        )
