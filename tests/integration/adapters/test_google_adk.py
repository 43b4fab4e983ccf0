"""The Agent Development Kit's own runner and memory tools over Cortex."""

import pytest
from google.adk.agents import LlmAgent
from google.adk.events.event import Event
from google.adk.memory.in_memory_memory_service import InMemoryMemoryService
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.adk.sessions.session import Session
from google.adk.tools import load_memory
from google.genai import types

from cortex_client import CortexClient
from cortex_client.integrations.google_adk import CortexMemoryService

WHO = {"app_name": "guide", "user_id": "ana"}


@pytest.fixture
async def service(server_url, namespace):
    async with CortexMemoryService(server_url, namespace=namespace) as service:
        yield service


def event(number, author, *parts):
    return Event(
        id=f"e{number}",
        author=author,
        timestamp=1_700_000_000.5 + number,
        content=types.Content(role=author, parts=list(parts)),
    )


def text(words):
    return types.Part(text=words)


EVENTS = [
    event(1, "user", text("My dog is called Rex.")),
    event(2, "guide", text("What a name."), text("He must be a king.")),
    event(3, "guide", types.Part(function_call=types.FunctionCall(name="f", args={}))),
    Event(id="e4", author="guide"),
    event(5, "user", text("I live in Rome.")),
]


def session(events=EVENTS, session_id="s1"):
    return Session(id=session_id, events=list(events), **WHO)


async def test_a_session_is_remembered_and_asked(service):
    own = InMemoryMemoryService()
    for one in (own, service):
        await one.add_session_to_memory(session())
    mine = await service.search_memory(query="What is my dog called?", **WHO)
    theirs = await own.search_memory(query="What is my dog called?", **WHO)
    assert mine.memories[0].content == theirs.memories[0].content
    assert mine.memories[0].author == theirs.memories[0].author == "user"
    assert mine.memories[0].timestamp.startswith("2023-11-14T22:13:21.5")
    assert len(mine.memories) == 3  # what says nothing is not remembered
    assert (await service.search_memory(query=" ", **WHO)).memories == []


async def test_a_session_added_again_adds_what_is_new(service, server_url, namespace):
    for events in (EVENTS[:2], EVENTS, EVENTS):
        await service.add_session_to_memory(session(events))
    async with CortexMemoryService(server_url, namespace=namespace) as other:
        await other.add_session_to_memory(session())
    async with CortexClient(server_url) as client:
        kept = (await client.list_memories(namespace=namespace)).memories
    assert len(kept) == 3
    assert {one.session_id for one in kept} == {"s1"}
    assert {one.provenance.source_kind for one in kept} == {"user", "agent"}


async def test_users_and_applications_are_apart(service):
    await service.add_session_to_memory(session())
    for other in (
        {"app_name": "guide", "user_id": "bob"},
        {"app_name": "other", "user_id": "ana"},
    ):
        assert (await service.search_memory(query="dog Rex", **other)).memories == []


async def test_what_is_deleted_does_not_come_back_with_its_session(
    service, server_url, namespace
):
    await service.add_session_to_memory(session())
    found = (await service.search_memory(query="dog called Rex", **WHO)).memories[0]
    await service.delete_memory(app_name="guide", user_id="bob", memory_id=found.id)
    assert len((await service.search_memory(query="Rex", **WHO)).memories) == 3
    for memory_id in (found.id, found.id, None, "no-such-id"):
        await service.delete_memory(memory_id=memory_id, **WHO)
    async with CortexMemoryService(server_url, namespace=namespace) as other:
        await other.add_session_to_memory(session())
        left = (await other.search_memory(query="dog called Rex", **WHO)).memories
    assert len(left) == 2
    assert "Rex" not in str(left)


async def test_explicit_memories_keep_what_they_came_with(service):
    entry = MemoryEntry(
        id="m1",
        content=types.Content(role="user", parts=[text("Ana drinks tea.")]),
        author="user",
        timestamp="2024-05-01T10:00:00+00:00",
        custom_metadata={"topic": "drinks"},
    )
    for _ in range(2):
        await service.add_memory(memories=[entry], custom_metadata={"by": "me"}, **WHO)
    (found,) = (await service.search_memory(query="tea", **WHO)).memories
    assert found.content == entry.content
    assert found.timestamp == entry.timestamp
    assert found.custom_metadata["topic"] == "drinks"
    assert found.custom_metadata["by"] == "me"
    assert 0 <= found.custom_metadata["cortex"]["confidence"] <= 1


async def test_names_of_any_form_are_kept_apart(service):
    long, other = "x" * 300, "x" * 299
    for user in (long, other, "a b/ü"):
        await service.add_events_to_memory(
            app_name="guide", user_id=user, events=EVENTS, session_id="s ü/" * 100
        )
    found = await service.search_memory(app_name="guide", user_id=long, query="Rex")
    assert len(found.memories) == 3


async def test_a_floor_leaves_out_what_does_not_answer(server_url, namespace):
    async with CortexMemoryService(
        server_url, namespace=namespace, min_confidence=1.0
    ) as service:
        await service.add_session_to_memory(session())
        found = await service.search_memory(query="colour of Saturn", **WHO)
        assert found.memories == []


class Scripted(BaseLlm):
    """Asks its memory once, then says what it was told."""

    async def generate_content_async(self, llm_request, stream=False):
        last = llm_request.contents[-1].parts[-1]
        if last.function_response is None:
            call = types.FunctionCall(name="load_memory", args={"query": "dog Rex"})
            part = types.Part(function_call=call)
        else:
            told = str(last.function_response.response)
            part = text("Rex!" if "Rex" in told else "I do not know.")
        content = types.Content(role="model", parts=[part])
        yield LlmResponse(content=content)


async def test_a_real_runner_asks_what_an_earlier_session_said(service):
    sessions = InMemorySessionService()
    runner = Runner(
        app_name="guide",
        agent=LlmAgent(name="guide", model=Scripted(model="x"), tools=[load_memory]),
        session_service=sessions,
        memory_service=service,
    )
    answers = []
    await service.add_session_to_memory(session())
    opened = await sessions.create_session(**WHO)
    asked = types.Content(role="user", parts=[text("What is my dog called?")])
    async for heard in runner.run_async(
        user_id="ana", session_id=opened.id, new_message=asked
    ):
        answers += [part.text for part in heard.content.parts if part.text]
    assert answers == ["Rex!"]
