"""Alert states in the database file, changed in one transaction with their events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cortex.bus.events import Event
from cortex.operations.alerts.model import AlertState, Phase
from cortex.storage import outbox
from cortex.storage.queries import Queries
from cortex.storage.sqlite import Connection, Database

_SQL = Queries.load("cortex.operations", "alerts")


@dataclass(frozen=True, slots=True)
class Kept:
    """What was stored: states by rule, and when the rules were last looked at."""

    states: Mapping[str, AlertState]
    evaluated_at: float


class AlertStore:
    """Keeps the states of alerts that are pending or firing."""

    def __init__(self, database: Database) -> None:
        """Use an opened database with the migrations of this room."""
        self._database = database

    async def load(self) -> Kept:
        """Return everything."""
        return await self._database.read(_load)

    async def save(
        self,
        states: Mapping[str, AlertState],
        events: Sequence[Event] = (),
        *,
        evaluated_at: float,
    ) -> None:
        """Store changed states and append their events, all or nothing."""

        def unit(connection: Connection) -> None:
            for rule, state in states.items():
                _put(connection, rule, state)
            for event in events:
                outbox.append(connection, event)
            connection.execute(_SQL["set_evaluated_at"], {"at": evaluated_at})

        await self._database.write(unit)


def _load(connection: Connection) -> Kept:
    states = {
        rule: AlertState(Phase(phase), *rest)
        for rule, phase, *rest in connection.execute(_SQL["states"])
    }
    [at] = connection.execute(_SQL["evaluated_at"]).fetchone()
    return Kept(states, at)


def _put(connection: Connection, rule: str, state: AlertState) -> None:
    if state.phase is Phase.INACTIVE:
        connection.execute(_SQL["delete_state"], {"rule": rule})
        return
    connection.execute(
        _SQL["put_state"],
        {
            "rule": rule,
            "phase": state.phase.value,
            "since": state.since,
            "fired_at": state.fired_at,
            "value": state.value,
            "acknowledged_by": state.acknowledged_by,
            "acknowledged_at": state.acknowledged_at,
            "escalated_at": state.escalated_at,
        },
    )
