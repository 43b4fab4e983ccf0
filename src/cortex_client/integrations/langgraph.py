"""LangGraph's store on Cortex: long-term memory of graphs, searched by meaning.

``CortexStore`` is a ``langgraph.store.base.BaseStore``::

    store = CortexStore("http://127.0.0.1:4949")
    graph = builder.compile(store=store)

What differs from LangGraph's own stores, and why:

- The server embeds; there is no ``index`` configuration to give. ``fields`` says which
  parts of a value are searched by meaning, ``index`` of a put overrides it.
- ``score`` is Cortex's confidence, 0..1, that the item answers the query.
- A search by query ranks the best 100; one without lists the newest first.
- An item that was put again keeps its ``created_at``. With a time to live its
  ``updated_at`` also moves when a read prolongs it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, Unpack

from cortex_client.calls import memory
from cortex_client.errors import NotFoundError
from cortex_client.integrations import langgraph_items as items
from cortex_client.integrations.kept import Record
from cortex_client.integrations.link import Link, Manner, Script, as_query, missing
from cortex_client.wire import MemoryPage, MemoryStats, Recalled, Remembered

try:
    from langgraph.store.base import (
        BaseStore,
        GetOp,
        InvalidNamespaceError,
        Item,
        ListNamespacesOp,
        Op,
        PutOp,
        Result,
        SearchItem,
        SearchOp,
        TTLConfig,
        get_text_at_path,
        tokenize_path,
    )
except ImportError as error:
    raise missing("langgraph", "langgraph", error) from None

RANKED_MAX = 100
"""Items ranked by one search; the server gives no more."""

PAGE_MAX = 500
"""Items of one page of a listing."""

PUT_MAX = 100
"""Items of one write: with values of ordinary size, well below the body's limit."""

WHOLE = "$"
"""The path of the whole value."""

TRIES_MAX = 3
"""How often an item is put that others delete at the same moment."""


class CortexStore(BaseStore):
    """Items in one namespace of a Cortex server; usable from threads and loops."""

    supports_ttl = True

    def __init__(
        self,
        base_url: str | None = None,
        *,
        namespace: str = "langgraph",
        fields: Sequence[str] = (WHOLE,),
        ttl: TTLConfig | None = None,
        **manner: Unpack[Manner],
    ) -> None:
        """Settle where and how; nothing is opened before the first call.

        ``namespace`` is the server's, which holds all of the store's; ``ttl`` is
        LangGraph's (``default_ttl`` in minutes, ``refresh_on_read``).
        """
        super().__init__()
        self._link = Link(base_url, manner)
        self._place: Any = {"namespace": namespace}
        self._fields = tuple(fields)
        self.ttl_config = ttl

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    async def __aenter__(self) -> Self:
        """Return the store itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.aclose()

    def close(self) -> None:
        """Close the connections of synchronous calls."""
        self._link.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop and of synchronous calls."""
        await self._link.aclose()

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations: reads see what was there before the batch's writes."""
        return self._link.run(self._batch(list(ops)))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations: reads see what was there before the batch's writes."""
        return await self._link.arun(self._batch(list(ops)))

    def _batch(self, ops: Sequence[Op]) -> Script[list[Result]]:
        results: list[Result] = []
        puts: dict[tuple[tuple[str, ...], str], PutOp] = {}
        for op in ops:
            found: Result = None
            if isinstance(op, GetOp):
                found = yield from self._get(op)
            elif isinstance(op, SearchOp):
                found = yield from self._search(op)
            elif isinstance(op, ListNamespacesOp):
                found = yield from self._namespaces(op)
            else:
                _check(op.namespace)
                puts[op.namespace, op.key] = op
            results.append(found)
        yield from self._write(list(puts.values()))
        return results

    def _get(self, op: GetOp) -> Script[Item | None]:
        _check(op.namespace)
        key = items.key_of(op.namespace, op.key)
        page: MemoryPage = yield memory.list_memories(
            idempotency_key=key, limit=1, **self._place
        )
        if not page.memories:
            return None
        record = page.memories[0]
        yield from self._refresh([record] if op.refresh_ttl else [])
        return Item(**_fields(record))

    def _search(self, op: SearchOp) -> Script[list[SearchItem]]:
        _check(op.namespace_prefix)
        query = as_query(op.query or "")
        if query:
            found = yield from self._ranked(op, query)
        else:
            found = yield from self._listed(op)
        chosen = found[op.offset :][: op.limit]
        yield from self._refresh([r for r, _ in chosen] if op.refresh_ttl else [])
        return [SearchItem(**_fields(r), score=score) for r, score in chosen]

    def _ranked(
        self, op: SearchOp, query: str
    ) -> Script[list[tuple[Record, float | None]]]:
        where = {"indexed": True, **items.pushed(op.filter or {})}
        wanted = RANKED_MAX if op.filter else op.offset + op.limit
        found: Recalled = yield memory.recall(
            query,
            max(1, min(wanted, RANKED_MAX)),
            tag=items.tag_of(op.namespace_prefix),
            filter=where,
            **self._place,
        )
        return [
            (hit, hit.confidence)
            for hit in found.hits
            if items.passes(items.value_of(hit), op.filter)
        ]

    def _listed(self, op: SearchOp) -> Script[list[tuple[Record, float | None]]]:
        wanted = op.offset + op.limit
        found: list[tuple[Record, float | None]] = []
        cursor: str | None = None
        while len(found) < wanted:
            page: MemoryPage = yield memory.list_memories(
                tag=items.tag_of(op.namespace_prefix),
                limit=PAGE_MAX if op.filter else min(wanted - len(found), PAGE_MAX),
                cursor=cursor,
                **self._place,
            )
            found += [
                (record, None)
                for record in page.memories
                if items.passes(items.value_of(record), op.filter)
            ]
            cursor = page.next_cursor
            if cursor is None:
                break
        return found

    def _refresh(self, found: Sequence[Record]) -> Script[None]:
        for record in found:
            minutes = record.metadata.get("ttl_minutes")
            if isinstance(minutes, int | float):
                seconds = minutes * items.SECONDS_A_MINUTE
                try:
                    yield memory.update_memory(
                        record.id, ttl_seconds=seconds, **self._place
                    )
                except NotFoundError:
                    continue  # it went while it was read

    def _namespaces(self, op: ListNamespacesOp) -> Script[list[tuple[str, ...]]]:
        counts: MemoryStats = yield memory.stats(**self._place)
        paths = {items.path_of(kind) for kind, n in counts.by_kind.items() if n}
        conditions = op.match_conditions or ()
        chosen = {
            path[: op.max_depth]
            for path in paths
            if path is not None
            and all(items.matches(path, c.match_type, c.path) for c in conditions)
        }
        return sorted(chosen)[op.offset :][: op.limit]

    def _write(self, puts: Sequence[PutOp]) -> Script[None]:
        for op in puts:
            if op.value is None:
                key = items.key_of(op.namespace, op.key)
                yield memory.forget(idempotency_key=key, **self._place)
        kept = [op for op in puts if op.value is not None]
        for start in range(0, len(kept), PUT_MAX):
            part = kept[start : start + PUT_MAX]
            stored: Remembered = yield memory.remember(
                [self._item(op) for op in part], **self._place
            )
            for op, answer in zip(part, stored.items, strict=True):
                if not answer.created:
                    yield from self._replace(op, answer.id, TRIES_MAX)

    def _replace(self, op: PutOp, memory_id: str, tries: int) -> Script[None]:
        """Change an item in place; what has no end any more is stored anew."""
        item = self._item(op)
        try:
            changed = yield memory.update_memory(
                memory_id,
                content=item["content"],
                metadata=item["metadata"],
                **({} if op.ttl is None else {"ttl_seconds": item["ttl_seconds"]}),
                **self._place,
            )
            if op.ttl is not None or changed.expires_at is None:
                return
            yield memory.forget(memory_id, **self._place)
        except NotFoundError:
            pass  # it went meanwhile: then it is new
        else:
            item["occurred_at"] = changed.occurred_at
        stored: Remembered = yield memory.remember([item], **self._place)
        if not stored.items[0].created and tries > 1:
            yield from self._replace(op, stored.items[0].id, tries - 1)

    def _item(self, op: PutOp) -> dict[str, Any]:
        more = {} if op.ttl is None else {"ttl_minutes": op.ttl}
        value = op.value or {}
        item = {
            **items.body(op.key, value, self._texts(value, op.index), more),
            "kind": items.kind_of(op.namespace),
            "tags": items.tags_of(op.namespace),
            "idempotency_key": items.key_of(op.namespace, op.key),
            "source_kind": "agent",
        }
        if op.ttl is not None:
            item["ttl_seconds"] = op.ttl * items.SECONDS_A_MINUTE
        return item

    def _texts(self, value: Mapping[str, Any], index: object) -> list[str] | None:
        if index is False:
            return None
        paths = self._fields if index is None else index
        return list(_texts_at(value, paths))  # type: ignore[arg-type]


def _texts_at(value: Mapping[str, Any], paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if path == WHOLE:
            yield items.readable(value)
        else:
            yield from get_text_at_path(dict(value), tokenize_path(path))


def _check(path: Sequence[str]) -> None:
    """Refuse what would name another namespace once its labels are joined."""
    for label in path:
        if not isinstance(label, str) or not label or "." in label:
            message = (
                f"{label!r} is no label of a namespace: labels are texts without a "
                "period, not empty"
            )
            raise InvalidNamespaceError(message)


def _fields(record: Record) -> dict[str, Any]:
    return {
        "namespace": items.path_of(record.kind) or (),
        "key": str(record.metadata.get("key", "")),
        "value": items.value_of(record),
        "created_at": datetime.fromtimestamp(record.occurred_at or 0.0, UTC),
        "updated_at": datetime.fromtimestamp(record.updated_at or 0.0, UTC),
    }
