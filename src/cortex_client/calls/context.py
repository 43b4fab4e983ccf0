"""Contexts, snapshots, and search over what is registered."""

from collections.abc import Mapping, Sequence
from typing import Unpack

from cortex_client.call import Answer, Call, Traced, traced
from cortex_client.calls.bodies import compact, optimize_items
from cortex_client.decoding import decode
from cortex_client.wire import (
    Context,
    ContextPack,
    Optimized,
    OptimizeItem,
    Resource,
    VectorHits,
)


class ContextOptions(Traced, total=False):
    """What a context is built from and for; how, as the server documents."""

    session_id: str | None
    namespace: str | None
    model: str | None
    max_tokens: int
    reserve_tokens: int
    strategy: str | None
    compression: str
    min_trust: float | None


class VectorOptions(Traced, total=False):
    """Where, and how far trusted at least; the default namespace when not said."""

    namespace: str
    min_trust: float


class OptimizeOptions(Traced, total=False):
    """Which model's tokens are counted, and how items may be shortened."""

    model: str
    compression: str


def build_context(
    query: str | None = None, **options: Unpack[ContextOptions]
) -> Call[Context]:
    """Build a prompt context for a query, a session or both, in an exact budget."""
    correlation_id = options.pop("correlation_id", None)
    return Call(
        "POST",
        "/context",
        lambda answer: decode(Context, answer.body),
        body=compact({"query": query, **options}),
        headers=traced(correlation_id),
    )


def optimize_context(
    items: Sequence[OptimizeItem | Mapping[str, object]],
    max_tokens: int = 4096,
    reserve_tokens: int = 0,
    **options: Unpack[OptimizeOptions],
) -> Call[Optimized]:
    """Fit the caller's own items into ``max_tokens`` less ``reserve_tokens``."""
    correlation_id = options.pop("correlation_id", None)
    return Call(
        "POST",
        "/context/optimize",
        lambda answer: decode(Optimized, answer.body),
        body={
            "items": optimize_items(items),
            "max_tokens": max_tokens,
            "reserve_tokens": reserve_tokens,
            **compact(options),
        },
        headers=traced(correlation_id),
    )


def get_snapshot(
    since: str | None = None, **options: Unpack[Traced]
) -> Call[ContextPack]:
    """Return the state as a signed pack; checked when the client holds the key."""
    return Call(
        "GET",
        "/state/snapshot",
        lambda answer: decode(ContextPack, answer.body),
        params={"since": since},
        headers=traced(options.get("correlation_id")),
        signed=True,
    )


def discover(**options: Unpack[Traced]) -> Call[tuple[Resource, ...]]:
    """Return what the server can reach for the caller."""
    return Call(
        "GET",
        "/state/discover",
        _resources,
        headers=traced(options.get("correlation_id")),
    )


def vector_search(
    query: str,
    top_k: int = 5,
    filter_metadata: Mapping[str, object] | None = None,
    **options: Unpack[VectorOptions],
) -> Call[VectorHits]:
    """Find documents by meaning."""
    correlation_id = options.pop("correlation_id", None)
    return Call(
        "POST",
        "/vector/search",
        lambda answer: decode(VectorHits, answer.body),
        body={
            "query": query,
            "top_k": top_k,
            "filter_metadata": dict(filter_metadata or {}),
            **compact(options),
        },
        headers=traced(correlation_id),
    )


def _resources(answer: Answer) -> tuple[Resource, ...]:
    body = answer.body if isinstance(answer.body, dict) else {}
    return decode(tuple[Resource, ...], body.get("resources"), "answer.resources")
