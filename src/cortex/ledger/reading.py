"""The reading end: searches, single entries, their content, and proofs."""

import asyncio
from collections.abc import Mapping

import orjson

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import ValidationError
from cortex.ledger import store
from cortex.ledger.checkpoint import SignedCheckpoint, parse_checkpoint
from cortex.ledger.deep import blob_names
from cortex.ledger.entry import parse_leaf, time_text
from cortex.ledger.errors import ContentForgotten, EntryNotFound
from cortex.ledger.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    range_root,
)
from cortex.ledger.model import (
    AGENT_CALL,
    ConsistencyProof,
    EntryPage,
    EntryQuery,
    EntryView,
    InclusionProof,
)
from cortex.ledger.notes import encode64
from cortex.ledger.options import QUERY_LIMIT_MAX
from cortex.ledger.proof import LogProof
from cortex.ledger.sealing import unseal
from cortex.ledger.store import Placed, StoredHead
from cortex.ledger.stored import StoredLedger
from cortex.ledger.subjects import SubjectKeys
from cortex.ledger.tilestore import TileStore
from cortex.ledger.walk import BodyMissing
from cortex.storage.sqlite import Connection, Database


class Reading:
    """Answers questions about what was recorded."""

    def __init__(
        self,
        database: Database,
        tiles: TileStore,
        stored: StoredLedger,
        keys: SubjectKeys,
    ) -> None:
        """Take the places to read from."""
        self._database = database
        self._tiles = tiles
        self._stored = stored
        self._keys = keys

    async def entries(self, query: EntryQuery) -> EntryPage:
        """Return a page of matching entries, newest first.

        Raises:
            ValidationError: the limit is out of range.
        """
        if not 1 <= query.limit <= QUERY_LIMIT_MAX:
            message = f"limit must be 1 to {QUERY_LIMIT_MAX}"
            raise ValidationError(message, field="limit", limit=QUERY_LIMIT_MAX)
        found = await self._database.read(
            lambda connection: store.search(connection, query)
        )
        views = await asyncio.to_thread(self._views, found)
        more = len(found) == query.limit and found[-1].index > 0
        return EntryPage(views, found[-1].index if more else None)

    async def recent_calls(self, tenant: str, limit: int) -> tuple[EntryView, ...]:
        """Return the newest agent calls of a tenant."""
        query = EntryQuery(tenant=tenant, kind=AGENT_CALL, limit=limit)
        return (await self.entries(query)).entries

    async def entry(self, index: int, tenant: str) -> EntryView:
        """Return one entry.

        Raises:
            EntryNotFound: there is none at that index for that tenant.
        """
        placed = self._placed(index, tenant)
        return (await asyncio.to_thread(self._views, [placed]))[0]

    async def content(self, index: int, tenant: str) -> Mapping[str, JsonValue]:
        """Return the personal content of an entry, or its long data.

        Raises:
            EntryNotFound: there is no such entry for that tenant, or it has none.
            ContentForgotten: it was forgotten.
        """
        self._placed(index, tenant)
        return await asyncio.to_thread(self._content, index)

    def newest(self) -> SignedCheckpoint:
        """Return the newest signed head.

        Raises:
            EntryNotFound: none was signed yet.
        """
        head = self._database.read_inline(store.newest_head)
        if head is None:
            raise EntryNotFound("no checkpoint is signed yet", hint="Try again soon.")
        return parse_checkpoint(head.note)

    def cosigned(self) -> SignedCheckpoint:
        """Return the newest head that a witness cosigned.

        Raises:
            EntryNotFound: none was cosigned yet.
        """

        def read(connection: Connection) -> StoredHead | None:
            return store.head_at(connection, store.mark(connection, store.COSIGNED))

        head = self._database.read_inline(read)
        if head is None:
            message = "no checkpoint is cosigned yet"
            raise EntryNotFound(message, hint="Name witnesses: CORTEX_LEDGER_WITNESSES")
        return parse_checkpoint(head.note)

    def inclusion(self, index: int) -> InclusionProof:
        """Return the proof that an entry is in the tree of the newest head.

        Raises:
            EntryNotFound: no head covers such an entry.
        """
        signed = self.newest()
        if not 0 <= index < signed.size:
            message = f"no checkpoint covers an entry {index}"
            hint = "A new entry is covered within a second."
            raise EntryNotFound(message, hint=hint, index=index, size=signed.size)
        size = signed.size
        path = inclusion_proof(
            index, size, lambda level, at: self._tiles.node(size, level, at)
        )
        digest = self._tiles.node(size, 0, index)
        return InclusionProof(
            index=index,
            size=size,
            entry_hash=digest.hex(),
            path=tuple(encode64(item) for item in path),
            checkpoint=signed.encode().decode(),
            receipt=LogProof(index, tuple(path), signed).encode().decode(),
        )

    def consistency(self, old: int, new: int) -> ConsistencyProof:
        """Return the proof that the tree of ``new`` entries extends that of ``old``.

        Raises:
            EntryNotFound: no head covers so many entries.
            ProofInvalid: the sizes are out of order.
        """
        size = self.newest().size
        if new > size:
            message = f"the newest checkpoint covers {size} entries, not {new}"
            raise EntryNotFound(message, size=size)

        def node(level: int, at: int) -> bytes:
            return self._tiles.node(size, level, at)

        path = consistency_proof(old, new, node)
        return ConsistencyProof(
            old_size=old,
            new_size=new,
            path=tuple(encode64(item) for item in path),
            old_root=encode64(range_root(0, old, node)),
            new_root=encode64(range_root(0, new, node)),
        )

    def _placed(self, index: int, tenant: str) -> Placed:
        row = self._database.read_inline(
            lambda connection: store.entry_at(connection, index)
        )
        if row is None or row[4] != tenant:
            raise EntryNotFound(f"there is no entry {index}", index=index)
        return Placed(row[0], row[1], row[2])

    def _views(self, found: list[Placed]) -> tuple[EntryView, ...]:
        def hot(connection: Connection) -> dict[int, bytes]:
            rows: dict[int, bytes] = {}
            for placed in found:
                at = placed.index
                rows.update(store.leaves(connection, at, at + 1))
            return rows

        bodies = self._database.read_inline(hot)
        return tuple(
            _view(placed, bodies.get(placed.index) or self._cold(placed.index))
            for placed in found
        )

    def _cold(self, index: int) -> bytes | None:
        try:
            return self._stored.leaf(index)
        except BodyMissing:
            # The archive is out of reach: the entry is shown without its data.
            return None

    def _content(self, index: int) -> Mapping[str, JsonValue]:
        try:
            event = dict(parse_leaf(self._stored.leaf(index)).event)
            bodies = {
                name: body
                for at, name, body in self._stored.blobs(index, index + 1)
                if at == index
            }
        except BodyMissing as error:
            raise EntryNotFound(error.finding.detail, index=index) from error
        sealed = event["data"].get("sealed")
        if sealed is None:
            for name in blob_names(event):
                content: dict[str, JsonValue] = orjson.loads(bodies[name])
                return content
            message = f"entry {index} has no content of its own"
            raise EntryNotFound(message, index=index)
        ciphertext = bodies.get(sealed["sha256"])
        if ciphertext is None:
            message = "the content of this entry is not here"
            raise ContentForgotten(message, index=index)
        return unseal(ciphertext, self._keys.key(sealed["key"]), event["id"])


def _view(placed: Placed, body: bytes | None) -> EntryView:
    event: Mapping[str, JsonValue] = {} if body is None else parse_leaf(body).event
    data = event.get("data")
    facts = data if isinstance(data, dict) else {}

    def text(source: Mapping[str, JsonValue], name: str) -> str:
        value = source.get(name)
        return value if isinstance(value, str) else ""

    digest = placed.hash if body is None else leaf_hash(body)
    return EntryView(
        index=placed.index,
        entry_id=text(event, "id"),
        entry_hash=digest.hex(),
        recorded_at=time_text(placed.time_us),
        kind=text(event, "kind"),
        run_id=text(facts, "run_id"),
        agent_name=text(facts, "agent"),
        outcome=text(facts, "outcome"),
        correlation_id=text(event, "correlation_id"),
        actor=text(event, "actor"),
        subject=text(event, "subject"),
        data=facts,
    )
