"""Sealing what was stored before encryption was turned on, in bounded batches."""

from typing import Any, Final

from cortex.memory.sealing import (
    Seals,
    sealed_row,
    sealed_session,
    sealed_vectors,
)
from cortex.memory.writes import SQL
from cortex.storage.sqlite import Connection, Database

SEAL_BATCH: Final = 200
"""Rows sealed in one transaction: some 20 ms of the writer."""

_ROW: Final = (
    "id", "author", "user_id", "agent_id", "run_id", "source", "tags", "metadata",
    "content_sha256", "dedupe", "terms", "content", "content_z",
)  # fmt: skip


class Resealing:
    """Brings the rows of one database under their tenants' seals."""

    def __init__(self, database: Database, seals: Seals) -> None:
        """Nothing is done yet."""
        self._database = database
        self._seals = seals
        self._after = 0

    async def run(self) -> int:
        """Seal every row that is not; return how many.

        Can be interrupted and called again. ``Database.scrub`` then clears the plain
        bytes from the files.
        """
        done = self._after = 0
        for unit in (self._memories, self._sessions):
            while number := await self._database.write(unit):
                done += number
        return done

    def _memories(self, connection: Connection) -> int:
        # Behind the batch before: the rows that are sealed by now are not read again.
        asked = (self._after, SEAL_BATCH)
        rows = connection.execute(SQL["unsealed_memories"], asked).fetchall()
        for seq, tenant in rows:
            seal = self._seals.writing(connection, tenant)
            stored = connection.execute(SQL["plain_row"], (seq,)).fetchone()
            values: dict[str, Any] = dict(zip(_ROW, stored, strict=True))
            kept = sealed_row(seal, values)
            connection.execute(SQL["seal_row"], {**kept, "seq": seq})
            vectors = connection.execute(SQL["vectors_of"], (seq,)).fetchone()
            if vectors is not None:
                sealed = sealed_vectors(seal, seq, vectors[0])
                connection.execute(SQL["seal_vectors"], (sealed, seq))
        self._after = rows[-1][0] if rows else self._after
        return len(rows)

    def _sessions(self, connection: Connection) -> int:
        rows = connection.execute(SQL["unsealed_sessions"], (SEAL_BATCH,)).fetchall()
        for tenant, ns_id, session_id, title, user_id, agent_id, metadata in rows:
            seal = self._seals.writing(connection, tenant)
            values = {
                "title": title,
                "user_id": user_id,
                "agent_id": agent_id,
                "metadata": metadata,
            }
            kept = sealed_session(seal, session_id, values)
            row = {**kept, "ns_id": ns_id, "id": session_id}
            connection.execute(SQL["seal_session"], row)
        return len(rows)
