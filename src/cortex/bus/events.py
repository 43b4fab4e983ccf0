"""The event: one fact of one tenant, with its CloudEvents form and the older form."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from cortex.bus.registry import check
from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import ValidationError

SPEC_VERSION = "1.0"
"""Version of CloudEvents that ``cloud_event`` follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; an event of an unregistered shape cannot be made.

    Attributes:
        id: unique; the same id is the same event, however often it comes.
        type: a name in ``cortex.bus.registry.EVENT_TYPES``.
        source: who says so, as a URI reference such as ``/cortex/memory``.
        time: when it happened, in epoch seconds.
        subject: the id of what it is about; empty when it is about no one thing.
        tenant: whose it is; never shown to another.
        data: ids, counts, names and hashes, never content.
        correlation_id: of the request that caused it; empty when none did.
        traceparent: W3C trace context, or empty.
    """

    id: str
    type: str
    source: str
    time: float
    subject: str = ""
    tenant: str
    data: Mapping[str, JsonValue] = field(default_factory=dict)
    correlation_id: str = ""
    traceparent: str = ""

    def __post_init__(self) -> None:
        """Refuse a name or a shape that the registry does not hold."""
        check(self.type, self.data)

    def to_json(self) -> bytes:
        """Return all fields as JSON bytes; ``from_json`` undoes it."""
        return orjson.dumps(
            {
                "id": self.id,
                "type": self.type,
                "source": self.source,
                "time": self.time,
                "subject": self.subject,
                "tenant": self.tenant,
                "data": dict(self.data),
                "correlation_id": self.correlation_id,
                "traceparent": self.traceparent,
            }
        )

    @classmethod
    def from_json(cls, body: bytes) -> "Event":
        """Read what ``to_json`` wrote.

        Raises:
            ValidationError: it is not such an object, or the registry lacks its type.
        """
        try:
            return cls(**orjson.loads(body))
        except (orjson.JSONDecodeError, TypeError) as error:
            message = f"these bytes are not an event: {error}"
            raise ValidationError(message, field="event") from error

    def cloud_event(self) -> dict[str, JsonValue]:
        """Return the CloudEvents 1.0 envelope; empty attributes are left out."""
        envelope: dict[str, JsonValue] = {
            "specversion": SPEC_VERSION,
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "time": rfc3339(self.time),
            "datacontenttype": "application/json",
            "data": dict(self.data),
        }
        optional = {
            "subject": self.subject,
            "correlationid": self.correlation_id,
            "traceparent": self.traceparent,
        }
        envelope.update({name: text for name, text in optional.items() if text})
        return envelope

    def carried(self) -> bytes:
        """Return the envelope with the tenant in it, for transports of our own."""
        return orjson.dumps({**self.cloud_event(), "tenant": self.tenant})

    @classmethod
    def from_carried(cls, body: bytes) -> "Event":
        """Read what ``carried`` wrote.

        Raises:
            ValidationError: it is not such an envelope, or the registry lacks its type.
        """
        try:
            found = orjson.loads(body)
            return cls(
                id=found["id"],
                type=found["type"],
                source=found["source"],
                time=datetime.fromisoformat(found["time"]).timestamp(),
                subject=found.get("subject", ""),
                tenant=found["tenant"],
                data=found["data"],
                correlation_id=found.get("correlationid", ""),
                traceparent=found.get("traceparent", ""),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            message = f"these bytes are no event of ours: {error!r}"
            raise ValidationError(message, field="event") from error

    def legacy(self) -> dict[str, JsonValue]:
        """Return the form that clients older than the envelope read."""
        listed = self.data.get("ids")
        ids: list[JsonValue] = list(listed) if isinstance(listed, list) else []
        if self.subject and self.subject not in ids:
            ids.insert(0, self.subject)
        return {
            "event_type": self.type,
            "payload": dict(self.data),
            "resource_ids": ids,
            "timestamp": rfc3339(self.time),
        }


def rfc3339(epoch_seconds: float) -> str:
    """Return a time as RFC 3339 in UTC with microseconds."""
    text = datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")
