"""LangGraph's store on Cortex, beside LangGraph's own: the same calls, the same answers.

No conformance suite for stores is published (``langgraph-checkpoint-conformance`` is for
checkpoint savers), so LangGraph's own ``InMemoryStore`` is the measure.
"""

import asyncio
import itertools
import time
from typing import TypedDict

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore

from cortex_client import CortexClientSync
from cortex_client.errors import ConfigurationError
from cortex_client.integrations.langgraph import CortexStore


@pytest.fixture
def store(server_url, namespace):
    with CortexStore(server_url, namespace=namespace) as store:
        yield store


def told(item):
    """Return what the stores must agree on; times are the server's own."""
    return None if item is None else (item.namespace, item.key, item.value)


def test_an_item_is_put_read_changed_and_deleted(store):
    place = ("users", "ana")
    assert store.get(place, "diet") is None
    store.put(place, "diet", {"text": "vegetarian", "since": 2019})
    first = store.get(place, "diet")
    assert told(first) == (place, "diet", {"text": "vegetarian", "since": 2019})
    store.put(place, "diet", {"text": "vegan"})
    second = store.get(place, "diet")
    assert second.value == {"text": "vegan"}
    assert second.created_at == first.created_at < second.updated_at
    store.delete(place, "diet")
    store.delete(place, "diet")
    assert store.get(place, "diet") is None
    store.put(place, "diet", {"text": "omnivore"})
    assert store.get(place, "diet").value == {"text": "omnivore"}


def test_the_same_key_lives_apart_in_each_namespace(store):
    store.put(("a",), "k", {"n": 1})
    store.put(("a", "b"), "k", {"n": 2})
    assert store.get(("a",), "k").value == {"n": 1}
    assert store.get(("a", "b"), "k").value == {"n": 2}
    store.delete(("a",), "k")
    assert store.get(("a", "b"), "k").value == {"n": 2}


def test_putting_none_deletes(store):
    store.put(("a",), "k", {"n": 1})
    store.batch([PutOp(("a",), "k", None)])
    assert store.get(("a",), "k") is None
    assert store.list_namespaces() == []


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"text": ""},
        {"deep": {"list": [1, [2.5, None], {"x": True}], "ünï": "☕ 'q' \"d\"\n"}},
        {"big": "word " * 20_000, "n": 3},
        {"many": [{"i": i, "t": "x" * 40} for i in range(1_000)]},
    ],
    ids=["empty", "blank", "deep", "large text", "large list"],
)
def test_every_value_comes_back_as_it_was(store, value):
    store.put(("v",), "key", value)
    assert store.get(("v",), "key").value == value
    assert [item.value for item in store.search(("v",))] == [value]
    store.put(("v",), "key", {"small": 1})
    assert store.get(("v",), "key").value == {"small": 1}


FILTERS = [
    {"kind": "tea"},
    {"cups": 2},
    {"cups": {"$gt": 1}},
    {"cups": {"$gte": 2, "$lt": 3}},
    {"cups": {"$lte": 1}},
    {"cups": {"$eq": 3}, "kind": "tea"},
    {"kind": {"$ne": "tea"}},
    {"gone": None},
    {"where": {"city": "Rome"}},
    {"where": {"city": {"$ne": "Rome"}}},
    {"tags": ["hot", "sweet"]},
    {"kind": "cocoa"},
]


@pytest.mark.parametrize("where", FILTERS, ids=str)
def test_filters_choose_as_langgraphs_own_store_does(store, where):
    own = InMemoryStore()
    kinds, cities = (
        itertools.cycle(["tea", "coffee"]),
        itertools.cycle(["Rome", "Oslo"]),
    )
    for n in range(6):
        value = {
            "kind": next(kinds),
            "cups": n % 4,
            "where": {"city": next(cities), "n": n},
            "tags": ["hot", "sweet"] if n % 3 else ["cold"],
        }
        for one in (own, store):
            one.put(("drinks", str(n % 2)), str(n), value)
    mine = {
        told(item) for item in map(_hashable, store.search(("drinks",), filter=where))
    }
    theirs = {
        told(item) for item in map(_hashable, own.search(("drinks",), filter=where))
    }
    assert mine == theirs
    ranked = store.search(("drinks",), filter=where, query="a cup of tea in Rome")
    assert {told(_hashable(item)) for item in ranked} == theirs


def _hashable(item):
    item.value = str(sorted(item.value.items()))
    return item


def test_an_unknown_operator_is_named(store):
    store.put(("a",), "k", {"n": 1})
    with pytest.raises(ConfigurationError, match=r"\$regex"):
        store.search(("a",), filter={"n": {"$regex": "1"}})


def test_a_search_ranks_by_meaning_and_scores(store):
    place = ("notes",)
    store.put(place, "1", {"text": "The launch moved to Friday."})
    store.put(place, "2", {"text": "Ana drinks her coffee black."})
    store.put(("other",), "3", {"text": "The launch of the other team."})
    found = store.search(place, query="When is the launch?")
    assert found[0].key == "1"
    assert 0 <= found[0].score <= 1
    assert {item.key for item in found} == {"1", "2"}
    assert store.search(place)[0].score is None
    assert [item.key for item in store.search((), query="launch")][-1] == "2"


def test_what_is_not_indexed_is_read_and_listed_but_not_found(store):
    store.put(("a",), "seen", {"text": "green tea"})
    store.put(("a",), "hidden", {"text": "green tea"}, index=False)
    assert [item.key for item in store.search(("a",), query="green tea")] == ["seen"]
    assert {item.key for item in store.search(("a",))} == {"seen", "hidden"}
    assert store.get(("a",), "hidden").value == {"text": "green tea"}


@pytest.mark.parametrize("query", ["nul \0 inside", " ", "tea " * 9_000, "☕" * 9_000])
def test_any_text_may_be_asked(store, query):
    store.put(("a",), "k", {"text": "tea"})
    assert [item.key for item in store.search(("a",), query=query)] == ["k"]


def test_fields_say_what_is_searched(server_url, namespace):
    with CortexStore(server_url, namespace=namespace, fields=["text"]) as store:
        store.put(("a",), "1", {"text": "green tea", "secret": "launch code"})
        store.put(("a",), "2", {"parts": [{"t": "one"}, {"t": "two"}]}, ["parts[*].t"])
    with CortexClientSync(server_url) as client:
        page = client.list_memories(namespace=namespace)
    assert [memory.content for memory in page.memories] == ["one\ntwo", "green tea"]


def test_limit_and_offset_page_through_everything_once(store):
    store.batch([PutOp(("p", str(n % 3)), str(n), {"n": n}) for n in range(25)])
    seen = []
    for offset in range(0, 30, 10):
        seen += [item.key for item in store.search(("p",), limit=10, offset=offset)]
    assert sorted(map(int, seen)) == list(range(25))
    filtered = store.search(("p",), filter={"n": {"$gte": 10}}, limit=10, offset=10)
    assert len(filtered) == 5
    assert store.search(("p",), limit=0) == []


def test_a_large_batch_is_written_whole(store):
    store.batch([PutOp(("many",), str(n), {"n": n}) for n in range(250)])
    again = [PutOp(("many",), str(n), {"n": -n}) for n in range(248, 252)]
    store.batch(again)
    assert len(store.search(("many",), limit=1_000)) == 252
    assert store.get(("many",), "249").value == {"n": -249}


def test_in_a_batch_reads_come_first_and_the_last_put_wins(store):
    store.put(("b",), "k", {"n": 0})
    ops = [
        PutOp(("b",), "k", {"n": 1}),
        GetOp(("b",), "k"),
        PutOp(("b",), "k", {"n": 2}),
        SearchOp(("b",)),
        ListNamespacesOp(),
        GetOp(("b",), "none"),
    ]
    own = InMemoryStore()
    own.put(("b",), "k", {"n": 0})
    mine, theirs = store.batch(ops), own.batch(ops)
    assert told(mine[1]) == told(theirs[1]) == (("b",), "k", {"n": 0})
    assert [told(i) for i in mine[3]] == [told(i) for i in theirs[3]]
    assert mine[4] == theirs[4] == [("b",)]
    assert mine[5] is theirs[5] is mine[0] is theirs[0] is None
    assert store.get(("b",), "k").value == {"n": 2}


PLACES = [
    ("a", "b", "c"), ("a", "b", "d", "e"), ("a", "b", "d", "i"), ("a", "b", "f"),
    ("a", "c", "f"), ("b", "a", "f"), ("users", "Ana Lovelace", "préfs"),
]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prefix": ("a", "b")},
        {"suffix": ("f",)},
        {"prefix": ("a", "*", "f")},
        {"prefix": ("a",), "suffix": ("*", "f")},
        {"prefix": ("a", "b"), "max_depth": 3},
        {"max_depth": 1},
        {"max_depth": 2, "limit": 2, "offset": 1},
        {"prefix": ("zebra",)},
        {"suffix": ("a", "b", "d", "e", "x")},
    ],
    ids=str,
)
def test_namespaces_are_listed_as_langgraphs_own_store_does(store, options):
    own = InMemoryStore()
    for one in (own, store):
        for number, place in enumerate(PLACES):
            one.put(place, "k", {"n": number})
    assert store.list_namespaces(**options) == own.list_namespaces(**options)


def test_other_memories_of_the_namespace_are_left_alone(store, server_url, namespace):
    with CortexClientSync(server_url) as client:
        client.remember("not an item", namespace=namespace)
        store.put(("a",), "k", {"n": 1})
        assert [item.key for item in store.search(())] == ["k"]
        assert [i.key for i in store.search((), query="not an item")] == ["k"]
        assert store.list_namespaces() == [("a",)]
        assert client.stats(namespace=namespace).total == 2


@pytest.mark.parametrize("place", [("a.b",), ("a", ""), (), ("langgraph", "x")])
def test_a_namespace_that_is_none_is_refused(store, place):
    with pytest.raises(InvalidNamespaceError):
        store.put(place, "k", {"n": 1})
    if place and place[0] != "langgraph":
        with pytest.raises(InvalidNamespaceError):
            store.batch([PutOp(place, "k", {"n": 1})])


def test_a_namespace_too_long_for_the_server_is_refused_in_a_sentence(store):
    with pytest.raises(ConfigurationError, match="197 characters"):
        store.put(("x" * 150, "y" * 50), "k", {"n": 1})
    store.put(("x" * 140, "y" * 50), "k", {"n": 1})
    assert [item.key for item in store.search(("x" * 140,))] == ["k"]


def test_a_time_to_live_ends_an_item_unless_it_is_read(server_url, namespace):
    minutes = 1.0 / 60
    with (
        CortexStore(server_url, namespace=namespace) as store,
        CortexClientSync(server_url) as client,
    ):
        store.put(("t",), "k", {"n": 1}, ttl=minutes * 60)
        (kept,) = client.list_memories(namespace=namespace).memories
        before = kept.expires_at
        assert 50 < before - kept.created_at < 70
        store.get(("t",), "k", refresh_ttl=False)
        unmoved = client.get_memory(kept.id, namespace=namespace)
        assert unmoved.expires_at == before
        store.get(("t",), "k")
        store.search(("t",))
        moved = client.get_memory(kept.id, namespace=namespace)
        assert moved.expires_at > before
        store.put(("t",), "short", {"n": 2}, ttl=minutes / 4)
        _until(lambda: store.get(("t",), "short", refresh_ttl=False) is None)
        assert [item.key for item in store.search(("t",))] == ["k"]
        store.put(("t",), "short", {"n": 3})
        assert store.get(("t",), "short").value == {"n": 3}
        first = store.get(("t",), "k").created_at
        store.put(("t",), "k", {"n": 4})
        again = store.get(("t",), "k")
        assert (again.value, again.created_at) == ({"n": 4}, first)
        endless = client.list_memories(namespace=namespace).memories
        assert [memory.expires_at for memory in endless] == [None, None]


def _until(holds) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_configured_time_to_live_is_used(server_url, namespace):
    config = {"default_ttl": 5, "refresh_on_read": False}
    with (
        CortexStore(server_url, namespace=namespace, ttl=config) as store,
        CortexClientSync(server_url) as client,
    ):
        store.put(("t",), "k", {"n": 1})
        store.put(("t",), "endless", {"n": 1}, ttl=None)
        endless, kept = client.list_memories(namespace=namespace).memories
        store.get(("t",), "k")
        again = client.get_memory(kept.id, namespace=namespace)
        assert endless.expires_at is None
        assert again.expires_at == kept.expires_at == kept.created_at + 300


def test_each_event_loop_may_use_the_same_store(store):
    async def both() -> list:
        await store.aput(("loops",), "k", {"n": 1})
        await asyncio.gather(
            *(store.aput(("loops",), f"k{n}", {"n": n}) for n in range(20))
        )
        found = await store.asearch(("loops",), limit=50)
        await store.adelete(("loops",), "k")
        spaces = await store.alist_namespaces(prefix=("loops",))
        await store.aclose()
        return [len(found), await store.aget(("loops",), "k"), spaces]

    async def once() -> list:
        async with store:
            return await both()

    for _ in range(2):
        assert asyncio.run(once()) == [21, None, [("loops",)]]


class State(TypedDict):
    said: str
    known: str


def test_a_compiled_graph_remembers_across_threads(store):
    def remember(state: State, *, store: BaseStore) -> dict:
        known = store.search(("ana",), query=state["said"], limit=1)
        store.put(("ana",), state["said"], {"text": state["said"]})
        return {"known": known[0].value["text"] if known else ""}

    graph = StateGraph(State)
    graph.add_node("remember", remember)
    graph.add_edge(START, "remember")
    graph.add_edge("remember", END)
    compiled = graph.compile(store=store)
    assert compiled.invoke({"said": "I have a dog called Rex"})["known"] == ""
    answer = compiled.invoke({"said": "What is my dog called?"})
    assert answer["known"] == "I have a dog called Rex"


words = st.sampled_from(["tea", "coffee", "milk", "cake"])
places = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map(tuple)
values = st.dictionaries(
    st.sampled_from(["kind", "n", "nested"]),
    words | st.integers(0, 5) | st.none() | st.fixed_dictionaries({"x": words}),
    max_size=3,
)
keys = st.sampled_from("kl")
puts = st.builds(PutOp, places, keys, st.none() | values, st.none(), st.none())
gets = st.builds(GetOp, places, keys)
wheres = st.none() | st.dictionaries(
    st.sampled_from(["kind", "n", "nested"]),
    words | st.integers(0, 5) | st.builds(lambda w: {"$ne": w}, words),
    max_size=2,
)
some = st.just(100)
searches = st.builds(
    SearchOp, places | st.just(()), wheres, some, st.just(0), st.none()
)
conditions = st.builds(MatchCondition, st.sampled_from(["prefix", "suffix"]), places)
listings = st.builds(
    ListNamespacesOp,
    st.lists(conditions, max_size=2).map(tuple),
    st.none() | st.integers(1, 3),
    some,
    st.just(0),
)
batches = st.lists(
    st.lists(puts | gets | searches | listings, min_size=1, max_size=6),
    min_size=1,
    max_size=4,
)
_runs = itertools.count()


@settings(max_examples=15)
@given(batches)
def test_any_batches_answer_as_langgraphs_own_store_does(server_url, batches):
    own = InMemoryStore()
    with CortexStore(server_url, namespace=f"property-{next(_runs)}") as store:
        for ops in batches:
            living = _living(own)
            for op, mine, theirs in zip(
                ops, store.batch(ops), own.batch(ops), strict=True
            ):
                if isinstance(op, SearchOp):
                    assert _bag(mine) == _bag(theirs)
                elif isinstance(op, ListNamespacesOp):
                    assert mine == living.batch([op])[0]
                elif isinstance(op, GetOp):
                    assert told(mine) == told(theirs)


def _bag(found):
    return sorted(map(str, map(told, found)))


def _living(own):
    """Return a store of the same namespaces; LangGraph's also lists emptied ones."""
    fresh = InMemoryStore()
    for item in own.search((), limit=1_000):
        fresh.put(item.namespace, item.key, {})
    return fresh


def test_a_server_that_is_not_there_is_said_in_a_sentence():
    with (
        CortexStore("http://127.0.0.1:9", max_retries=0) as store,
        pytest.raises(ConnectionError, match="cortex serve"),
    ):
        store.get(("a",), "k")


def test_a_token_reaches_the_server(server_url, namespace):
    with (
        CortexStore(
            server_url, namespace=namespace, token="no-such-token-0123456789"
        ) as store,
        pytest.raises(Exception, match="token"),
    ):
        store.get(("a",), "k")
    assert httpx.get(f"{server_url}/ready").status_code == 200
