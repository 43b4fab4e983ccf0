"""Writes what comes together in one go, so that many share the cost of one.

While one group is being synced the next collects; nothing lingers for company. Who was
answered in one turn of the event loop and asks again at once is in the next group.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from cortex.foundation.errors import CortexError, Overloaded, Unavailable
from cortex.storage.sqlite import Connection, Database

Q = TypeVar("Q")
R = TypeVar("R")

GROUP_ENTRIES_MAX = 512
"""Entries written together: about 30 ms of work between two syncs."""

GROUP_WEIGHT_MAX = 8 * 1024 * 1024
"""Bytes of content written together: about 50 ms to compress and encrypt."""

WAITING_MAX = 4_096
"""Entries that wait; beyond it callers are told to slow down."""

_OVERLOADED_RETRY_SECONDS = 1.0
"""Seconds after which a full queue has been written, even on a slow disk."""


@dataclass(slots=True)
class _Waiting(Generic[Q, R]):
    """A request, and whom to tell."""

    request: Q
    weight: int
    future: "asyncio.Future[R]"


Place = Callable[[Connection, Sequence[Q]], Sequence[R | CortexError]]
"""Write a group in one unit; an error among the results fails that request alone."""


class Gatherer(Generic[Q, R]):
    """Collects requests of one event loop and writes them group by group."""

    def __init__(
        self,
        database: Database,
        place: Place[Q, R],
        unheard: Callable[[], None] | None = None,
    ) -> None:
        """Take the file, and what writes a group on its writer's thread.

        ``unheard`` is called for what was written although nobody waits for it any
        more: its caller was cancelled meanwhile.
        """
        self._database = database
        self._place = place
        self._unheard = unheard
        self._waiting: deque[_Waiting[Q, R]] = deque()
        self._is_busy = False

    async def add(self, request: Q, weight: int = 0) -> R:
        """Return what was written for the request, once it is durable.

        ``weight``: bytes that it takes to write it, roughly.

        Raises:
            Overloaded: too many requests wait.
            CortexError: it was not written; whatever ``place`` or the disk said.
        """
        if len(self._waiting) >= WAITING_MAX:
            raise Overloaded(
                f"{WAITING_MAX} entries are waiting to be written already",
                hint="Send fewer at once.",
                retry_after_seconds=_OVERLOADED_RETRY_SECONDS,
            )
        loop = asyncio.get_running_loop()
        waiting: _Waiting[Q, R] = _Waiting(request, weight, loop.create_future())
        self._waiting.append(waiting)
        if not self._is_busy:
            self._is_busy = True
            loop.call_soon(self._write_next)
        return await waiting.future

    def _write_next(self) -> None:
        group = self._take()
        if not group:
            self._is_busy = False
            return
        requests = [waiting.request for waiting in group]
        try:
            written = self._database.submit(
                lambda connection: self._place(connection, requests)
            )
        except CortexError as error:
            self._settle(group, [error] * len(group))
        else:
            written.add_done_callback(partial(self._written, group))

    def _written(
        self,
        group: list[_Waiting[Q, R]],
        written: "asyncio.Future[Sequence[R | CortexError]]",
    ) -> None:
        if written.cancelled():
            error: BaseException | None = Unavailable("the write was given up")
        else:
            error = written.exception()
        if isinstance(error, Exception):
            self._settle(group, [error] * len(group))
        else:
            self._settle(group, written.result())

    def _settle(
        self, group: list[_Waiting[Q, R]], results: Sequence[R | Exception]
    ) -> None:
        for waiting, result in zip(group, results, strict=True):
            if waiting.future.done():
                if self._unheard is not None and not isinstance(result, Exception):
                    self._unheard()
                continue
            if isinstance(result, Exception):
                waiting.future.set_exception(result)
            else:
                waiting.future.set_result(result)
        self._go_on()

    def _go_on(self) -> None:
        # Behind those who were just answered, so that they are in the next group.
        asyncio.get_running_loop().call_soon(self._write_next)

    def _take(self) -> list[_Waiting[Q, R]]:
        group: list[_Waiting[Q, R]] = []
        weight = 0
        while self._waiting and len(group) < GROUP_ENTRIES_MAX:
            if weight >= GROUP_WEIGHT_MAX:
                break
            waiting = self._waiting.popleft()
            if not waiting.future.done():
                group.append(waiting)
                weight += waiting.weight
        return group
