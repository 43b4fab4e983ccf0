"""Packing, whatever the items, the budget and the tokenizer."""

from hypothesis import given
from hypothesis import strategies as st

from cortex.memory.chunking import Span
from cortex.memory.packing import PackItem, optimize, pack
from cortex.memory.strategies import Compression, cut_of, shortened

SPANS = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(
    lambda ends: Span(min(ends), max(ends))
)
TEXTS = st.text("ab .\n\u2026\u732b", max_size=60)


@st.composite
def many_items(draw: st.DrawFn) -> list[PackItem]:
    return [
        PackItem(
            str(number),
            draw(TEXTS),
            draw(st.floats(-1, 5)),
            label=draw(st.sampled_from(["", "Ann: ", "Bob: "])),
            heading=draw(st.sampled_from(["", "8 May", "9 May"])),
            position=draw(st.integers(0, 5)),
            excerpts=tuple(draw(st.lists(SPANS, max_size=4))),
        )
        for number in range(draw(st.integers(0, 8)))
    ]


def merging(text: str) -> int:
    """A tokenizer that joins what stands together, as byte pair encoding does."""
    pairs = text.count("ab") + text.count("..") + text.count("\n\n")
    return len(text.encode()) - pairs


def jumpy(text: str) -> int:
    """A hostile tokenizer: the parts tell little of the whole."""
    return len(text) + 7 * (len(text) % 3) + 5 * text.rstrip("\n").count("\n")


COUNTERS = st.sampled_from([len, merging, jumpy, lambda text: len(text.split())])


@given(many_items(), st.integers(0, 300), COUNTERS)
def test_never_over_by_a_token_of_the_rendered_text(items, budget, count) -> None:
    for found in (pack(items, budget, count), optimize(items, budget, count)):
        assert found.total_tokens == (count(found.text) if found.text else 0)
        assert found.total_tokens <= budget


@given(many_items(), st.integers(0, 300), st.integers(0, 60), COUNTERS)
def test_a_larger_budget_holds_what_a_smaller_one_held(
    items, budget, more, count
) -> None:
    for call in (pack, optimize):
        less = call(items, budget, count)
        larger = call(items, budget + more, count)
        assert {item.id for item in less.items} <= {item.id for item in larger.items}
        whole = {item.id for item in less.items if not item.partial}
        assert whole <= {item.id for item in larger.items if not item.partial}


@given(many_items(), st.integers(0, 300), COUNTERS)
def test_every_item_is_in_or_out_with_a_reason(items, budget, count) -> None:
    for found in (pack(items, budget, count), optimize(items, budget, count)):
        told = [item.id for item in found.items] + [item.id for item in found.dropped]
        assert sorted(told) == sorted(item.id for item in items)


@given(many_items(), st.integers(0, 300), COUNTERS)
def test_what_is_in_stands_in_the_text(items, budget, count) -> None:
    found = pack(items, budget, count)
    labels = {item.id: item.label for item in items}
    assert all(labels[item.id] + item.text in found.text for item in found.items)


@given(many_items(), COUNTERS)
def test_with_room_for_all_everything_is_whole(items, count) -> None:
    texts = {item.id: item.text.strip() for item in items}
    for item in pack(items, 10**6, count).items:
        assert item.text == texts[item.id]
        assert not item.partial


@given(many_items(), st.integers(0, 300), COUNTERS)
def test_the_same_question_has_the_same_answer(items, budget, count) -> None:
    assert pack(items, budget, count) == pack(items, budget, count)


SENTENCES = st.lists(
    st.sampled_from(
        ["Ann keeps the red key. ", "Ann also keeps the red key. ", '{ "a": [1, 2] }',
         "tick\n", "\n", "Bob sold one of the 12 boats. ", "Yes. ", "def f():\n",
         "    return 1  # one\n", "ab" * 9]
    ),
    max_size=8,
).map("".join)  # fmt: skip


@st.composite
def said_items(draw: st.DrawFn) -> list[PackItem]:
    return [
        PackItem(
            str(number),
            draw(SENTENCES),
            draw(st.floats(0, 5)),
            label=draw(st.sampled_from(["", "Ann: "])),
            excerpts=tuple(draw(st.lists(SPANS, max_size=3))),
        )
        for number in range(draw(st.integers(0, 6)))
    ]


@given(
    said_items(), st.sampled_from(Compression), st.integers(0, 300), st.integers(0, 80)
)
def test_every_strategy_keeps_within_and_only_adds(items, how, budget, more) -> None:
    made = [one.item for one in shortened(items, how)]
    assert [one.id for one in made] == [one.id for one in items]
    assert made == [one.item for one in shortened(items, how)]
    for call in (pack, optimize):
        for count in (len, merging):
            less = call(made, budget, count, cut=cut_of(how))
            larger = call(made, budget + more, count, cut=cut_of(how))
            assert less.total_tokens <= budget
            present = {item.id for item in larger.items}
            assert {item.id for item in less.items} <= present
            whole = {item.id for item in less.items if not item.partial}
            assert whole <= {item.id for item in larger.items if not item.partial}
            if how is Compression.NONE:
                assert not any(item.partial for item in larger.items)
