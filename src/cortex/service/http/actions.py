"""What a request does, as policies name it: ``<scope>.<verb>``."""

from collections.abc import Mapping
from types import MappingProxyType

VERBS_BY_METHOD: Mapping[str, str] = MappingProxyType(
    {
        "GET": "read",
        "HEAD": "read",
        "POST": "write",
        "PUT": "write",
        "PATCH": "write",
        "DELETE": "delete",
    }
)
"""Verbs of routes that ``VERBS_BY_ROUTE`` does not name."""

VERBS_BY_ROUTE: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("DELETE", "/memory"): "forget",
        ("DELETE", "/memory/{memory_id}"): "forget",
        ("POST", "/memory/search"): "search",
        ("POST", "/memory/import"): "import",
        ("GET", "/memory/export"): "export",
        ("POST", "/memory/quarantine"): "quarantine",
        ("POST", "/memory/{memory_id}/quarantine"): "quarantine",
        ("POST", "/memory/{memory_id}/release"): "release",
        ("POST", "/memory/release"): "release",
        ("POST", "/admin/tokens"): "issue",
        ("POST", "/admin/tokens/{token_id}/rotate"): "rotate",
        ("DELETE", "/admin/tokens/{token_id}"): "revoke",
        ("POST", "/config/rollback"): "rollback",
        ("POST", "/context"): "build",
        ("POST", "/context/optimize"): "build",
        ("POST", "/vector/search"): "search",
        ("POST", "/audit/record"): "record",
        ("POST", "/audit/verify"): "verify",
        ("GET", "/audit/checkpoint"): "checkpoint",
        ("GET", "/audit/proof/consistency"): "checkpoint",
        ("GET", "/audit/log-tiles/{name}"): "checkpoint",
        ("POST", "/agents/plan"): "plan",
        ("POST", "/agents/reflect"): "reflect",
        ("POST", "/embed"): "embed",
        ("POST", "/embeddings"): "embed",
        ("POST", "/v1/embeddings"): "embed",
        ("POST", "/embed/multimodal"): "embed",
        ("POST", "/events/dead-letters/retry"): "retry",
        ("POST", "/models/warm"): "warm",
        ("PUT", "/inference/power"): "power",
        ("PUT", "/inference/workers"): "scale",
    }
)
"""Verbs of routes whose method alone does not say what they do."""


def verb_of(method: str, route: str) -> str:
    """Return the verb of a request by its method and route template."""
    named = VERBS_BY_ROUTE.get((method, route))
    return named or VERBS_BY_METHOD.get(method, "write")
