"""A copy of the log's facts as a Parquet file, for tools that read tables.

It is derived: nothing is verified against it and nothing depends on it. It can be made
anew from the log at any time, and it says in its metadata from which tree it was made.
Personal content is not in it, for it is not in the entries either.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from cortex.ledger.checkpoint import SignedCheckpoint
from cortex.ledger.entry import entry_hash, parse_leaf, time_microseconds
from cortex.ledger.notes import encode64

try:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter
except ImportError as error:
    message = "a Parquet file needs the extra: pip install 'cortex-context[parquet]'"
    raise ImportError(message) from error

ROWS_AT_ONCE = 16_384
"""Rows of one row group: about 10 MB of entries."""

TEXTS = (
    "entry_hash",
    "id",
    "kind",
    "tenant",
    "actor",
    "subject",
    "correlation_id",
    "run_id",
    "agent",
    "outcome",
)
"""Columns of text, empty as null."""

NOTICE = "derived from the log; verify the log, not this file"


def write_parquet(
    path: Path, leaves: Iterable[tuple[int, bytes]], head: SignedCheckpoint
) -> int:
    """Write the facts of entries; return how many. A file that exists is replaced.

    Raises:
        ValidationError: an entry is malformed.
    """
    about = {
        "cortex.notice": NOTICE,
        "cortex.origin": head.checkpoint.origin,
        "cortex.size": str(head.size),
        "cortex.root": encode64(head.root),
    }
    schema = _schema(about)
    partial = path.with_name(f".{path.name}.partial")
    count = 0
    try:
        with ParquetWriter(partial, schema, compression="zstd") as writer:
            for rows in _groups(leaves):
                writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))
                count += len(rows)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _schema(about: Mapping[str, str]) -> Any:
    fields = [
        pa.field("index", pa.int64(), nullable=False),
        pa.field("recorded_at", pa.timestamp("us", tz="UTC"), nullable=False),
        *(pa.field(name, pa.string()) for name in TEXTS),
        pa.field("latency_ms", pa.float64()),
        pa.field("data", pa.string()),
    ]
    return pa.schema(fields, metadata=about)


def _groups(leaves: Iterable[tuple[int, bytes]]) -> Iterator[list[dict[str, Any]]]:
    rows = (_row(index, body) for index, body in leaves)
    while group := list(islice(rows, ROWS_AT_ONCE)):
        yield group


def _row(index: int, body: bytes) -> dict[str, Any]:
    parsed = parse_leaf(body)
    event = parsed.event
    data = event["data"] if isinstance(event["data"], dict) else {}
    named = {**event, **{k: data.get(k) for k in ("run_id", "agent", "outcome")}}
    texts = {name: _text(named.get(name)) for name in TEXTS}
    latency = data.get("latency_ms")
    return {
        **texts,
        "index": index,
        "entry_hash": entry_hash(body),
        "recorded_at": time_microseconds(parsed.time),
        "latency_ms": float(latency) if isinstance(latency, int | float) else None,
        # The bytes as they were hashed, from the data on: nothing is written anew.
        "data": _data(body),
    }


def _data(body: bytes) -> str:
    """Return the data member as its bytes stand in the leaf."""
    start = body.index(b'"data":') + len(b'"data":')
    end = body.rindex(b',"id":')
    return body[start:end].decode()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
