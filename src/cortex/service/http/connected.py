"""Giving up work that nobody waits for any more, because the client went away."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeVar, cast

from starlette.requests import Request

from cortex.foundation.errors import CortexError

T = TypeVar("T")

CLIENT_CLOSED_REQUEST = 499
"""Status in logs and metrics of a request whose client left; nobody reads it."""


class ClientGone(Exception):
    """The client closed its connection before the answer was there."""


_KEY = "cortex.has_left"


def watch_leaving(
    scope: MutableMapping[str, Any], has_left: Callable[[], bool]
) -> None:
    """Let those who do not read the body ask whether the client is there still."""
    scope[_KEY] = has_left


def has_left(scope: Mapping[str, Any]) -> bool:
    """Return whether the client of a request is known to be gone."""
    ask = cast("Callable[[], bool] | None", scope.get(_KEY))
    return ask is not None and ask()


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """Return what ``work`` does; cancel it when the client goes away.

    For a request whose body was read: what the client sends next is its farewell.

    Raises:
        ClientGone: the client left first; the application answers it.
        CortexError: as ``work`` does.
    """
    async with asyncio.TaskGroup() as group:
        working = group.create_task(_outcome(work))
        leaving = group.create_task(_farewell(request))
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        left = not working.done()
        working.cancel()
        leaving.cancel()
    if left:
        raise ClientGone
    result = working.result()
    if isinstance(result, _Failed):
        raise result.error
    return result


class _Failed:
    """An error on its way out of the group, which would wrap it."""

    def __init__(self, error: CortexError) -> None:
        self.error = error


async def _outcome(work: Awaitable[T]) -> T | _Failed:
    try:
        return await work
    except CortexError as error:
        return _Failed(error)


async def _farewell(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
