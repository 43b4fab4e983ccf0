"""The async client: the core that the sync one mirrors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack

import httpx

from cortex_client.call import Answer, Call, Failure, Flow
from cortex_client.calls import (
    agents,
    audit,
    context,
    inference,
    media,
    memory,
    operations,
    sessions,
)
from cortex_client.discovery import process_environment, target
from cortex_client.exchange import (
    Seams,
    check_open,
    http_options,
    manners,
    next_delay,
    read_answer,
    read_broken,
    read_failure,
    request_options,
    settle,
)
from cortex_client.shape import with_self

P = ParamSpec("P")
T = TypeVar("T")


class AsyncSeams(Seams, total=False):
    """Seams of the async client: its transport and its way to wait."""

    transport: httpx.AsyncBaseTransport
    sleep: Callable[[float], Awaitable[None]]


def _verb(
    make: Callable[P, Call[T]],
) -> "Callable[Concatenate[CortexClient, P], Coroutine[Any, Any, T]]":
    @wraps(make)
    async def send(self: "CortexClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(make(*args, **kwargs))

    return with_self(send, make)


def _flow(
    make: Callable[P, Flow[T]],
) -> "Callable[Concatenate[CortexClient, P], AsyncIterator[T]]":
    @wraps(make)
    def follow(
        self: "CortexClient", /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[T]:
        return self.follow(make(*args, **kwargs))

    return with_self(follow, make)


class CortexClient:
    """Talks to a Cortex server; one for many calls, usable from many tasks.

    What is not given comes from ``CORTEX_URL``, ``CORTEX_TOKEN``, ``CORTEX_TIMEOUT``
    (seconds, 30) and ``CORTEX_MAX_RETRIES`` (3). The first wait before a retry is
    ``retry_backoff`` seconds; a server that says ``Retry-After`` is taken at its
    word. Use it as an async context manager, or ``await close()``.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        retry_backoff: float = 1.0,
        **seams: Unpack[AsyncSeams],
    ) -> None:
        """Settle where and how; nothing is opened before the first call."""
        environ = seams.get("environ", process_environment())
        where = target(base_url, token, timeout, max_retries, environ)
        self._manners = manners(where, retry_backoff, seams)
        self._sleep = seams.get("sleep", asyncio.sleep)
        self._http = httpx.AsyncClient(
            transport=seams.get("transport"), **http_options(where)
        )

    @property
    def base_url(self) -> str:
        """Return the address of the server."""
        return self._manners.target.url

    async def __aenter__(self) -> Self:
        """Return the client itself."""
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
        """Close the connections; calls after it raise ``ClosedError``."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Send a call, again where that is safe, and return its result."""
        how = self._manners
        call = call.with_keys(how.new_key)
        attempt = 0
        while True:
            outcome = await self._attempt(call)
            delay = next_delay(call, outcome, attempt, how)
            if delay is None:
                return settle(call, outcome, how)
            await self._sleep(delay)
            attempt += 1

    async def follow(
        self, flow: Flow[T], opened: Callable[[Answer], None] | None = None
    ) -> AsyncIterator[T]:
        """Yield the items of a stream until it ends; tell when it is open."""
        check_open(closed=self._http.is_closed)
        reader = flow.reader()
        request = self._http.build_request(**request_options(flow.opening))
        request.extensions["timeout"]["read"] = flow.silence_seconds
        try:
            response = await self._http.send(request, stream=True)
            try:
                if opened is not None and response.is_success:
                    opened(Answer(response.status_code, dict(response.headers), None))
                if not response.is_success:
                    await response.aread()
                    settle(flow.opening, read_answer(response), self._manners)
                async for line in response.aiter_lines():
                    item = reader.feed(line)
                    if item is not None:
                        yield item
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            failure = read_broken(error, self._manners.target, flow)
            settle(flow.opening, failure, self._manners)

    async def _attempt(self, call: Call[Any]) -> Answer | Failure:
        check_open(closed=self._http.is_closed)
        request = self._http.build_request(**request_options(call))
        try:
            return read_answer(await self._http.send(request))
        except httpx.TransportError as error:
            return read_failure(error, self._manners.target)

    remember = _verb(memory.remember)
    recall = _verb(memory.recall)
    get_memory = _verb(memory.get_memory)
    update_memory = _verb(memory.update_memory)
    list_memories = _verb(memory.list_memories)
    forget = _verb(memory.forget)
    quarantine = _verb(memory.quarantine)
    release = _verb(memory.release)
    stats = _verb(memory.stats)
    import_lines = _verb(memory.import_lines)
    export_lines = _flow(memory.export_lines)
    create_session = _verb(sessions.create_session)
    list_sessions = _verb(sessions.list_sessions)
    get_session = _verb(sessions.get_session)
    append_messages = _verb(sessions.append_messages)
    list_messages = _verb(sessions.list_messages)
    get_state = _verb(sessions.get_state)
    put_state = _verb(sessions.put_state)
    delete_state = _verb(sessions.delete_state)
    build_context = _verb(context.build_context)
    optimize_context = _verb(context.optimize_context)
    get_snapshot = _verb(context.get_snapshot)
    discover = _verb(context.discover)
    vector_search = _verb(context.vector_search)
    embed = _verb(media.embed)
    remember_file = _verb(media.remember_file)
    models = _verb(agents.models)
    inference_status = _verb(inference.inference_status)
    warm_model = _verb(inference.warm_model)
    set_power = _verb(inference.set_power)
    scale_workers = _verb(inference.scale_workers)
    plan = _verb(agents.plan)
    reflect = _verb(agents.reflect)
    record_audit = _verb(audit.record_audit)
    audit_log = _verb(audit.audit_log)
    audit_entries = _verb(audit.audit_entries)
    audit_entry = _verb(audit.audit_entry)
    audit_content = _verb(audit.audit_content)
    audit_stats = _verb(audit.audit_stats)
    audit_checkpoint = _verb(audit.audit_checkpoint)
    prove_inclusion = _verb(audit.prove_inclusion)
    prove_consistency = _verb(audit.prove_consistency)
    verify_audit = _verb(audit.verify_audit)
    health = _verb(operations.health)
    ready = _verb(operations.ready)
    slo = _verb(operations.slo)
    energy = _verb(operations.energy)
    alerts = _verb(operations.alerts)
    acknowledge_alert = _verb(operations.acknowledge_alert)
    dead_letters = _verb(operations.dead_letters)
    retry_dead_letters = _verb(operations.retry_dead_letters)
    events = _flow(operations.events)
