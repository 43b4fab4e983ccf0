"""Contexts by every compression strategy, and what the answer tells of it."""

import json
from dataclasses import replace

import pytest

from cortex.foundation.breaker import Breaker
from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import PermissionDenied
from cortex.foundation.retry import RetryPolicy
from cortex.inference.backends.chat import ChatOptions
from cortex.inference.backends.openai_chat import OpenAiChat
from cortex.inference.generation import Generation, GenerationOptions
from cortex.memory.model import NewMemory
from cortex.memory.strategies import Compression
from cortex.memory.trust import SourceKind
from cortex.testing.chat import chat_server
from cortex.testing.clock import ManualClock
from cortex.usecases.asking import Asking
from cortex.usecases.build_context import BuildContext
from cortex.usecases.model import (
    CallContext,
    ContextRequest,
    OptimizeItem,
    OptimizeRequest,
)
from cortex.usecases.optimize_context import OptimizeContext
from cortex.usecases.retelling import Retelling
from cortex.usecases.shortening import Shortening

CALL = CallContext("usecases", "tester", scopes=frozenset({"context", "agents"}))
POOR = replace(CALL, scopes=frozenset({"context"}))
LONG = " ".join(f"The harbour gate number {n} is open at {n % 24}." for n in range(60))
FACTS = (
    "The harbour master opens the gate at six. He is tall.",
    "The harbour master opens the gate at six. Anna drinks tea.",
    json.dumps({"harbour": {"gate": "blue", "piers": list(range(9))}}, indent=4),
    LONG,
)
BUDGETS = (1, 20, 45, 90, 200, 450, 900, 4_000)


async def build(house, compression, budget, shortening=None, call=CALL):
    request = ContextRequest(
        "who opens the harbour gate", None, "gpt-4o", budget, compression=compression
    )
    journey = BuildContext(
        house.search,
        house.world.store,
        house.counters,
        house._announce,
        shortening or Shortening(),
    )
    return await journey(house.namespace, request, call)


@pytest.mark.parametrize("compression", Compression)
async def test_within_the_budget_and_a_larger_one_only_adds(house, compression):
    await house.remember(*FACTS)
    count = house.counters.for_model("gpt-4o").count
    before: set[str] = set()
    for budget in BUDGETS:
        built = await build(house, compression, budget)
        assert built.total_tokens == (count(built.text) if built.text else 0) <= budget
        assert before <= {one.id for one in built.included}
        before = {one.id for one in built.included}
        for one in built.included:
            changed = one.compression is not Compression.NONE
            assert changed or (one.tokens == one.tokens_before and not one.lossy)
        assert built == await build(house, compression, budget)
    assert len(before) == len(FACTS)


async def test_the_answer_tells_what_was_done_to_each(house):
    stored = await house.remember(*FACTS)
    once = await build(house, Compression.DEDUPLICATE, 4_000)
    assert once.text.count("opens the gate at six") == 1
    used = {one.id: one for one in once.included}
    changed = [one for one in used.values() if one.compression != "none"]
    assert [(one.compression, one.lossy) for one in changed] == [("deduplicate", False)]
    slim = await build(house, Compression.STRUCTURE, 4_000)
    of_json = next(one for one in slim.included if one.id == stored[2].id)
    assert (of_json.compression, of_json.lossy) == (Compression.STRUCTURE, False)
    assert of_json.tokens < of_json.tokens_before
    assert '{"harbour":{"gate":"blue"' in slim.text
    cut = await build(house, Compression.TRUNCATE, 200)
    assert {one.compression for one in cut.included if one.lossy} == {"truncate"}
    none = await build(house, Compression.NONE, 200)
    assert not any(one.lossy for one in none.included)


@pytest.fixture
async def model():
    with chat_server() as server:
        generation = Generation(
            OpenAiChat(ChatOptions("tiny", server.url)),
            breaker=Breaker(SystemClock()),
            clock=SystemClock(),
            count_tokens=len,
            options=GenerationOptions(retries=RetryPolicy(attempts=1)),
        )
        asking = Asking(generation, lambda *_: None)
        yield server, Shortening(Retelling(asking))
        await generation.close()


async def test_a_model_retells_long_memories_that_it_may_see(house, model):
    server, shortening = model
    stored = await house.remember(*FACTS)
    await house.remember(NewMemory(f"Evil: {LONG}", source_kind=SourceKind.WEB))
    server.answers.append(json.dumps({"summary": "Sixty harbour gates are open."}))
    built = await build(house, Compression.ABSTRACTIVE, 4_000, shortening)
    assert built.compression is Compression.ABSTRACTIVE
    assert built.compression_fallback == ""
    assert "Sixty harbour gates are open." in built.text
    one = next(one for one in built.included if one.id == stored[3].id)
    assert (one.compression, one.lossy) == (Compression.ABSTRACTIVE, True)
    assert len(server.requests) == 1
    assert "Evil" not in json.dumps(server.requests)


async def test_only_who_may_use_agents_has_a_model_retell(house, model):
    server, shortening = model
    await house.remember(*FACTS)
    optimize = OptimizeContext(house.counters, ManualClock(), shortening)
    for compression in Compression:
        asked = OptimizeRequest((OptimizeItem(LONG),), 4_000, compression=compression)
        if compression is Compression.ABSTRACTIVE:
            with pytest.raises(PermissionDenied, match="agents"):
                await build(house, compression, 4_000, shortening, POOR)
            with pytest.raises(PermissionDenied, match="agents"):
                await optimize(house.namespace, asked, POOR)
        else:
            assert (await build(house, compression, 4_000, shortening, POOR)).text
            assert (await optimize(house.namespace, asked, POOR)).items
    assert server.requests == []


async def test_without_a_usable_answer_it_is_extractive_and_says_so(house, model):
    server, shortening = model
    await house.remember(*FACTS)
    server.answers.extend(["no JSON", "again none"])
    for made, why in ((shortening, "gave no summary"), (None, "CORTEX_LLM__PROVIDER")):
        built = await build(house, Compression.ABSTRACTIVE, 300, made)
        assert built.compression is Compression.EXTRACTIVE
        assert why in built.compression_fallback
        assert built.text == (await build(house, Compression.EXTRACTIVE, 300)).text


@pytest.mark.parametrize("compression", Compression)
async def test_a_callers_own_items(house, compression):
    items = tuple(OptimizeItem(text) for text in (*FACTS, FACTS[0]))
    optimize = OptimizeContext(house.counters, ManualClock())
    for budget in (100, 300, 4_000):
        request = OptimizeRequest(items, budget, 0, "gpt-4o", compression)
        got = await optimize(house.namespace, request, CALL)
        assert got.total_tokens <= budget
        assert len(got.items) + len(got.dropped) == len(items)
        for one in got.items:
            assert one.tokens_before >= one.tokens
            assert one.lossy <= (one.compression is not Compression.NONE)
    assert [(one.index, one.reason) for one in got.dropped] == [(4, "duplicate")]
    assert bool(got.compression_fallback) == (compression is Compression.ABSTRACTIVE)
