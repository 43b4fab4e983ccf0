"""Every event name there is, with the JSON schema of its data.

Nothing emits a name that is not here. A schema says which properties must be there and
how those it knows look; further properties may come, if they are short scalars. So no
event can carry content: text is bounded to the length of an id or a name.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias, cast

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import ValidationError

Schema: TypeAlias = Mapping[str, JsonValue]

EVENT_TEXT_CHARACTERS_MAX = 256
"""Characters of a text in event data: an id, a name, a hash, a reason."""

EVENT_ITEMS_MAX = 1_000
"""Items of a list in event data; a larger change is several events."""

_TEXT: dict[str, JsonValue] = {
    "type": "string",
    "maxLength": EVENT_TEXT_CHARACTERS_MAX,
}
_COUNT: dict[str, JsonValue] = {"type": "integer", "minimum": 0}
_NUMBER: dict[str, JsonValue] = {"type": "number"}
_FLAG: dict[str, JsonValue] = {"type": "boolean"}
_TEXTS: dict[str, JsonValue] = {
    "type": "array",
    "items": _TEXT,
    "maxItems": EVENT_ITEMS_MAX,
}
_TIER: dict[str, JsonValue] = {"enum": ["hot", "warm", "cold"]}
_SCALAR: dict[str, JsonValue] = {
    "type": ["string", "number", "boolean", "null"],
    "maxLength": EVENT_TEXT_CHARACTERS_MAX,
}

_PROPERTIES: dict[str, dict[str, JsonValue]] = {
    "actor": _TEXT,
    "approved": _FLAG,
    "agent_name": _TEXT,
    "attempts": _COUNT,
    "bytes": _COUNT,
    "cache": _TEXT,
    "client": _TEXT,
    "completion_tokens": _COUNT,
    "component": _TEXT,
    "content_sha256": _TEXTS,
    "count": _COUNT,
    "deleted": _FLAG,
    "device": _TEXT,
    "embedding": {"enum": ["ready", "pending"]},
    "entry_hash": _TEXT,
    "entry_id": _TEXT,
    "etag": _TEXT,
    "fields": _TEXTS,
    "fingerprint": _TEXT,
    "freshness": {"enum": ["fresh", "cached", "restored", "stale"]},
    "from_tier": _TIER,
    "hits": _COUNT,
    "ids": _TEXTS,
    "index": _COUNT,
    "items_dropped": _COUNT,
    "items_included": _COUNT,
    "key": _TEXT,
    "iteration": _COUNT,
    "keys": _TEXTS,
    "latency_ms": _NUMBER,
    "max_tokens": _COUNT,
    "method": _TEXT,
    "model": _TEXT,
    "namespace": _TEXT,
    "objective": _TEXT,
    "prompt_tokens": _COUNT,
    "provider": _TEXT,
    "purpose": _TEXT,
    "reason": _TEXT,
    "replicas_after": _COUNT,
    "replicas_before": _COUNT,
    "revision": _TEXT,
    "rule": _TEXT,
    "run_id": _TEXT,
    "severity": {"enum": ["info", "warning", "critical", "emergency"]},
    "simulated": _FLAG,
    "space": _TEXT,
    "status": _TEXT,
    "strategy": {"enum": ["cot", "tot"]},
    "target": _TEXT,
    "to_tier": _TIER,
    "token": _TEXT,
    "token_count": _COUNT,
    "total_tokens": _COUNT,
    "value": _NUMBER,
}


def _schema(required: str = "", optional: str = "") -> Schema:
    """Build a schema from names in the vocabulary above, so each means one thing."""
    needed = required.split()
    names = needed + optional.split()
    schema: dict[str, JsonValue] = {
        "type": "object",
        "properties": {name: _PROPERTIES[name] for name in names},
        "required": list[JsonValue](needed),
        "additionalProperties": _SCALAR,
    }
    return MappingProxyType(schema)


EVENT_TYPES: Mapping[str, Schema] = MappingProxyType(
    {
        "memory.stored": _schema("ids namespace", "count content_sha256 embedding"),
        "memory.updated": _schema("ids namespace", "fields content_sha256 embedding"),
        "memory.forgotten": _schema("ids namespace", "count content_sha256 reason"),
        "memory.quarantined": _schema("ids namespace reason", "count actor"),
        "memory.released": _schema("ids namespace", "count actor reason"),
        "memory.promoted": _schema("ids namespace", "from_tier to_tier count"),
        "memory.demoted": _schema("ids namespace", "from_tier to_tier count"),
        "agents.planned": _schema("ids namespace method", "count strategy value"),
        "agents.reflected": _schema(
            "ids namespace method value", "count approved iteration"
        ),
        "model.called": _schema(
            "namespace model provider status",
            "purpose prompt_tokens completion_tokens total_tokens latency_ms attempts",
        ),
        "embedding.caught_up": _schema("space", "namespace count"),
        "state.updated": _schema("namespace key", "etag deleted bytes"),
        "state.snapshot": _schema("freshness", "namespace token_count bytes"),
        "state.invalidated": _schema("", "namespace key keys reason"),
        "vector.indexed": _schema("ids namespace space", "count"),
        "vector.deleted": _schema("ids namespace", "count"),
        "vector.searched": _schema("namespace hits", "space"),
        "audit.recorded": _schema("entry_id index", "run_id agent_name entry_hash"),
        "audit.rotated": _schema("index", "count bytes target"),
        "health.degraded": _schema("component", "status reason"),
        "health.recovered": _schema("component", "status reason"),
        "context.packed": _schema(
            "total_tokens items_included items_dropped",
            "namespace model max_tokens ids",
        ),
        "context.overflow": _schema(
            "max_tokens items_dropped", "namespace model total_tokens ids"
        ),
        "scaling.triggered": _schema(
            "target replicas_before replicas_after reason", "simulated"
        ),
        "query.routed": _schema("target reason", "simulated"),
        "gpu.allocated": _schema("device bytes", "target simulated"),
        "cache.miss": _schema("cache", "key reason"),
        "alert.fired": _schema("rule severity", "value component reason"),
        "alert.acknowledged": _schema("rule actor", "reason"),
        "alert.escalated": _schema("rule severity", "value target"),
        "alert.resolved": _schema("rule", "severity value reason"),
        "config.changed": _schema("keys", "actor revision reason"),
        "config.rolledback": _schema("revision", "keys actor reason target"),
        "slo.burning": _schema("objective value", "severity"),
        "slo.recovered": _schema("objective", "value"),
        "deploy.started": _schema("fingerprint", "revision actor target"),
        "deploy.promoted": _schema("fingerprint", "revision actor target"),
        "deploy.rolledback": _schema("fingerprint reason", "revision actor target"),
        "security.token_issued": _schema("token actor", "count"),
        "security.token_rotated": _schema("token actor", "count"),
        "security.token_revoked": _schema("token actor count"),
        "security.access_denied": _schema("client reason count", "token"),
        "security.denials_repeated": _schema("client count", "reason value"),
        "security.tokens_sprayed": _schema("client count", "reason value"),
        "security.rate_impossible": _schema("client count", "reason value"),
        "security.tampering_found": _schema("target reason", "index"),
    }
)
"""Name of each event → JSON schema (2020-12 vocabulary) of its ``data``."""

_JSON_TYPES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
        "array": (list, tuple),
        "null": (type(None),),
    }
)


def check(name: str, data: Mapping[str, JsonValue]) -> None:
    """Raise unless the registry holds the name and the data fits its schema.

    Raises:
        ValidationError: with ``field`` naming what is wrong.
    """
    schema = EVENT_TYPES.get(name)
    if schema is None:
        message = f"{name!r} is not a registered event"
        raise ValidationError(
            message, field="type", hint="Add it to cortex.bus.registry first."
        )
    for required in cast("list[str]", schema["required"]):
        if required not in data:
            message = f"the event {name} needs {required!r} in its data"
            raise ValidationError(message, field=f"data.{required}")
    properties = cast("Mapping[str, Schema]", schema["properties"])
    for key, value in data.items():
        problem = _problem(value, properties.get(key, _SCALAR))
        if problem:
            message = f"{key!r} in the data of the event {name} {problem}"
            raise ValidationError(message, field=f"data.{key}")


def _problem(value: object, schema: Schema) -> str:
    """Return what is wrong with a value, or an empty text."""
    allowed = schema.get("enum")
    if isinstance(allowed, list):
        return "" if value in allowed else f"must be one of {allowed}"
    names = schema["type"]
    if not _has_type(value, names if isinstance(names, list) else [names]):
        return f"must be of type {names}"
    if isinstance(value, str):
        limit = cast("int", schema["maxLength"])
        return "" if len(value) <= limit else f"is longer than {limit} characters"
    if isinstance(value, list | tuple):
        return _list_problem(value, schema)
    minimum = cast("float | None", schema.get("minimum"))
    if minimum is not None and cast("float", value) < minimum:
        return f"must be at least {minimum}"
    return ""


def _list_problem(values: list[object] | tuple[object, ...], schema: Schema) -> str:
    limit = cast("int", schema["maxItems"])
    if len(values) > limit:
        return f"has more than {limit} items"
    items = cast("Schema", schema["items"])
    return next(filter(None, (_problem(value, items) for value in values)), "")


def _has_type(value: object, names: list[JsonValue]) -> bool:
    if isinstance(value, bool):
        return "boolean" in names
    return any(isinstance(value, _JSON_TYPES[str(name)]) for name in names)
