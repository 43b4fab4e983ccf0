"""Events have a registered shape, and two forms on the wire."""

import re
from typing import Any

import pytest

from cortex.bus.events import Event
from cortex.bus.registry import EVENT_TYPES, check
from cortex.foundation.errors import ValidationError

CONTRACT_NAMES = [
    "state.updated",
    "state.snapshot",
    "state.invalidated",
    "vector.indexed",
    "vector.deleted",
    "vector.searched",
    "audit.recorded",
    "audit.rotated",
    "health.degraded",
    "health.recovered",
    "context.packed",
    "context.overflow",
    "scaling.triggered",
    "query.routed",
    "gpu.allocated",
    "cache.miss",
    "alert.fired",
    "alert.acknowledged",
    "alert.escalated",
    "alert.resolved",
    "config.changed",
    "config.rolledback",
    "slo.burning",
    "slo.recovered",
    "deploy.started",
    "deploy.promoted",
    "deploy.rolledback",
    "memory.stored",
    "memory.updated",
    "memory.forgotten",
    "memory.promoted",
    "memory.demoted",
    "embedding.caught_up",
]


def event(**changes: Any) -> Event:
    fields = {
        "id": "0190-1",
        "type": "memory.stored",
        "source": "/cortex/memory",
        "time": 1_700_000_000.25,
        "subject": "m-1",
        "tenant": "local",
        "data": {"ids": ["m-1", "m-2"], "namespace": "default"},
        "correlation_id": "c-1",
    }
    return Event(**{**fields, **changes})


def test_all_promised_names_are_registered() -> None:
    assert set(CONTRACT_NAMES) <= set(EVENT_TYPES)
    for schema in EVENT_TYPES.values():
        assert schema["type"] == "object"


def test_an_unknown_name_cannot_be_emitted() -> None:
    with pytest.raises(ValidationError, match=r"memory\.invented"):
        event(type="memory.invented")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"ids": ["a"]}, "data.namespace"),
        ({"ids": "a", "namespace": "n"}, "data.ids"),
        ({"ids": [1], "namespace": "n"}, "data.ids"),
        ({"ids": ["a"] * 1_001, "namespace": "n"}, "data.ids"),
        ({"ids": ["a"], "namespace": "n", "count": -1}, "data.count"),
        ({"ids": ["a"], "namespace": "n", "count": True}, "data.count"),
        ({"ids": ["a"], "namespace": "n", "embedding": "maybe"}, "data.embedding"),
        ({"ids": ["a"], "namespace": "n", "content": "x" * 257}, "data.content"),
        ({"ids": ["a"], "namespace": "n", "more": {"deep": 1}}, "data.more"),
        ({"ids": ["a"], "namespace": "n", "more": ["list"]}, "data.more"),
    ],
)
def test_data_that_does_not_fit_is_refused(data: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        event(data=data)
    assert refusal.value.data["field"] == field


def test_further_short_scalars_may_come() -> None:
    extra = {"actor": "someone", "ratio": 0.5, "flag": True, "nothing": None}
    check("memory.stored", {"ids": [], "namespace": "n", **extra})


def test_json_round_trip() -> None:
    original = event(traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    assert Event.from_json(original.to_json()) == original


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id": 1}', b"\xff"])
def test_bytes_that_are_no_event(body: bytes) -> None:
    with pytest.raises(ValidationError):
        Event.from_json(body)


def test_cloud_event_form() -> None:
    envelope = event().cloud_event()
    assert envelope == {
        "specversion": "1.0",
        "id": "0190-1",
        "source": "/cortex/memory",
        "type": "memory.stored",
        "time": "2023-11-14T22:13:20.250000Z",
        "subject": "m-1",
        "datacontenttype": "application/json",
        "data": {"ids": ["m-1", "m-2"], "namespace": "default"},
        "correlationid": "c-1",
    }
    assert all(re.fullmatch(r"[a-z0-9]+", name) for name in envelope)


def test_legacy_form() -> None:
    assert event(subject="m-0").legacy() == {
        "event_type": "memory.stored",
        "payload": {"ids": ["m-1", "m-2"], "namespace": "default"},
        "resource_ids": ["m-0", "m-1", "m-2"],
        "timestamp": "2023-11-14T22:13:20.250000Z",
    }
    assert event(subject="").legacy()["resource_ids"] == ["m-1", "m-2"]
