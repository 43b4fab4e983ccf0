import pytest

from cortex.foundation.errors import PayloadTooLarge, ValidationError
from cortex.foundation.limits import METADATA_BYTES_MAX, NAME_CHARACTERS_MAX
from cortex.memory.errors import InvalidCursor, SessionExists, SessionNotFound
from cortex.memory.model import NewMemory, Selection
from cortex.usecases.model import NewSession


async def test_pages_hold_every_conversation_once(house):
    for n in range(7):
        await house.conversations.create(house.namespace, NewSession(id=f"talk-{n}"))
    for limit in (1, 2, 3, 7, 8):
        cursor, seen = None, []
        while True:
            page = await house.conversations.page(house.namespace, cursor, limit)
            assert len(page.sessions) <= limit
            seen += [session.id for session in page.sessions]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == [f"talk-{n}" for n in range(7)]


@pytest.mark.parametrize("character", ["x", "é", "語", "\U0001f600"])
async def test_pages_follow_ids_of_any_script(house, character):
    ids = [character * (NAME_CHARACTERS_MAX - 1) + end for end in "ab"]
    for one in ids:
        await house.conversations.create(house.namespace, NewSession(id=one))
    first = await house.conversations.page(house.namespace, None, 1)
    last = await house.conversations.page(house.namespace, first.next_cursor, 1)
    assert [first.sessions[0].id, last.sessions[0].id] == ids
    assert last.next_cursor is None


@pytest.mark.parametrize("cursor", ["?", "a", "====", "/w==", "é", "x" * 10_000])
async def test_a_cursor_from_elsewhere_is_refused(house, cursor):
    with pytest.raises(InvalidCursor):
        await house.conversations.page(house.namespace, cursor, 5)


async def test_messages_keep_their_order_and_are_counted(house, call):
    opened = await house.conversations.create(house.namespace, NewSession("A talk"))
    said = [NewMemory(f"turn {n}", occurred_at=5.0 - n) for n in range(4)]
    stored = await house.conversations.append(house.namespace, opened.id, said, call)
    assert all(one.created for one in stored)
    again = await house.conversations.append(house.namespace, opened.id, said, call)
    assert [one.id for one in again] == [one.id for one in stored]
    assert not any(one.created for one in again)
    found = await house.conversations.get(house.namespace, opened.id)
    assert found.message_count == 4
    page = await house.world.store.list(
        house.namespace, Selection(session_id=opened.id), cursor=None, limit=10,
        oldest_first=True,
    )  # fmt: skip
    assert [memory.content for memory in page.memories] == [m.content for m in said]


async def test_what_cannot_be_appended_is_refused_whole(house, call):
    append = house.conversations.append
    with pytest.raises(SessionNotFound):
        await append(house.namespace, "none", [NewMemory("x")], call)
    await house.conversations.create(house.namespace, NewSession(id="talk"))
    with pytest.raises(ValidationError):
        await append(house.namespace, "talk", [], call)
    with pytest.raises(PayloadTooLarge):
        await append(house.namespace, "talk", [NewMemory("x")] * 501, call)
    mixed = [NewMemory("fine"), NewMemory("astray", session_id="another")]
    with pytest.raises(ValidationError):
        await append(house.namespace, "talk", mixed, call)
    found = await house.conversations.get(house.namespace, "talk")
    assert found.message_count == 0


async def test_a_conversation_is_opened_once(house):
    await house.conversations.create(house.namespace, NewSession(id="talk"))
    with pytest.raises(SessionExists):
        await house.conversations.create(house.namespace, NewSession(id="talk"))
    large = NewSession(metadata={"a": "x" * METADATA_BYTES_MAX})
    with pytest.raises(PayloadTooLarge):
        await house.conversations.create(house.namespace, large)
