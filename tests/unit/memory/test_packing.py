"""Packing: an exact budget, the worthiest first, and a reason for what is missing."""

import pytest

from cortex.memory.chunking import Span
from cortex.memory.packing import (
    DroppedItem,
    DropReason,
    PackItem,
    decayed_priority,
    optimize,
    pack,
)


def words(text: str) -> int:
    return len(text.split())


def test_everything_fits() -> None:
    found = pack(
        [PackItem("a", "one two", 1.0), PackItem("b", "three", 2.0)], 10, words
    )
    assert found.text == "one two\nthree"
    assert (found.total_tokens, found.dropped) == (3, ())
    assert found.budget_used_percent == 30


def test_the_worthiest_stay() -> None:
    items = [PackItem("low", "one two", 1.0), PackItem("high", "three four", 2.0)]
    found = pack(items, 2, words)
    assert found.text == "three four"
    assert found.dropped == (DroppedItem("low", DropReason.BUDGET),)


def test_the_text_is_in_order_of_position_not_of_worth() -> None:
    items = [
        PackItem("b", "later", 9.0, position=2),
        PackItem("a", "earlier", 1.0, position=1),
    ]
    assert pack(items, 10, words).text == "earlier\nlater"


def test_labels_and_headings() -> None:
    items = [
        PackItem("a", "hi", 1.0, label="Ann: ", heading="8 May", position=1),
        PackItem("b", "yo", 1.0, label="Bob: ", heading="8 May", position=2),
        PackItem("c", "ok", 1.0, label="Ann: ", heading="9 May", position=3),
    ]
    assert pack(items, 20, words).text == "8 May\nAnn: hi\nBob: yo\n\n9 May\nAnn: ok"


def test_a_heading_stands_once() -> None:
    items = [
        PackItem("a", "x", 1.0, heading="A", position=1),
        PackItem("b", "y", 1.0, heading="B", position=2),
        PackItem("c", "z", 1.0, heading="A", position=3),
    ]
    assert pack(items, 20, words).text == "A\nx\nz\n\nB\ny"


def test_headings_count() -> None:
    items = [PackItem("a", "hi", 1.0, heading="8 May")]
    assert pack(items, 2, words).items == ()
    assert pack(items, 3, words).total_tokens == 3


def test_a_long_item_shows_its_best_excerpt_and_does_not_starve_the_rest() -> None:
    page = "filler " * 60 + "the answer is forty-two. " + "filler " * 60
    start = page.index("the answer")
    items = [
        PackItem("long", page, 2.0, excerpts=(Span(start, start + 24),)),
        PackItem("short", "also relevant", 1.8),
    ]
    found = pack(items, 12, words)
    assert [item.id for item in found.items] == ["long", "short"]
    assert found.items[0].text == "\u2026 the answer is forty-two. \u2026"
    assert [item.partial for item in found.items] == [True, False]


def test_a_long_item_is_whole_when_there_is_room() -> None:
    page = "A first part. A second part. A third part."
    item = PackItem("p", page, 1.0, excerpts=(Span(14, 28), Span(0, 13)))
    found = pack([item], 50, words)
    assert found.text == page
    assert not found.items[0].partial


def test_the_rest_is_filled_with_sentences_of_the_next() -> None:
    items = [
        PackItem("a", "one two three", 2.0),
        PackItem("b", "four five. six seven. eight nine.", 1.0),
    ]
    found = pack(items, 8, words)
    assert found.text == "one two three\nfour five. six seven. \u2026"
    assert found.total_tokens == 8


def test_the_same_text_is_taken_once() -> None:
    items = [PackItem("a", "tea", 1.0), PackItem("b", "tea", 2.0)]
    found = pack(items, 10, words)
    assert [item.id for item in found.items] == ["b"]
    assert found.dropped == (DroppedItem("a", DropReason.DUPLICATE),)


def test_an_empty_item_is_dropped_as_such() -> None:
    assert pack([PackItem("a", " \n", 1.0)], 10, words).dropped == (
        DroppedItem("a", DropReason.EMPTY),
    )


def test_no_budget_no_text() -> None:
    found = pack([PackItem("a", "tea", 1.0)], 0, words)
    assert (found.text, found.total_tokens, found.budget_used_percent) == ("", 0, 0)


def test_excerpts_outside_the_text_are_ignored() -> None:
    wrong = (Span(-1, 2), Span(2, 99), Span(1, 1), Span(0, 3), Span(1, 2))
    found = pack([PackItem("a", "tea time", 1.0, excerpts=wrong)], 10, words)
    assert found.text == "tea time"


def test_steps_are_taken_back_when_parts_do_not_add_up() -> None:
    def superadditive(text: str) -> int:
        return words(text) + 5 * text.count("\n") * (not text.endswith("\n"))

    items = [PackItem(str(n), f"word{n}", 9.0 - n) for n in range(5)]
    found = pack(items, 8, superadditive)
    assert found.total_tokens == superadditive(found.text) <= 8
    assert [item.id for item in found.items] == ["0", "1"]


def test_counting_is_rare() -> None:
    calls = 0

    def counting(text: str) -> int:
        nonlocal calls
        calls += 1
        return words(text)

    items = [PackItem(str(n), f"word {n}", 1.0 / (n + 1)) for n in range(500)]
    assert len(pack(items, 100, counting).items) == 50
    assert calls < 60


@pytest.mark.parametrize("call", [pack, optimize])
def test_what_is_refused(call: type) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        call([], -1, words)
    with pytest.raises(ValueError, match="same id"):
        call([PackItem("a", "x", 1.0), PackItem("a", "y", 1.0)], 5, words)


def test_optimize_weighs_priority_against_length() -> None:
    items = [
        PackItem("long", "w " * 90, 2.0, category="doc"),
        PackItem("short", "s s", 1.0, category="chat"),
        PackItem("urgent", "u " * 50, 9.0, category="rule"),
    ]
    found = optimize(items, 60, words, reserve_tokens=5)
    assert {item.id for item in found.items} == {"urgent", "short"}
    assert {item.category for item in found.items} == {"rule", "chat"}
    assert found.total_tokens == 52
    assert found.budget_tokens == 55


def test_optimize_with_nothing_left_after_the_reserve() -> None:
    found = optimize([PackItem("a", "x", 1.0)], 5, words, reserve_tokens=9)
    assert (found.budget_tokens, found.items) == (0, ())


def test_optimize_refuses_a_negative_reserve() -> None:
    with pytest.raises(ValueError, match="reserve_tokens"):
        optimize([], 5, words, reserve_tokens=-1)


def test_a_priority_halves_with_its_half_life() -> None:
    assert decayed_priority(8.0, 20.0, half_life_seconds=10.0) == 2.0
    assert decayed_priority(8.0, -5.0) == 8.0


def test_a_half_life_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="half_life_seconds"):
        decayed_priority(1.0, 1.0, half_life_seconds=0.0)
