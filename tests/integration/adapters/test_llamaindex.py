"""LlamaIndex's own ``Memory`` over Cortex's block and chat store."""

import pytest
from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock
from llama_index.core.memory import Memory
from llama_index.core.storage.chat_store.base_db import MessageStatus
from llama_index.core.storage.chat_store.sql import SQLAlchemyChatStore

from cortex_client import CortexClient
from cortex_client.integrations.llamaindex import CortexChatStore, CortexMemoryBlock


def said(text, role=MessageRole.USER, **more):
    return ChatMessage(role=role, content=text, additional_kwargs=more)


MESSAGES = [
    said("Be brief.", MessageRole.SYSTEM),
    said("Where is the launch? ☕"),
    said("", MessageRole.ASSISTANT, tool_calls=[{"id": "c1", "name": "find"}]),
    said("In Kourou.", MessageRole.TOOL, tool_call_id="c1"),
    ChatMessage(
        role=MessageRole.ASSISTANT,
        blocks=[TextBlock(text="In Kourou."), TextBlock(text="Soon.")],
    ),
]


@pytest.fixture
async def store(server_url, namespace):
    store = CortexChatStore(base_url=server_url, namespace=namespace)
    yield store
    await store.aclose()


async def test_it_answers_as_llamaindexs_own_store_does(store):
    own = SQLAlchemyChatStore(table_name="own")
    for one in (own, store):
        assert await one.get_messages("k") == []
        await one.add_messages("k", MESSAGES)
        await one.add_message("k", said("Thanks"))
        await one.add_message("other", said("Hello"))
        assert await one.count_messages("k") == 6
        assert sorted(await one.get_keys()) == ["k", "other"]
    for window in ({}, {"limit": 2}, {"offset": 4}, {"limit": 2, "offset": 1}):
        mine = await store.get_messages("k", **window)
        assert mine == await own.get_messages("k", **window)
    for one in (own, store):
        assert await one.archive_oldest_messages("k", 2) == MESSAGES[:2]
        assert await one.get_messages("k") == [*MESSAGES[2:], said("Thanks")]
        assert await one.get_messages("k", MessageStatus.ARCHIVED) == MESSAGES[:2]
        assert await one.count_messages("k", None) == 6
        assert await one.delete_oldest_messages("k", 1) == MESSAGES[2:3]
        await one.delete_messages("k", MessageStatus.ARCHIVED)
        assert await one.get_messages("k", None) == [*MESSAGES[3:], said("Thanks")]
        await one.set_messages("k", MESSAGES[:1])
        assert await one.get_messages("k", None) == MESSAGES[:1]
        await one.delete_messages("k")
        assert await one.get_keys() == ["other"]
    await own._async_engine.dispose()


async def test_a_message_is_deleted_by_its_place(store):
    await store.add_messages("k", [said("a"), said("b"), said("c")])
    assert (await store.delete_message("k", 1)).content == "b"
    assert await store.delete_message("k", 5) is None
    assert [one.content for one in await store.get_messages("k")] == ["a", "c"]


def block(server_url, namespace, **more):
    return CortexMemoryBlock(base_url=server_url, namespace=namespace, **more)


async def test_a_block_brings_back_what_answers(server_url, namespace):
    one = block(server_url, namespace, top_k=1)
    assert await one.aget([]) == ""
    await one.aput(
        [said("My dog is called Rex."), said("I live in Rome.")], session_id="s1"
    )
    assert (
        await one.aget([said("What is my dog called?")])
        == "- user: My dog is called Rex."
    )
    await one.aclose()


async def test_a_block_keeps_users_and_their_conversations(server_url, namespace):
    ana = block(server_url, namespace, user_id="ana", name="ana")
    bob = block(server_url, namespace, user_id="bob", name="bob")
    await ana.aput([said("My dog is called Rex.")], session_id="s1")
    assert await bob.aget([said("What is my dog called?")]) == ""
    async with CortexClient(server_url) as client:
        page = await client.list_memories(namespace=namespace)
    (memory,) = page.memories
    assert (memory.session_id, memory.user_id, memory.author) == ("s1", "ana", "user")
    await ana.aclose()
    await bob.aclose()


async def test_a_block_gives_up_its_least_first(server_url, namespace):
    one = block(server_url, namespace)
    content = "- user: the best\n- user: the second\n- user: the third"
    assert await one.atruncate(content, 3) == "- user: the best\n- user: the second"
    assert await one.atruncate(content, 1_000) is None


async def test_a_memory_flushes_into_the_block_and_asks_it(server_url, namespace):
    store = CortexChatStore(base_url=server_url, namespace=f"{namespace}-chats")
    long_term = block(server_url, namespace, top_k=2)

    def opened():
        return Memory.from_defaults(
            session_id="ana",
            token_limit=60,
            token_flush_size=20,
            chat_history_token_ratio=0.5,
            chat_store=store,
            memory_blocks=[long_term],
            tokenizer_fn=str.split,
        )

    memory = opened()
    await memory.aput(said("My dog is called Rex and he likes the sea very much."))
    for number in range(8):
        await memory.aput(
            said(f"Let us talk of something else, number {number}, please.")
        )
    async with CortexClient(server_url) as client:
        flushed = await client.list_memories(namespace=namespace)
    assert "Rex" in flushed.memories[-1].content
    await memory.aput(said("What is my dog called?"))
    history = await opened().aget()  # as another process would
    told = "\n".join(message.content for message in history)
    assert "My dog is called Rex" in told
    assert history[-1].content == "What is my dog called?"
    await store.aclose()
    await long_term.aclose()


async def test_a_token_is_not_shown():
    one = block("http://127.0.0.1:9", "x", token="secret-token")
    assert "secret-token" not in repr(one) + one.model_dump_json()
