"""A fresh memory world for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cortex.testing.memory import MemoryWorld, memory_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[MemoryWorld]:
    async with memory_world(tmp_path) as opened:
        yield opened
