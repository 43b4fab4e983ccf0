from dataclasses import replace

import numpy as np

from cortex.memory.model import Modality, NewMemory
from cortex.usecases.catch_up import BATCH_ROWS

ROUNDS_MAX = 20


async def pending(house) -> int:
    rows = await house.world.store.pending(house.embedder.space, limit=1_000)
    return len(rows)


async def stored_without_vectors(house, count: int) -> None:
    house.embedder.down = True
    stored = await house.remember(*(f"memory {n} of the harbour" for n in range(count)))
    assert {one.embedding for one in stored} == {"pending"}
    house.embedder.down = False
    house.embedder.asked.clear()


async def test_what_was_missed_is_embedded_a_batch_at_a_time(house):
    count = BATCH_ROWS * 2 + 3
    await stored_without_vectors(house, count)
    catch_up = house.catch_up
    steps = [await catch_up.step() for _ in range(4)]
    assert steps == [BATCH_ROWS, BATCH_ROWS, 3, 0]
    assert await pending(house) == 0
    assert len(house.embedder.asked) == count


async def test_a_restart_goes_on_where_it_stopped(house):
    await stored_without_vectors(house, BATCH_ROWS + 5)
    assert await house.catch_up.step() == BATCH_ROWS
    assert await house.catch_up.step() == 5
    assert len(house.embedder.asked) == BATCH_ROWS + 5


async def test_while_the_embedder_is_down_nothing_is_lost(house):
    await stored_without_vectors(house, 3)
    house.embedder.down = True
    catch_up = house.catch_up
    assert await catch_up.step() == 0
    assert await pending(house) == 3
    house.embedder.down = False
    assert await catch_up.step() == 3


async def test_a_refused_text_holds_up_nobody_behind_it(house):
    await stored_without_vectors(house, BATCH_ROWS * 2)
    house.embedder.refused = "memory 1 of"
    catch_up = house.catch_up
    for _ in range(ROUNDS_MAX):
        await catch_up.step()
    assert await pending(house) == 1


async def test_another_space_is_caught_up_without_mixing(house):
    await house.remember("the harbour opens at six", "tea is green")
    house.embedder.space = "another-space"
    assert await pending(house) == 2
    assert await house.catch_up.step() == 2
    page = await house.world.store.pending("test-space")
    assert len(page) == 2


async def test_an_old_step_does_not_overwrite_a_changed_content(house):
    await stored_without_vectors(house, 1)
    [row] = await house.world.store.pending(house.embedder.space)
    vectors = await house.preparing.vectors(row.memory)
    from cortex.memory.ports import Embedded

    stale = Embedded(row.seq, "0" * 64, vectors)
    written = await house.world.store.set_vectors(
        house.namespace, house.embedder.space, [stale]
    )
    assert written == 0
    assert await pending(house) == 1


async def test_what_a_picture_shows_is_embedded_again_without_the_picture(house):
    media = {"labels": [["tabby cat", 0.8], ["lynx", 0.2]]}
    item = NewMemory(
        "Picture: tabby cat.", modality=Modality.IMAGE, metadata={"media": media}
    )
    named = replace(item, modality=Modality.TEXT)
    for one, vectors in ((item, 2), (named, 1)):
        assert len(await house.preparing.vectors(one)) == vectors
    [prepared] = await house.preparing([item])
    text, seen = prepared.vectors
    assert (seen.start, seen.end) == (0, len(item.content))
    cat, lynx = await house.embedder.embed(["tabby cat", "lynx"])
    expected = 0.8 * cat + 0.2 * lynx
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(seen.vector, expected, atol=1e-6)
    again = await house.preparing.vectors(item)
    np.testing.assert_array_equal(again[1].vector, seen.vector)
    np.testing.assert_array_equal(again[0].vector, text.vector)
