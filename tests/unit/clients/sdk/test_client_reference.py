"""The client's page names everything the client has."""

from pathlib import Path

import cortex_client
from cortex_client.client import CortexClient
from cortex_client.mem0 import Memory

PAGE = (Path(__file__).parents[4] / "docs/reference/client.md").read_text("utf-8")


def names(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_every_call_is_documented() -> None:
    for name in names(CortexClient) - {"send", "follow", "base_url"}:
        assert f"`{name}`" in PAGE or f"`{name}(" in PAGE, name


def test_every_public_name_is_documented() -> None:
    for name in cortex_client.__all__:
        assert name in PAGE, name


def test_every_mem0_verb_is_documented() -> None:
    for name in names(Memory) - {"close", "from_config"}:
        assert name in PAGE, name
