"""Chunking: whole sentences, within a limit, nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.memory.chunking import Span, chunks, estimate_tokens, sentences


def count_words(text: str) -> int:
    return len(text.split())


def texts(text: str, spans: list[Span]) -> list[str]:
    return [span.of(text) for span in spans]


def test_sentences_and_lines() -> None:
    text = "One. Two! Three?\n- a list\n\n- of lines  "
    assert texts(text, sentences(text)) == [
        "One.",
        "Two!",
        "Three?",
        "- a list",
        "- of lines",
    ]


def test_a_full_stop_inside_a_number_ends_nothing() -> None:
    assert len(sentences("It costs 3.50 euros.")) == 1


def test_sentences_without_spaces_between() -> None:
    text = "\u732b\u3002\u72ac\u3002"
    assert texts(text, sentences(text)) == ["\u732b\u3002", "\u72ac\u3002"]


def test_a_short_text_is_one_chunk() -> None:
    assert chunks("  A short text. ") == [Span(2, 15)]


@pytest.mark.parametrize("text", ["", "   \n\t "])
def test_an_empty_text_has_no_chunk(text: str) -> None:
    assert chunks(text) == []


def test_sentences_share_a_chunk_while_they_fit() -> None:
    text = "a b. c d. e f. g h."
    assert texts(text, chunks(text, count_words, tokens_max=4)) == [
        "a b. c d.",
        "e f. g h.",
    ]


def test_a_sentence_above_the_limit_is_cut_between_words() -> None:
    text = "one two three four five six"
    parts = texts(text, chunks(text, count_words, tokens_max=4))
    assert " ".join(parts) == text
    assert all(count_words(part) <= 4 for part in parts)


def test_a_word_above_the_limit_is_cut_between_characters() -> None:
    parts = texts("x" * 100, chunks("x" * 100, len, tokens_max=30))
    assert "".join(parts) == "x" * 100
    assert all(len(part) <= 30 for part in parts)


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="tokens_max"):
        chunks("a", tokens_max=0)


def test_the_estimate_is_never_zero() -> None:
    assert estimate_tokens("") == 1


@given(st.text(max_size=400), st.integers(1, 40))
def test_chunks_are_ordered_and_hold_every_visible_character(
    text: str, limit: int
) -> None:
    found = chunks(text, len, tokens_max=limit)
    end = 0
    for span in found:
        assert not text[end : span.start].strip()
        assert end <= span.start < span.end
        end = span.end
    assert not text[end:].strip()
