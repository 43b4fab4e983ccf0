"""Summaries made of what was said, in a budget."""

import pytest

from cortex.memory.chunking import Span
from cortex.memory.compression import (
    EMPTY_SUMMARY,
    SENTENCES_MAX,
    Message,
    summarise,
)
from cortex.memory.terms import TermAnalyser

TALK = [
    Message("1", "Ann", "Hi! How are you?"),
    Message("2", "Bob", "I bought a wooden sailing boat last week. Nice weather."),
    Message("3", "Ann", "A wooden sailing boat needs varnish every year, you know."),
    Message("4", "Bob", "The sailing boat lies in the old harbour of Kiel. Bye!"),
    Message("5", "Ann", "My neighbour grows purple orchids behind her garage."),
]


def words(text: str) -> int:
    return len(text.split())


@pytest.fixture
def analyser() -> TermAnalyser:
    return TermAnalyser()


def test_what_is_central_comes_before_what_is_said_aside(
    analyser: TermAnalyser,
) -> None:
    text = summarise(TALK, 24, words, analyser).text
    assert "boat" in text
    assert "orchids" not in text


def test_sentences_keep_order_and_author(analyser: TermAnalyser) -> None:
    lines = summarise(TALK, 100, words, analyser).text.split("\n")
    assert [line.split(":")[0] for line in lines] == ["Bob", "Ann", "Bob", "Ann"]


def test_every_sentence_was_said(analyser: TermAnalyser) -> None:
    by_id = {message.id: message for message in TALK}
    found = summarise(TALK, 100, words, analyser)
    for quote in found.quotes:
        assert quote.span.of(by_id[quote.message_id].text) in found.text


def test_small_talk_is_left_out(analyser: TermAnalyser) -> None:
    text = summarise(TALK, 100, words, analyser).text
    assert "Hi!" not in text
    assert "Bye!" not in text


@pytest.mark.parametrize("budget", range(40))
def test_never_over_the_budget_and_never_losing_a_sentence(
    analyser: TermAnalyser, budget: int
) -> None:
    less = summarise(TALK, budget, words, analyser)
    more = summarise(TALK, budget + 1, words, analyser)
    assert less.total_tokens == words(less.text) <= budget
    assert set(less.quotes) <= set(more.quotes)


def test_a_repetition_is_said_once(analyser: TermAnalyser) -> None:
    said = "The wooden boat lies in the harbour."
    talk = [Message(str(n), "Ann", said) for n in range(3)]
    assert summarise(talk, 100, words, analyser).quotes[0].span == Span(0, len(said))
    assert len(summarise(talk, 100, words, analyser).quotes) == 1


@pytest.mark.parametrize("talk", [[], [Message("1", "", "Hi!")]])
def test_nothing_to_say(analyser: TermAnalyser, talk: list[Message]) -> None:
    assert summarise(talk, 100, words, analyser) == EMPTY_SUMMARY


def test_a_nameless_message_has_no_label(analyser: TermAnalyser) -> None:
    talk = [Message("1", "", "The wooden boat lies in the harbour.")]
    assert summarise(talk, 100, words, analyser).text == talk[0].text


def test_a_very_long_conversation_is_bounded(analyser: TermAnalyser) -> None:
    talk = [
        Message(str(n), "", f"Item{n} weighs kilo{n} in box{n % 7} of shelf{n % 11}.")
        for n in range(2 * SENTENCES_MAX)
    ]
    assert len(summarise(talk, 10**6, words, analyser).quotes) <= SENTENCES_MAX


def test_steps_back_when_parts_do_not_add_up(analyser: TermAnalyser) -> None:
    def superadditive(text: str) -> int:
        return words(text) + 9 * text.rstrip("\n").count("\n")

    found = summarise(TALK, 20, superadditive, analyser)
    assert superadditive(found.text) == found.total_tokens <= 20


def test_a_negative_budget_is_refused(analyser: TermAnalyser) -> None:
    with pytest.raises(ValueError, match="budget"):
        summarise(TALK, -1, words, analyser)
