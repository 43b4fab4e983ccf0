"""Who may follow events, when many do."""

import pytest

from cortex.foundation.errors import Overloaded
from cortex.foundation.tenancy import Principal
from cortex.testing.clock import ManualClock
from cortex.usecases.follow import FOLLOWERS_MAX, TENANT_FOLLOWERS_MAX, Follow


class Quiet:
    """A journal in which nothing happens."""

    async def last_position(self):
        return 0

    async def after(self, _position, *, limit):
        assert limit
        return []


async def test_one_tenant_cannot_take_all_streams():
    follow = Follow(Quiet(), ManualClock())
    greedy, other = Principal("a", "greedy"), Principal("b", "other")
    open_streams = []

    async def begin(who):
        stream = follow(who, None, None)
        assert await anext(stream) is None
        open_streams.append(stream)

    for _ in range(TENANT_FOLLOWERS_MAX):
        await begin(greedy)
    with pytest.raises(Overloaded, match="of this tenant"):
        await begin(greedy)
    for _ in range(FOLLOWERS_MAX - TENANT_FOLLOWERS_MAX):
        await begin(other)
    with pytest.raises(Overloaded, match=str(FOLLOWERS_MAX)):
        await begin(other)
    await open_streams.pop(0).aclose()
    await begin(greedy)
    for stream in open_streams:
        await stream.aclose()
