"""Signs of an attack on the wire."""

from collections.abc import Sequence

from cortex.security.intrusion import Alert
from cortex.service.fields import Wire


class AlertAnswer(Wire):
    """One sign: who, why, how many, and how long it has to wait (seconds)."""

    at: float
    type: str
    client: str
    reason: str
    count: int
    value: float | None


class AlertsAnswer(Wire):
    """The newest signs, newest first, and how many clients have to wait now."""

    alerts: list[AlertAnswer]
    waiting_clients: int


def alerts(found: Sequence[Alert], waiting: int) -> dict[str, object]:
    """Shape the answer."""
    told = [
        {
            "at": alert.at,
            "type": alert.signal.type,
            "client": alert.signal.client,
            "reason": alert.signal.reason,
            "count": alert.signal.count,
            "value": alert.signal.value,
        }
        for alert in found
    ]
    return {"alerts": told, "waiting_clients": waiting}
