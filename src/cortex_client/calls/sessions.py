"""Conversations, and hot state with a time to live."""

from collections.abc import Iterable, Mapping
from typing import Unpack

from cortex_client.call import Call, Retry, Traced, segment, traced
from cortex_client.calls.bodies import Item, compact, memory_items
from cortex_client.calls.memory import InNamespace
from cortex_client.decoding import decode
from cortex_client.wire import MemoryPage, Remembered, Session, SessionPage, StateEntry


class SessionFields(Traced, total=False):
    """What may be said of a new conversation; the server chooses an absent ``id``."""

    namespace: str | None
    id: str | None
    user_id: str | None
    agent_id: str | None
    metadata: Mapping[str, object]


class SessionListing(Traced, total=False):
    """Which page of the conversations of a namespace."""

    namespace: str | None
    cursor: str | None
    limit: int


class PutOptions(Traced, total=False):
    """``if_match``: an etag that must still hold, or ``*``: the key must exist."""

    ttl_seconds: float
    if_match: str | None


def create_session(title: str = "", **fields: Unpack[SessionFields]) -> Call[Session]:
    """Open a conversation."""
    correlation_id = fields.pop("correlation_id", None)
    return Call(
        "POST",
        "/sessions",
        lambda answer: decode(Session, answer.body),
        body={"title": title, **compact(fields)},
        headers=traced(correlation_id),
        retry=Retry.UNSENT,
    )


def list_sessions(**listing: Unpack[SessionListing]) -> Call[SessionPage]:
    """Return one page of conversations."""
    return Call(
        "GET",
        "/sessions",
        lambda answer: decode(SessionPage, answer.body),
        params={
            "namespace": listing.get("namespace"),
            "cursor": listing.get("cursor"),
            "limit": listing.get("limit"),
        },
        headers=traced(listing.get("correlation_id")),
    )


def get_session(session_id: str, **options: Unpack[InNamespace]) -> Call[Session]:
    """Return one conversation."""
    return Call(
        "GET",
        _session(session_id),
        lambda answer: decode(Session, answer.body),
        params={"namespace": options.get("namespace")},
        headers=traced(options.get("correlation_id")),
    )


def append_messages(
    session_id: str, messages: Item | Iterable[Item], **options: Unpack[InNamespace]
) -> Call[Remembered]:
    """Append messages to a conversation, in order."""
    return Call(
        "POST",
        f"{_session(session_id)}/messages",
        lambda answer: decode(Remembered, answer.body),
        params={"namespace": options.get("namespace")},
        body={"items": memory_items(messages, {})},
        headers=traced(options.get("correlation_id")),
        keyed="items",
    )


def list_messages(
    session_id: str, **listing: Unpack[SessionListing]
) -> Call[MemoryPage]:
    """Return one page of a conversation's messages, newest first."""
    return Call(
        "GET",
        f"{_session(session_id)}/messages",
        lambda answer: decode(MemoryPage, answer.body),
        params={
            "namespace": listing.get("namespace"),
            "cursor": listing.get("cursor"),
            "limit": listing.get("limit"),
        },
        headers=traced(listing.get("correlation_id")),
    )


def get_state(namespace: str, key: str, **options: Unpack[Traced]) -> Call[StateEntry]:
    """Return a hot-state value."""
    return Call(
        "GET",
        _state(namespace, key),
        lambda answer: decode(StateEntry, answer.body),
        headers=traced(options.get("correlation_id")),
    )


def put_state(
    namespace: str, key: str, value: object, **options: Unpack[PutOptions]
) -> Call[StateEntry]:
    """Write a value, if ``if_match`` still holds; returns it with its new etag."""
    if_match = options.get("if_match")
    return Call(
        "PUT",
        _state(namespace, key),
        lambda answer: decode(StateEntry, answer.body),
        body=compact({"value": value, "ttl_seconds": options.get("ttl_seconds")}),
        headers={**traced(options.get("correlation_id")), **_condition(if_match)},
        retry=Retry.SAFE if if_match is None else Retry.UNSENT,
    )


def delete_state(namespace: str, key: str, **options: Unpack[PutOptions]) -> Call[None]:
    """Remove a key, if ``if_match`` still holds."""
    return Call(
        "DELETE",
        _state(namespace, key),
        lambda _: None,
        headers={
            **traced(options.get("correlation_id")),
            **_condition(options.get("if_match")),
        },
        retry=Retry.UNSENT,
    )


def _session(session_id: str) -> str:
    return f"/sessions/{segment(session_id)}"


def _state(namespace: str, key: str) -> str:
    return f"/state/{segment(namespace)}/{segment(key)}"


def _condition(if_match: str | None) -> dict[str, str]:
    if if_match is None:
        return {}
    return {"If-Match": if_match if if_match == "*" else f'"{if_match.strip(chr(34))}"'}
