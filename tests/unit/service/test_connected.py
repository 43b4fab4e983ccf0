"""Work ends with its client, and its own end and errors come through."""

import asyncio

import pytest
from starlette.requests import Request

from cortex.foundation.errors import Overloaded
from cortex.service.http.connected import ClientGone, while_connected


class Client:
    """A client whose request was read, and who may leave."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, object]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    @property
    def request(self) -> Request:
        return Request({"type": "http"}, self.receive)


async def test_work_is_cancelled_when_the_client_leaves() -> None:
    client, cancelled = Client(), asyncio.Event()

    async def work() -> None:
        client.left.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(ClientGone):
        await while_connected(client.request, work())
    assert cancelled.is_set()


async def test_work_and_its_errors_come_through() -> None:
    async def fine() -> int:
        return 7

    async def refused() -> int:
        message = "full"
        raise Overloaded(message)

    assert await while_connected(Client().request, fine()) == 7
    with pytest.raises(Overloaded):
        await while_connected(Client().request, refused())
