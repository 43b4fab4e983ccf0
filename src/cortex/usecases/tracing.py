"""Spans around journeys, so that a trace tells which one a request was."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from cortex.telemetry.tracing import span
from cortex.usecases.catalog import UseCases

P = ParamSpec("P")
R = TypeVar("R")


def traced(use_cases: UseCases) -> UseCases:
    """Return the same journeys, each a part of the trace that runs."""
    cases = use_cases
    return replace(
        cases,
        remember=_spanned("usecase.remember", cases.remember),
        get_memory=_spanned("usecase.get_memory", cases.get_memory),
        update_memory=_spanned("usecase.update_memory", cases.update_memory),
        list_memories=_spanned("usecase.list_memories", cases.list_memories),
        forget=_spanned("usecase.forget", cases.forget),
        search=_spanned("usecase.search", cases.search),
        append_messages=_spanned("usecase.append_messages", cases.append_messages),
        build_context=_spanned("usecase.build_context", cases.build_context),
        optimize_context=_spanned("usecase.optimize_context", cases.optimize_context),
        snapshot=_spanned("usecase.snapshot", cases.snapshot),
        vector_search=_spanned("usecase.vector_search", cases.vector_search),
        health=_spanned("usecase.health", cases.health),
    )


def _spanned(
    name: str, journey: Callable[P, Awaitable[R]]
) -> Callable[P, Coroutine[Any, Any, R]]:
    @wraps(journey, updated=())
    async def spanned(*args: P.args, **kwargs: P.kwargs) -> R:
        with span(name):
            return await journey(*args, **kwargs)

    return spanned
