"""Gives a method made from a call's function that function's face."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def with_self(method: F, make: Callable[..., Any]) -> F:
    """Return ``method`` with the signature of ``make`` plus ``self``.

    Without it ``help()`` and ``inspect`` would take the first argument of ``make``
    for ``self``.
    """
    signature = inspect.signature(make)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    parameters = [this, *signature.parameters.values()]
    method.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return method
