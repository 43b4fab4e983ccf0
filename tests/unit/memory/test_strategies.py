import pytest

from cortex.memory.chunking import Span
from cortex.memory.packing import Cut, PackItem, optimize, pack
from cortex.memory.strategies import Compression, cut_of, shortened

SAID = "The harbour launch moved to Friday at nine."
LONG = " ".join(f"word{n}" for n in range(200))


def words(text: str) -> int:
    return len(text.split())


def test_the_worthiest_keeps_what_others_say_too():
    items = [
        PackItem("low", f"Hello there! {SAID} Bring ropes.", 0.1),
        PackItem("high", SAID, 0.9),
        PackItem("same", SAID, 0.5),
    ]
    low, high, same = shortened(items, Compression.DEDUPLICATE)
    assert low.item.text == "Hello there! Bring ropes."
    assert (low.used, low.lossy) == (Compression.DEDUPLICATE, False)
    assert (high.item, high.used) == (items[1], Compression.NONE)
    assert same.item.text == ""


def test_excerpts_move_with_the_text():
    text = f"Hello there! {SAID} Bring ropes and some of the green paint."
    at = text.index("Bring")
    item = PackItem("a", text, 0.1, excerpts=(Span(at, at + 11), Span(13, 20)))
    found, _ = shortened([item, PackItem("b", SAID, 1.0)], Compression.DEDUPLICATE)
    assert [one.of(found.item.text) for one in found.item.excerpts] == ["Bring ropes"]


def test_structure_names_only_what_it_changed():
    items = [PackItem("a", '{ "a": 1 }', 1), PackItem("b", "Plain words.", 1)]
    slim, plain = shortened(items, Compression.STRUCTURE)
    assert (slim.item.text, slim.used, slim.lossy) == (
        '{"a":1}', Compression.STRUCTURE, False
    )  # fmt: skip
    assert plain.used is Compression.NONE
    assert slim.packed(Compression.STRUCTURE, partial=True).lossy
    cut = plain.packed(Compression.STRUCTURE, partial=True)
    assert (cut.used, cut.lossy) == (Compression.EXTRACTIVE, True)


@pytest.mark.parametrize("call", [pack, optimize])
def test_truncate_keeps_head_and_tail(call):
    found = call([PackItem("a", LONG, 1)], 40, words, cut=Cut.ENDS)
    (item,) = found.items
    assert item.partial
    assert found.total_tokens <= 40
    head, tail = item.text.split(" … ")
    assert LONG.startswith(head)
    assert LONG.endswith(tail)
    assert words(head) > words(tail) > 8


@pytest.mark.parametrize("call", [pack, optimize])
def test_none_takes_whole_items_only(call):
    items = [PackItem("a", LONG, 1), PackItem("b", "Two words.", 2)]
    found = call(items, 199, words, cut=cut_of(Compression.NONE))
    assert [one.id for one in found.items] == ["b"]
