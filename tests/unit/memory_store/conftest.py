"""A fresh memory world for each test; an encrypted one, too, in the heavy run."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cortex.security.envelope import MasterKey
from cortex.testing.memory import MemoryWorld, memory_world

MASTERS = {"plain": None, "sealed": MasterKey(b"k" * 32)}


@pytest.fixture(params=list(MASTERS) if os.environ.get("CORTEX_HEAVY") else ["plain"])
async def world(
    tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[MemoryWorld]:
    async with memory_world(tmp_path, master=MASTERS[request.param]) as opened:
        yield opened
