"""Export and import: nothing lost, nothing doubled, broken lines named."""

import json

import pytest

from cortex.foundation.limits import (
    CONTENT_CHARACTERS_MAX,
    IMPORT_LINE_BYTES_MAX,
    NAME_CHARACTERS_MAX,
)
from cortex.foundation.tenancy import Namespace
from cortex.memory.model import Modality, NewMemory, Selection, Tier
from cortex.memory.sessions import NewSession, Sessions
from cortex.memory.transfer import (
    ImportedMemory,
    ImportedSession,
    LineError,
    export_lines,
    parse_line,
)
from cortex.memory.trust import SourceKind
from cortex.memory.upkeep import Upkeep
from cortex.testing.memory import CONTEXT, START, MemoryWorld, prepare

COPY = Namespace("else", "copy")


def sessions_of(world: MemoryWorld) -> Sessions:
    return Sessions(world.database, world.store, clock=world.clock, ids=world.ids)


async def exported(world: MemoryWorld, ns: Namespace, after: int = 0) -> list[bytes]:
    lines = export_lines(world.store, sessions_of(world), ns, after=after)
    return [line async for line in lines]


async def imported(world: MemoryWorld, ns: Namespace, lines: list[bytes]) -> int:
    created = 0
    for number, raw in enumerate(lines, 1):
        line = parse_line(raw, number)
        if isinstance(line, ImportedSession):
            await sessions_of(world).create(ns, line.session)
            continue
        assert isinstance(line, ImportedMemory), line
        prepared = prepare(line.item, restored=line.restored)
        (stored,) = await world.store.add(ns, [prepared], context=CONTEXT)
        created += stored.created
    return created


async def fill(world: MemoryWorld) -> None:
    await sessions_of(world).create(world.namespace, NewSession(id="s", title="t"))
    await world.add(
        NewMemory(
            "full",
            author="Ann",
            kind="fact",
            session_id="s",
            agent_id="a",
            user_id="u",
            importance=0.75,
            tags=("x", "y"),
            metadata={"deep": {"list": [1, None, True, "z"]}},
            occurred_at=START - 5,
            valid_from=START - 9,
            valid_to=START + 9,
            ttl_seconds=1e9,
            modality=Modality.IMAGE,
        ),
        NewMemory("ok", session_id="talk"),
        NewMemory("ok", session_id="talk"),
        NewMemory("keyed", idempotency_key="k"),
    )
    world.clock.advance(300 * 86_400)
    await world.say("new and warm")
    await Upkeep(world.database, world.store, clock=world.clock, ids=world.ids).round()


async def test_export_then_import_gives_the_same(world: MemoryWorld) -> None:
    await fill(world)
    lines = await exported(world, world.namespace)
    assert await imported(world, COPY, lines) == 5
    again = await exported(world, COPY)
    assert len(again) == len(lines)
    for before, after in zip(lines, again, strict=True):
        one, other = json.loads(before), json.loads(after)
        # What comes by an import is trusted as an import, never more.
        assert one.pop("trust", 0.7) == 0.7
        assert other.pop("trust", 0.6) == 0.6
        for volatile in ("row", "id", "dedupe", "updated_at"):
            one.pop(volatile, None)
            other.pop(volatile, None)
        assert one == other
    tiers = {json.loads(line).get("tier") for line in again} - {None}
    assert tiers == {Tier.COLD.value, Tier.WARM.value}


async def test_importing_again_doubles_nothing(world: MemoryWorld) -> None:
    await fill(world)
    lines = await exported(world, world.namespace)
    memories = [line for line in lines if b'"type":"session"' not in line]
    assert await imported(world, world.namespace, memories) == 0
    assert await imported(world, COPY, memories) == 5
    assert await imported(world, COPY, memories) == 0


async def test_ids_are_kept_where_they_are_free(world: MemoryWorld) -> None:
    (memory_id,) = await world.say("x")
    lines = await exported(world, world.namespace)
    await world.store.forget(world.namespace, Selection(), context=CONTEXT)
    await imported(world, COPY, lines)
    assert (await world.store.get(COPY, memory_id)).content == "x"


async def test_an_export_resumes_after_a_row(world: MemoryWorld) -> None:
    await world.say(*(f"n{n}" for n in range(450)))
    lines = await exported(world, world.namespace)
    assert len(lines) == 450
    row = json.loads(lines[399])["row"]
    assert await exported(world, world.namespace, after=row) == lines[400:]


def test_a_line_needs_content_alone() -> None:
    line = parse_line(b'{"content": "x", "occurred_at": "2023-11-14T22:13:20Z"}', 3)
    assert isinstance(line, ImportedMemory)
    assert line.item == NewMemory(
        "x", occurred_at=START, source_kind=SourceKind.IMPORT, trust=0.6
    )
    assert line.restored is None


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"", "line"),
        (b"{", "line"),
        (b"[]", "line"),
        (b"\xff\xfe", "line"),
        (b'{"content": "\\ud800"}', "line"),
        (b" " * (IMPORT_LINE_BYTES_MAX + 1), "line"),
        (b"[" * 2_000 + b"]" * 2_000, "line"),
        (b"{}", "content"),
        (b'{"content": 1}', "content"),
        (b'{"content": "  "}', "content"),
        (b'{"content": "a\\u0000b"}', "content"),
        (b'{"content": "%s"}' % (b"a" * (CONTENT_CHARACTERS_MAX + 1)), "content"),
        (b'{"content": "x", "author": []}', "author"),
        (
            b'{"content": "x", "kind": "%s"}' % (b"a" * (NAME_CHARACTERS_MAX + 1)),
            "kind",
        ),
        (b'{"content": "x", "importance": 2}', "importance"),
        (b'{"content": "x", "importance": true}', "importance"),
        (b'{"content": "x", "tags": "a"}', "tags"),
        (b'{"content": "x", "tags": [""]}', "tags"),
        (b'{"content": "x", "metadata": []}', "metadata"),
        (
            b'{"content": "x", "metadata": {"a": %s}}' % (b"[" * 40 + b"]" * 40),
            "metadata",
        ),
        (b'{"content": "x", "metadata": {"a": "%s"}}' % (b"a" * 20_000), "metadata"),
        (b'{"content": "x", "occurred_at": "yesterday"}', "occurred_at"),
        (b'{"content": "x", "occurred_at": "2023-11-14, late"}', "occurred_at"),
        (b'{"content": "x", "ttl_seconds": 0}', "ttl_seconds"),
        (b'{"content": "x", "modality": "smell"}', "modality"),
        (b'{"content": "x", "tier": "warm", "id": 5}', "id"),
        (b'{"content": "x", "id": "i", "tier": "tepid"}', "tier"),
        (b'{"content": "x", "id": "i", "access_count": -1}', "access_count"),
        (
            b'{"content": "x", "id": "i", "access_count": 9223372036854775808}',
            "access_count",
        ),
        (b'{"content": "x", "id": "i", "dedupe": "zz"}', "dedupe"),
        (b'{"content": "x", "surprise": 1}', "surprise"),
        (b'{"type": "session", "title": 5}', "title"),
        (b'{"type": "session", "content": "x"}', "content"),
    ],
)
def test_a_broken_line_is_named(raw: bytes, field: str) -> None:
    line = parse_line(raw, 17)
    assert isinstance(line, LineError)
    assert (line.line, line.field) == (17, field)
    assert line.reason
