"""Async and sync are one client: same names, same parameters, same words."""

import inspect
from typing import Any

import pytest

import cortex_client
from cortex_client import calls
from cortex_client.client import CortexClient
from cortex_client.mem0 import AsyncMemory, AsyncMemoryClient, Memory, MemoryClient
from cortex_client.sync import CortexClientSync

CONTRACT = [
    "get_snapshot",
    "discover",
    "vector_search",
    "remember",
    "recall",
    "forget",
    "build_context",
    "optimize_context",
    "record_audit",
    "embed",
    "plan",
    "reflect",
    "health",
    "ready",
    "events",
    "close",
]


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def parameters(kind: type, name: str) -> list[tuple[str, Any]]:
    signature = inspect.signature(getattr(kind, name))
    return [(p.name, p.kind) for p in signature.parameters.values()]


PAIRS = [
    (CortexClient, CortexClientSync),
    (AsyncMemory, Memory),
    (AsyncMemoryClient, MemoryClient),
]


@pytest.mark.parametrize(("asynchronous", "synchronous"), PAIRS)
def test_both_have_the_same_names(asynchronous: type, synchronous: type) -> None:
    assert public(asynchronous) == public(synchronous)


@pytest.mark.parametrize(("asynchronous", "synchronous"), PAIRS)
def test_both_take_the_same(asynchronous: type, synchronous: type) -> None:
    for name in public(asynchronous):
        if callable(getattr(asynchronous, name)):
            assert parameters(asynchronous, name) == parameters(synchronous, name)


def test_the_contract_is_there_and_traced() -> None:
    assert set(CONTRACT) <= public(CortexClientSync)
    for name in set(CONTRACT) - {"close"}:
        kinds = [kind for _, kind in parameters(CortexClientSync, name)]
        assert inspect.Parameter.VAR_KEYWORD in kinds


def test_every_verb_is_a_request_function_of_the_same_name() -> None:
    homes = (calls.memory, calls.media, calls.sessions, calls.context, calls.agents)
    verbs = {
        name
        for home in (*homes, calls.audit, calls.operations, calls.inference)
        for name, value in vars(home).items()
        if inspect.isfunction(value)
        and value.__module__ == home.__name__
        and not name.startswith("_")
    }
    own = {"send", "follow", "close", "base_url"}
    assert public(CortexClient) - own == verbs


def test_help_shows_what_a_verb_takes() -> None:
    assert str(inspect.signature(CortexClientSync.recall)).startswith(
        "(self, /, query: str, top_k: int = 10, **options"
    )
    assert CortexClientSync.recall.__doc__ == CortexClient.recall.__doc__


def test_every_public_name_loads() -> None:
    for name in cortex_client.__all__:
        assert getattr(cortex_client, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = cortex_client.nonsense  # type: ignore[attr-defined]
