"""mem0's names: what people's code calls, and the shapes it gets back."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from cortex_client.mem0 import AsyncMemory, AsyncMemoryClient, Memory, MemoryClient
from cortex_client.mem0_filters import split_filters

STORED = {"items": [{"id": "m1", "created": True}, {"id": "m2", "created": False}]}


@pytest.fixture(params=[Memory, AsyncMemory, MemoryClient, AsyncMemoryClient])
def face(request: pytest.FixtureRequest, server: Any) -> Callable[..., Any]:
    kind = request.param
    where = (
        {"host": server.url, "api_key": "k", "namespace": "n"}
        if "Client" in kind.__name__
        else {"base_url": server.url, "token": "k", "namespace": "n"}
    )

    async def use(call: Callable[[Any], Any]) -> Any:
        if kind in (Memory, MemoryClient):
            with kind(**where) as memory:
                return call(memory)
        async with kind(**where) as memory:
            result = call(memory)
            return await result if inspect.isawaitable(result) else result

    return use


async def test_add_stores_messages_as_said(face: Any, server: Any, reply: Any):
    server.then(reply(201, STORED))
    messages = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "I like tea", "name": "ana"},
        {"role": "assistant", "content": [{"type": "text", "text": "Noted"}]},
        {"role": "user", "content": ""},
    ]
    added = await face(
        lambda m: m.add(messages, user_id="u", run_id="r", metadata={"k": 1})
    )
    assert added == {
        "results": [
            {
                "id": "m1",
                "memory": "I like tea",
                "event": "ADD",
                "role": "user",
                "actor_id": "ana",
            },
            {"id": "m2", "memory": "Noted", "event": "NONE", "role": "assistant"},
        ]
    }
    first, second = server.seen[0].body["items"]
    # People do say "ok" twice in a run: each is sent with a key of its own.
    assert first.pop("idempotency_key") != second.pop("idempotency_key")
    assert first == {
        "namespace": "n",
        "content": "I like tea",
        "author": "ana",
        "session_id": "r",
        "user_id": "u",
        "metadata": {"k": 1, "role": "user", "actor_id": "ana"},
    }
    assert second["author"] == "assistant"
    assert server.seen[0].headers["authorization"] == "Bearer k"


async def test_add_takes_text_and_one_message(face: Any, server: Any, reply: Any):
    server.usual = lambda _: reply(201, {"items": [{"id": "m1"}]})
    assert (await face(lambda m: m.add("tea", agent_id="a")))["results"]
    message = {"role": "assistant", "content": "tea"}
    assert (await face(lambda m: m.add(message, agent_id="a", infer=False)))["results"]
    assert server.seen[1].body["items"][0]["author"] == "a"


@pytest.mark.parametrize("options", [{}, {"user_id": ""}])
async def test_a_scope_is_required(face: Any, server: Any, options: Any):
    for call in (
        lambda m: m.add("tea", **options),
        lambda m: m.search("tea", **options),
        lambda m: m.get_all(**options),
        lambda m: m.delete_all(**options),
    ):
        with pytest.raises(ValueError, match="user_id, agent_id, run_id"):
            await face(call)
    assert server.seen == []


@pytest.mark.parametrize(
    "scope", [{"user_id": "u"}, {"filters": {"user_id": "u"}}], ids=["1.x", "2.x"]
)
async def test_search_gives_results_with_scores(
    face: Any, server: Any, reply: Any, hit: Any, scope: Any
):
    hits = [
        hit("tea", metadata={"role": "user", "k": 1}, session_id="r"),
        hit("noise", confidence=0.05),
    ]
    server.then(reply(200, {"hits": hits, "low_confidence": False}))
    found = await face(lambda m: m.search("drink?", limit=7, threshold=0.1, **scope))
    assert found == {
        "results": [
            {
                "id": "m1",
                "memory": "tea",
                "hash": "ab",
                "metadata": {"k": 1},
                "created_at": "2023-11-14T22:13:20+00:00",
                "updated_at": "2023-11-14T22:13:20+00:00",
                "user_id": "ana",
                "run_id": "r",
                "role": "user",
                "score": 0.8,
            }
        ]
    }
    assert server.seen[0].body == {
        "query": "drink?",
        "top_k": 7,
        "namespace": "n",
        "user_id": "u",
    }


async def test_get_answers_none_for_an_unknown_id(
    face: Any, server: Any, reply: Any, memory: Any
):
    server.then(reply(200, memory("tea")))
    assert (await face(lambda m: m.get("m1")))["memory"] == "tea"
    assert await face(lambda m: m.get("gone")) is None


async def test_get_all_goes_through_the_pages(
    face: Any, server: Any, reply: Any, memory: Any
):
    page = [memory(str(n)) for n in range(100)]
    server.then(
        reply(200, {"memories": page, "next_cursor": "c"}),
        reply(200, {"memories": page[:20], "next_cursor": "d"}),
    )
    found = await face(lambda m: m.get_all(filters={"run_id": "r"}, top_k=120))
    assert len(found["results"]) == 120
    assert "score" not in found["results"][0]
    assert [s.query for s in server.seen] == [
        {"limit": ["100"], "namespace": ["n"], "session_id": ["r"]},
        {"limit": ["20"], "namespace": ["n"], "session_id": ["r"], "cursor": ["c"]},
    ]


async def test_update_adds_to_the_metadata(
    face: Any, server: Any, reply: Any, memory: Any
):
    server.then(
        reply(200, memory("tea", metadata={"role": "user", "a": 1})),
        reply(200, memory("milk")),
    )
    told = await face(lambda m: m.update("m1", text="milk", metadata={"b": 2}))
    assert told == {"message": "Memory updated successfully!"}
    assert server.seen[1].body == {
        "content": "milk",
        "metadata": {"role": "user", "a": 1, "b": 2},
    }
    with pytest.raises(ValueError, match="gone not found"):
        await face(lambda m: m.update("gone", data="x"))
    with pytest.raises(ValueError, match="text, metadata or both"):
        await face(lambda m: m.update("m1"))


async def test_delete_says_when_there_is_nothing(face: Any, server: Any, reply: Any):
    server.then(reply(200, {"ids": ["m1"], "content_sha256": ["h"]}))
    told = await face(lambda m: m.delete("m1"))
    assert told == {"message": "Memory deleted successfully!"}
    with pytest.raises(ValueError, match="gone not found"):
        await face(lambda m: m.delete("gone"))


async def test_delete_all_forgets_the_scope(face: Any, server: Any, reply: Any):
    server.then(reply(200, {"ids": []}))
    told = await face(lambda m: m.delete_all(user_id="u", agent_id="a"))
    assert told == {"message": "Memories deleted successfully!"}
    assert server.seen[0].query == {
        "namespace": ["n"],
        "user_id": ["u"],
        "agent_id": ["a"],
    }


async def test_history_tells_what_the_record_knows(
    face: Any, server: Any, reply: Any, memory: Any
):
    server.then(reply(200, memory("tea")), reply(200, memory("tea", updated_at=1.8e9)))
    (added,) = await face(lambda m: m.history("m1"))
    assert (added["event"], added["new_memory"], added["is_deleted"]) == (
        "ADD",
        "tea",
        False,
    )
    added, changed = await face(lambda m: m.history("m1"))
    assert (added["new_memory"], changed["event"], changed["new_memory"]) == (
        None,
        "UPDATE",
        "tea",
    )
    assert set(added) == {
        "id",
        "memory_id",
        "old_memory",
        "new_memory",
        "event",
        "created_at",
        "updated_at",
        "is_deleted",
        "actor_id",
        "role",
    }
    assert await face(lambda m: m.history("gone")) == []


def test_from_config_reads_only_its_own_part(server: Any):
    config = {
        "llm": {"provider": "openai"},
        "cortex": {"base_url": server.url, "namespace": "n"},
    }
    with Memory.from_config(config) as memory:
        assert memory._client.base_url == server.url


@pytest.mark.parametrize(
    ("filters", "scope", "rest"),
    [
        ({"user_id": "u"}, {"user_id": "u"}, None),
        ({"user_id": "*", "run_id": "r"}, {"run_id": "r"}, None),
        ({"user_id": {"in": ["u"]}}, {"user_id": "u"}, None),
        ({"AND": [{"user_id": "u"}, {"k": 1}]}, {"user_id": "u"}, {"k": 1}),
        (
            {"k": {"gte": 1, "lt": 5}, "l": "*"},
            {},
            {
                "and": [
                    {"and": [{"k": {"gte": 1}}, {"k": {"lt": 5}}]},
                    {"l": {"ne": None}},
                ]
            },
        ),
        (
            {"OR": [{"k": 1}, {"k": {"nin": [2, 3]}}]},
            {},
            {"or": [{"k": 1}, {"not": {"k": {"in": [2, 3]}}}]},
        ),
        ({"NOT": [{"k": 1}]}, {}, {"not": {"or": [{"k": 1}]}}),
    ],
)
def test_filters_are_translated(filters: Any, scope: Any, rest: Any):
    assert split_filters(filters) == (scope, rest)


@pytest.mark.parametrize(
    "filters",
    [
        {"OR": [{"user_id": "a"}, {"user_id": "b"}]},
        {"user_id": {"in": ["a", "b"]}},
        {"k": {"icontains": "x"}},
    ],
)
def test_what_cannot_be_asked_is_refused(filters: Any):
    with pytest.raises(ValueError, match=r"id|operator"):
        split_filters(filters)
