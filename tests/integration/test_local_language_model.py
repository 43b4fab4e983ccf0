"""SmolLM2 by llama.cpp: a real model behind a real server, in few short questions."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from cortex.foundation.breaker import Breaker
from cortex.foundation.clock import SystemClock
from cortex.inference.backends.chat import ChatOptions
from cortex.inference.backends.llama import LlamaChat, LlamaOptions
from cortex.inference.backends.openai_chat import OpenAiChat
from cortex.inference.errors import GenerationRefused, ModelUnusable
from cortex.inference.generation import Generation, GenerationOptions
from cortex.inference.language import Ask, ChatMessage, Role

KEY = "a-key-of-this-process"
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "green"]}},
    "required": ["colour"],
    "additionalProperties": False,
}


def ask(text: str, **more: object) -> Ask:
    message = ChatMessage(Role.USER, text)
    return Ask((message,), temperature=0.0, **more)  # type: ignore[arg-type]


@pytest.fixture
async def local() -> AsyncIterator[LlamaChat]:
    backend = LlamaChat(LlamaOptions(KEY, context_tokens=512))
    yield backend
    await backend.close()


def serving(backend) -> Generation:
    clock = SystemClock()
    return Generation(
        backend,
        breaker=Breaker(clock),
        clock=clock,
        count_tokens=len,
        options=GenerationOptions(deadline_seconds=120),
    )


async def test_a_local_model_answers_streams_and_keeps_to_a_schema(
    local: LlamaChat,
) -> None:
    generation = serving(local)
    made = await generation.complete(ask("Say hello.", max_tokens=8))
    assert made.text
    assert made.exact
    assert 1 <= made.usage.completion_tokens <= 8
    pieces = [p async for p in local.stream(ask("Count to ten.", max_tokens=6))]
    assert sum(bool(piece.text) for piece in pieces) > 1
    assert pieces[-1].finish or pieces[-1].usage
    wanted = ask("Is grass red or green? Answer in JSON.", schema=SCHEMA, max_tokens=40)
    chosen = await generation.structured(wanted, lambda value: value["colour"])
    assert chosen.value in {"red", "green"}
    # The same server as anybody's: only with its key, only on loopback.
    address = local.address
    assert address.startswith("http://127.0.0.1:")
    async with httpx.AsyncClient() as client:
        stranger = await client.post(f"{address}/v1/chat/completions", json={})
    assert stranger.status_code == 401
    guest = OpenAiChat(ChatOptions("any", f"{address}/v1", "wrong"))
    with pytest.raises(GenerationRefused):
        await serving(guest).complete(ask("Hello", max_tokens=2))
    await guest.close()


async def test_a_closed_model_leaves_nothing_behind(local: LlamaChat) -> None:
    await serving(local).complete(ask("Hi", max_tokens=1))
    address = local.address
    await local.close()
    await local.close()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{address}/health", timeout=2)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="not there"):
        LlamaChat(LlamaOptions(KEY, tmp_path / "none.gguf"))
