"""mem0's names on top of Cortex: change one import and go on.

``from mem0 import Memory`` becomes ``from cortex_client.mem0 import Memory`` (also
``AsyncMemory``, ``MemoryClient``, ``AsyncMemoryClient``). The verbs take and return
what mem0 2.x takes and returns; ``user_id`` and the like may also stand beside
``filters``, as in mem0 1.x. What differs, and why:

- ``add`` stores each message as it was said. ``infer`` is accepted and changes
  nothing: no model rewrites what was said, as with mem0's ``infer=False``.
- ``config`` is accepted for its form; where to store and which models to use is the
  server's business. ``{"cortex": {"base_url", "token", "namespace"}}`` is read.
- ``history`` tells what the record itself knows: that it was added, and when it was
  last changed. Cortex does not keep texts that were replaced, so ``old_memory`` of a
  change is None.
- ``score`` is Cortex's confidence, 0..1; ``threshold`` compares with it.
- ``run_id`` is Cortex's session.
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack

from cortex_client.client import CortexClient
from cortex_client.mem0_scripts import (
    AddOptions,
    Messages,
    Record,
    Scope,
    Script,
    Scripts,
    SearchOptions,
)
from cortex_client.sync import CortexClientSync

T = TypeVar("T")

Results = dict[str, list[Record]]


class Connection(TypedDict, total=False):
    """Where the server is, when the environment does not say."""

    base_url: str | None
    token: str | None
    namespace: str | None


class Memory:
    """mem0's synchronous face."""

    def __init__(self, config: object = None, **connection: Unpack[Connection]) -> None:
        """Settle which server; nothing is sent yet."""
        where = _connection(config, connection)
        self._scripts = Scripts(where.get("namespace"))
        self._client = CortexClientSync(where.get("base_url"), token=where.get("token"))

    @classmethod
    def from_config(cls, config_dict: Mapping[str, Any]) -> Self:
        """Make one from mem0's configuration."""
        return cls(config_dict)

    def __enter__(self) -> Self:
        """Return the memory itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def add(self, messages: Messages, **options: Unpack[AddOptions]) -> Results:
        """Store messages; one of user_id, agent_id, run_id is required."""
        return self._run(self._scripts.add(messages, **options))

    def search(self, query: str, **options: Unpack[SearchOptions]) -> Results:
        """Find memories of the given user, agent or run."""
        return self._run(self._scripts.search(query, **options))

    def get(self, memory_id: str) -> Record | None:
        """Return one memory; None when there is none."""
        return self._run(self._scripts.get(memory_id))

    def get_all(self, **options: Unpack[SearchOptions]) -> Results:
        """List memories of the given user, agent or run."""
        return self._run(self._scripts.get_all(**options))

    def update(
        self,
        memory_id: str,
        text: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        data: str | None = None,
    ) -> dict[str, str]:
        """Change the text or the metadata of one memory."""
        changed = text if text is not None else data
        return self._run(self._scripts.update(memory_id, changed, metadata))

    def delete(self, memory_id: str) -> dict[str, str]:
        """Forget one memory; ``ValueError`` when there is none."""
        return self._run(self._scripts.delete(memory_id))

    def delete_all(self, **scope: Unpack[Scope]) -> dict[str, str]:
        """Forget all memories of the given user, agent or run."""
        return self._run(self._scripts.delete_all(**scope))

    def history(self, memory_id: str) -> list[Record]:
        """Tell when a memory was added and last changed."""
        return self._run(self._scripts.history(memory_id))

    def _run(self, script: Script[T]) -> T:
        answer: object = None
        while True:
            try:
                call = script.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            answer = self._client.send(call)


class AsyncMemory:
    """mem0's asynchronous face."""

    def __init__(self, config: object = None, **connection: Unpack[Connection]) -> None:
        """Settle which server; nothing is sent yet."""
        where = _connection(config, connection)
        self._scripts = Scripts(where.get("namespace"))
        self._client = CortexClient(where.get("base_url"), token=where.get("token"))

    @classmethod
    def from_config(cls, config_dict: Mapping[str, Any]) -> Self:
        """Make one from mem0's configuration."""
        return cls(config_dict)

    async def __aenter__(self) -> Self:
        """Return the memory itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def add(self, messages: Messages, **options: Unpack[AddOptions]) -> Results:
        """Store messages; one of user_id, agent_id, run_id is required."""
        return await self._run(self._scripts.add(messages, **options))

    async def search(self, query: str, **options: Unpack[SearchOptions]) -> Results:
        """Find memories of the given user, agent or run."""
        return await self._run(self._scripts.search(query, **options))

    async def get(self, memory_id: str) -> Record | None:
        """Return one memory; None when there is none."""
        return await self._run(self._scripts.get(memory_id))

    async def get_all(self, **options: Unpack[SearchOptions]) -> Results:
        """List memories of the given user, agent or run."""
        return await self._run(self._scripts.get_all(**options))

    async def update(
        self,
        memory_id: str,
        text: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        data: str | None = None,
    ) -> dict[str, str]:
        """Change the text or the metadata of one memory."""
        changed = text if text is not None else data
        return await self._run(self._scripts.update(memory_id, changed, metadata))

    async def delete(self, memory_id: str) -> dict[str, str]:
        """Forget one memory; ``ValueError`` when there is none."""
        return await self._run(self._scripts.delete(memory_id))

    async def delete_all(self, **scope: Unpack[Scope]) -> dict[str, str]:
        """Forget all memories of the given user, agent or run."""
        return await self._run(self._scripts.delete_all(**scope))

    async def history(self, memory_id: str) -> list[Record]:
        """Tell when a memory was added and last changed."""
        return await self._run(self._scripts.history(memory_id))

    async def _run(self, script: Script[T]) -> T:
        answer: object = None
        while True:
            try:
                call = script.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            answer = await self._client.send(call)


class MemoryClient(Memory):
    """mem0's platform client: ``api_key`` is the token, ``host`` the address."""

    def __init__(
        self,
        api_key: str | None = None,
        host: str | None = None,
        namespace: str | None = None,
        **_: object,
    ) -> None:
        """Settle which server; the platform's project options mean nothing here."""
        super().__init__(base_url=host, token=api_key, namespace=namespace)


class AsyncMemoryClient(AsyncMemory):
    """mem0's asynchronous platform client."""

    def __init__(
        self,
        api_key: str | None = None,
        host: str | None = None,
        namespace: str | None = None,
        **_: object,
    ) -> None:
        """Settle which server; the platform's project options mean nothing here."""
        super().__init__(base_url=host, token=api_key, namespace=namespace)


def _connection(config: object, given: Connection) -> Connection:
    own = config.get("cortex", {}) if isinstance(config, Mapping) else {}
    return {**own, **given}


__all__: Sequence[str] = (
    "AsyncMemory",
    "AsyncMemoryClient",
    "Memory",
    "MemoryClient",
)
