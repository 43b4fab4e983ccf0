"""What Cortex promises when no file says otherwise: the goals of its contract."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cortex.operations.slo.model import Kind, Objective

CRITICAL_ERROR_RATE = 0.001
"""Failed requests on memory, contexts and the ledger."""

ERROR_RATE = 0.005
"""Failed requests elsewhere, also under load."""

UPTIME_ERROR_RATE = 0.001
"""Failed requests of the whole service: 99.9 % uptime, as callers see it."""

P95_SHARE, P99_SHARE = 0.95, 0.99

PROBES = ("/health*", "/ready", "/metrics", "/metrics/energy", "(unmatched)")
"""Not what callers come for: they would water the service's own figures down."""

ENDLESS = (
    "/events/stream",
    "/memory/import",
    "/memory/export",
    "/mcp",
    "/audit/verify",
)
"""As long as the caller or the data wants: their time is no latency."""

SLOWER = ("/embed*", "/v1/embeddings", "/agents/*", *ENDLESS)
"""Routes with a goal of their own, or none."""


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of routes that a file of objectives may speak of."""

    routes: tuple[str, ...]
    excluded: tuple[str, ...] = ()


GROUPS: Mapping[str, Group] = MappingProxyType(
    {
        "service": Group(("*",), PROBES),
        "memory": Group(("/memory*", "/sessions*", "/state/{namespace}*"), ENDLESS),
        "context": Group(("/context*", "/state/snapshot")),
        "audit": Group(("/audit*",), ENDLESS),
        "search": Group(("/memory/search", "/vector/search")),
        "embed": Group(("/embed*", "/v1/embeddings")),
        "plan": Group(("/agents/plan",)),
        "reflect": Group(("/agents/reflect",)),
        "models": Group(("/models", "/v1/models*")),
        "health": Group(("/health*", "/ready")),
        "metrics": Group(("/metrics",)),
    }
)
"""Name → routes."""

_P95_MS: Mapping[str, float] = MappingProxyType(
    {
        "service": 250,
        "memory": 250,
        "context": 250,
        "audit": 250,
        "embed": 200,
        "plan": 2_000,
        "reflect": 500,
        "models": 50,
        "health": 50,
        "metrics": 100,
    }
)

_ERROR_RATES: Mapping[str, float] = MappingProxyType(
    {
        "service": UPTIME_ERROR_RATE,
        "memory": CRITICAL_ERROR_RATE,
        "context": CRITICAL_ERROR_RATE,
        "audit": CRITICAL_ERROR_RATE,
        "embed": ERROR_RATE,
        "plan": ERROR_RATE,
        "reflect": ERROR_RATE,
    }
)


def availability(name: str, group: Group, error_rate: float) -> Objective:
    """Return the promise that at most this share of requests fails."""
    return Objective(
        name=f"{name}:availability",
        group=name,
        kind=Kind.AVAILABILITY,
        routes=group.routes,
        target=1.0 - error_rate,
        excluded=tuple(set(group.excluded) & set(PROBES)),
    )


def latency(name: str, group: Group, share: float, limit_ms: float) -> Objective:
    """Return the promise that this share of requests takes no longer than that."""
    slower = SLOWER if name == "service" else ()
    return Objective(
        name=f"{name}:latency-p{share * 100:g}",
        group=name,
        kind=Kind.LATENCY,
        routes=group.routes,
        target=share,
        threshold_seconds=limit_ms / 1_000,
        excluded=tuple(sorted({*group.excluded, *slower})),
    )


def default_objectives() -> tuple[Objective, ...]:
    """Return what is promised by default."""
    found = [availability(n, GROUPS[n], rate) for n, rate in _ERROR_RATES.items()]
    found += [latency(n, GROUPS[n], P95_SHARE, ms) for n, ms in _P95_MS.items()]
    found.append(latency("service", GROUPS["service"], P99_SHARE, 1_000))
    return tuple(found)
