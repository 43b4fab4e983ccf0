import json
from collections.abc import AsyncIterator, Iterable

import orjson
import pytest
from pydantic import ValidationError as PydanticError

from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.model import NewMemory, Selection
from cortex.service.http.wire.memory import MemoryBody
from cortex.usecases.model import NewSession
from cortex.usecases.transfer import BATCH_LINES, ERRORS_TOLD_MAX


async def stream(lines: Iterable[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line


def told(*contents: str) -> list[bytes]:
    return [json.dumps({"content": c, "occurred_at": 1.7e9}).encode() for c in contents]


async def imported(house, call, lines, **more):
    steps = house.import_lines(house.namespace, stream(lines), call, **more)
    return [step async for step in steps]


async def total(house) -> int:
    return (await house.world.store.stats("local", house.namespace)).total


async def test_a_broken_line_is_named_and_harms_no_other(house, call):
    lines = [*told("one"), b"{", b'{"content": ""}', b"", *told("two")]
    lines.append(json.dumps({"content": "x", "tags": ["t" * 200]}).encode())
    [last] = await imported(house, call, lines)
    assert (last.line, last.stored, last.failed, last.done) == (6, 2, 3, True)
    assert [(one.line, one.field) for one in last.errors] == [
        (2, "line"), (3, "content"), (6, "tags"),
    ]  # fmt: skip
    assert all(one.message for one in last.errors)
    assert await total(house) == 2


async def test_progress_is_durable_and_a_resume_goes_on_after_it(house, call):
    contents = [f"line {n}" for n in range(BATCH_LINES * 3 + 5)]
    lines = told(*contents)
    steps = house.import_lines(house.namespace, stream(lines), call)
    first = await anext(steps)
    await steps.aclose()
    assert first.line == first.stored == BATCH_LINES
    assert not first.done
    assert await total(house) == BATCH_LINES
    rest = await imported(house, call, lines, start_line=first.line)
    assert rest[-1].stored == len(contents) - BATCH_LINES
    assert rest[-1].existing == 0
    assert rest[-1].line == len(contents)
    assert await total(house) == len(contents)


async def test_the_same_lines_twice_are_stored_once(house, call):
    lines = told("one", "two", "two")
    [first] = await imported(house, call, lines)
    assert (first.stored, first.existing) == (2, 1)
    [again] = await imported(house, call, lines)
    assert (again.stored, again.existing, again.failed) == (0, 3, 0)


async def test_of_many_refusals_the_first_are_told_and_all_counted(house, call):
    steps = await imported(house, call, [b"{"] * (ERRORS_TOLD_MAX * 3))
    assert steps[-1].failed == ERRORS_TOLD_MAX * 3
    lines = [one.line for step in steps for one in step.errors]
    assert lines == sorted(set(lines))
    assert all(len(step.errors) <= ERRORS_TOLD_MAX for step in steps)


async def test_an_import_works_while_the_embedder_is_down(house, call):
    house.embedder.down = True
    [last] = await imported(house, call, told("one"))
    assert last.stored == 1
    pending = await house.world.store.pending(house.embedder.space)
    assert [one.memory.content for one in pending] == ["one"]


async def test_an_export_is_an_import_elsewhere(house, call):
    await house.conversations.create(house.namespace, NewSession(id="talk"))
    said = [NewMemory("hello", author="Ann", occurred_at=1.7e9)]
    await house.conversations.append(house.namespace, "talk", said, call)
    await house.remember(NewMemory("alone", tags=("red",), occurred_at=1.7e9))
    lines = [one async for one in house.export_lines(house.namespace, Selection())]
    assert [orjson.loads(line)["type"] for line in lines] == [
        "session", "memory", "memory",
    ]  # fmt: skip
    [again] = await imported(house, call, lines)
    assert (again.stored, again.existing) == (0, 3)


async def test_a_selected_export_holds_the_selection_alone(house, call):
    await house.remember(NewMemory("a", tags=("red",)), NewMemory("b"))
    lines = house.export_lines(house.namespace, Selection(tag="red"))
    assert [orjson.loads(line)["content"] async for line in lines] == ["a"]


def reach(*names: str):
    """Return what a caller bound to these namespaces may do."""
    principal = Principal("bound", "local", frozenset({"memory"}), names)
    return principal.namespace


def line(content: str, **fields) -> bytes:
    return json.dumps({"content": content, "occurred_at": 1.7e9, **fields}).encode()


async def contents(house, name: str) -> list[str]:
    page = await house.world.store.list(
        Namespace("local", name), Selection(), cursor=None, limit=50, oldest_first=True
    )
    return [memory.content for memory in page.memories]


async def test_each_line_goes_where_it_says_if_the_caller_may(house, call):
    lines = [
        line("here"),
        line("mine", namespace="team/a"),
        line("theirs", namespace="other"),
        line("no name", namespace="a b"),
        line("also mine", namespace="team/b"),
        json.dumps({"type": "session", "id": "s", "namespace": "team/a"}).encode(),
        json.dumps({"type": "session", "id": "s", "namespace": "other"}).encode(),
        line("mine too", namespace="team/a"),
    ]
    place = reach("default", "team/*")
    [last] = await imported(house, call, lines, place=place)
    assert (last.stored, last.failed) == (5, 3)
    assert [(e.line, e.code, e.field) for e in last.errors] == [
        (3, "PERMISSION_DENIED", "namespace"),
        (4, "VALIDATION_ERROR", "namespace"),
        (7, "PERMISSION_DENIED", "namespace"),
    ]
    assert await contents(house, "default") == ["here"]
    assert await contents(house, "team/a") == ["mine", "mine too"]
    assert await contents(house, "team/b") == ["also mine"]
    assert await contents(house, "other") == []
    session = await house.sessions.get(Namespace("local", "team/a"), "s")
    assert session.id == "s"


async def test_without_a_reach_no_line_names_another_place(house, call):
    lines = [line("here", namespace="default"), line("there", namespace="other")]
    [last] = await imported(house, call, lines)
    assert (last.stored, last.failed) == (1, 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"author": "a\nb"},
        {"kind": "a\tb"},
        {"kind": ""},
        {"session_id": "a\x1bb"},
        {"session_id": ""},
        {"user_id": "\x7f"},
        {"agent_id": ""},
        {"run_id": "a\nb"},
        {"run_id": ""},
        {"source": "a\nb"},
        {"tags": ["a\nb"]},
        {"idempotency_key": "k" * 201},
        {"idempotency_key": "a\nb"},
        {"ttl_seconds": 1e10},
        {"occurred_at": 1e13},
        {"occurred_at": -1e12},
        {"valid_from": 2.0, "valid_to": 1.0},
        {"metadata": {"a": [{"b": 2**53}]}},
        {"metadata": {"a": -(2**53)}},
        {"importance": 2},
        {"trust": -1},
        {"content": "a\x00b"},
    ],
)
async def test_a_line_has_the_bounds_of_a_request(house, call, fields):
    [last] = await imported(house, call, [line(**{"content": "x", **fields})])
    assert (last.stored, last.failed) == (0, 1)
    # And the same is refused by POST /memory.
    with pytest.raises(PydanticError):
        MemoryBody.model_validate({"content": "x", **fields})
