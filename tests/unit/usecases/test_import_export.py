import json
from collections.abc import AsyncIterator, Iterable

import orjson

from cortex.memory.model import NewMemory, Selection
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
