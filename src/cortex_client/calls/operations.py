"""Health, readiness, and the stream of events."""

from collections.abc import Sequence
from typing import Unpack

from cortex_client.call import Answer, Call, Flow, Retry, Traced, traced
from cortex_client.decoding import decode
from cortex_client.sse import EventReader
from cortex_client.wire import Event, Health, Json, Readiness

EVENTS_SILENCE_SECONDS = 60.0
"""A living stream sends a line every 15 seconds; four missed, and it is dead."""

_OK = 200
_NOT_READY = 503


class EventOptions(Traced, total=False):
    """``last_event_id``: go on after this event; ``types``: only events of these."""

    last_event_id: str | None
    types: Sequence[str] | None


def health(**options: Unpack[Traced]) -> Call[Health]:
    """Return the health of the server; an unhealthy one answers, too."""
    return Call(
        "GET",
        "/healthz",
        lambda answer: decode(Health, answer.body),
        headers=traced(options.get("correlation_id")),
        accept=frozenset({_NOT_READY}),
    )


def ready(**options: Unpack[Traced]) -> Call[Readiness]:
    """Return whether the server takes traffic now."""
    return Call(
        "GET",
        "/ready",
        _readiness,
        headers=traced(options.get("correlation_id")),
        accept=frozenset({_NOT_READY}),
    )


def slo(**options: Unpack[Traced]) -> Call[Json]:
    """Return every objective with its budget, burn rates, alerts, and the baseline."""
    return _told("/slo", options.get("correlation_id"))


def energy(**options: Unpack[Traced]) -> Call[Json]:
    """Return power, energy by route and emissions, each figure with its source."""
    return _told("/metrics/energy", options.get("correlation_id"))


def alerts(**options: Unpack[Traced]) -> Call[Json]:
    """Return the alerts that are pending or fire."""
    return _told("/alerts", options.get("correlation_id"))


def acknowledge_alert(name: str, **options: Unpack[Traced]) -> Call[Json]:
    """Say that you know of a firing alert; saying it again changes nothing."""
    return Call(
        "POST",
        "/alerts/acknowledge",
        lambda answer: decode(dict[str, object], answer.body),
        body={"name": name},
        headers=traced(options.get("correlation_id")),
        retry=Retry.SAFE,
    )


def dead_letters(
    *, subscriber: str | None = None, **options: Unpack[Traced]
) -> Call[Json]:
    """Return events that a subscriber refused too often, the oldest first."""
    return Call(
        "GET",
        "/events/dead-letters",
        lambda answer: decode(dict[str, object], answer.body),
        params={"subscriber": subscriber},
        headers=traced(options.get("correlation_id")),
    )


def retry_dead_letters(
    *,
    subscriber: str | None = None,
    event_id: str | None = None,
    **options: Unpack[Traced],
) -> Call[Json]:
    """Offer dead letters to their subscribers once more; all, or those named."""
    named = {"subscriber": subscriber, "event_id": event_id}
    return Call(
        "POST",
        "/events/dead-letters/retry",
        lambda answer: decode(dict[str, object], answer.body),
        body={name: value for name, value in named.items() if value is not None},
        headers=traced(options.get("correlation_id")),
    )


def events(**options: Unpack[EventOptions]) -> Flow[Event]:
    """Stream what happens at the server; ends when the connection does."""
    last = options.get("last_event_id")
    types = options.get("types")
    return Flow(
        "/events/stream",
        EventReader,
        params={"types": ",".join(types) if types else None},
        silence_seconds=EVENTS_SILENCE_SECONDS,
        headers={
            "Accept": "text/event-stream",
            **traced(options.get("correlation_id")),
            **({} if last is None else {"Last-Event-ID": last}),
        },
    )


def _told(path: str, correlation_id: str | None) -> Call[Json]:
    return Call(
        "GET",
        path,
        lambda answer: decode(dict[str, object], answer.body),
        headers=traced(correlation_id),
    )


def _readiness(answer: Answer) -> Readiness:
    body = answer.body if isinstance(answer.body, dict) else {}
    reason = body.get("reason") or body.get("status") or body.get("detail") or ""
    return Readiness(answer.status == _OK, str(reason))
