"""How adapters reach a server: one script of calls, driven with or without ``await``.

A script is a generator that yields calls and is sent their results; what a call raises
is raised inside it. So each adapter says once what it does.
"""

import asyncio
import threading
from collections.abc import Generator
from typing import Any, TypedDict, TypeVar
from weakref import WeakKeyDictionary

from cortex_client.call import Call
from cortex_client.client import CortexClient
from cortex_client.errors import CortexError
from cortex_client.sync import CortexClientSync

T = TypeVar("T")

Script = Generator[Call[Any], Any, T]

QUERY_CHARACTERS_MAX = 10_000
"""Characters of a search query; the server takes no more."""

QUERY_BYTES_MAX = 10_240
"""UTF-8 bytes of a search query; the server takes no more."""


class Manner(TypedDict, total=False):
    """What a client may be told beside the address; else the environment says."""

    token: str | None
    timeout: float | None
    max_retries: int | None


class Link:
    """Clients of one server, made when they are needed.

    One synchronous client serves all threads. Connections of an asynchronous one
    belong to the event loop that opened them, so each loop has its own.
    """

    def __init__(self, base_url: str | None, manner: Manner) -> None:
        """Keep where the server is; nothing is opened yet."""
        self._base_url = base_url
        self._manner = manner
        self._lock = threading.Lock()
        self._sync: CortexClientSync | None = None
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, CortexClient] = (
            WeakKeyDictionary()
        )

    def run(self, script: Script[T]) -> T:
        """Run a script to its end and return its result."""
        client = self._sync_client()
        step = _begin(script)
        while not isinstance(step, _Done):
            try:
                answer = client.send(step)
            except CortexError as error:
                step = _raise_in(script, error)
            else:
                step = _go_on(script, answer)
        return step.result  # type: ignore[no-any-return]

    async def arun(self, script: Script[T]) -> T:
        """Run a script to its end and return its result."""
        client = self._loop_client()
        step = _begin(script)
        while not isinstance(step, _Done):
            try:
                answer = await client.send(step)
            except CortexError as error:
                step = _raise_in(script, error)
            else:
                step = _go_on(script, answer)
        return step.result  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the synchronous connections."""
        with self._lock:
            client, self._sync = self._sync, None
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop, and the synchronous ones."""
        client = self._of_loop.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()
        self.close()

    def _sync_client(self) -> CortexClientSync:
        with self._lock:
            if self._sync is None:
                self._sync = CortexClientSync(self._base_url, **self._manner)
            return self._sync

    def _loop_client(self) -> CortexClient:
        loop = asyncio.get_running_loop()
        with self._lock:
            # A client's connections hold on to their loop, so it would stay for ever.
            for ended in [one for one in self._of_loop if one.is_closed()]:
                del self._of_loop[ended]
            client = self._of_loop.get(loop)
            if client is None:
                client = CortexClient(self._base_url, **self._manner)
                self._of_loop[loop] = client
            return client


class _Done:
    """The end of a script."""

    def __init__(self, result: Any) -> None:
        self.result = result


def _begin(script: Script[Any]) -> Call[Any] | _Done:
    return _go_on(script, None)


def _go_on(script: Script[Any], answer: object) -> Call[Any] | _Done:
    try:
        return script.send(answer)
    except StopIteration as end:
        return _Done(end.value)


def _raise_in(script: Script[Any], error: CortexError) -> Call[Any] | _Done:
    try:
        return script.throw(error)
    except StopIteration as end:
        return _Done(end.value)


def missing(module: str, extra: str, error: ImportError) -> ModuleNotFoundError:
    """Return the error of an adapter whose framework cannot be imported."""
    message = (
        f"cortex_client.integrations.{module} needs a framework that is not "
        f"installed here ({error}); install it with: "
        f'pip install "cortex-context[{extra}]"'
    )
    return ModuleNotFoundError(message, name=error.name)


def as_query(text: str) -> str:
    """Return as much of a text as one search takes; its end, what was said last."""
    cut = text.replace("\0", " ")[-QUERY_CHARACTERS_MAX:].encode()[-QUERY_BYTES_MAX:]
    return cut.decode(errors="ignore").strip()
