"""The sliding window: the end of a conversation verbatim, the rest in summary."""

import pytest

from cortex.memory.compression import EMPTY_SUMMARY, Message
from cortex.memory.terms import TermAnalyser
from cortex.memory.window import slide

TALK = [
    Message(str(n), "Ann", f"Fact{n}: boat{n % 3} left harbour{n % 2} at noon.")
    for n in range(20)
]


def words(text: str) -> int:
    return len(text.split())


@pytest.fixture
def analyser() -> TermAnalyser:
    return TermAnalyser()


def test_a_conversation_that_fits_is_whole(analyser: TermAnalyser) -> None:
    window = slide(TALK, 1_000, words, analyser)
    assert window.kept == tuple(TALK)
    assert (window.summary, window.summarised) == (EMPTY_SUMMARY, ())
    assert window.text == "\n".join(message.rendered for message in TALK)


def test_the_last_messages_are_kept_word_for_word(analyser: TermAnalyser) -> None:
    window = slide(TALK, 60, words, analyser)
    assert window.kept == tuple(TALK[-len(window.kept) :])
    assert 0 < len(window.kept) < len(TALK)
    assert window.text.endswith(TALK[-1].rendered)


def test_what_fell_out_is_summarised_first(analyser: TermAnalyser) -> None:
    window = slide(TALK, 60, words, analyser)
    assert window.summary.quotes
    assert window.text.startswith(window.summary.text)
    assert [*window.summarised, *(kept.id for kept in window.kept)] == [
        message.id for message in TALK
    ]


@pytest.mark.parametrize("budget", range(0, 160, 7))
def test_never_over_the_budget(analyser: TermAnalyser, budget: int) -> None:
    window = slide(TALK, budget, words, analyser)
    assert window.total_tokens == words(window.text) <= budget


def test_a_last_message_that_does_not_fit_is_summarised(
    analyser: TermAnalyser,
) -> None:
    long = Message("x", "Bob", "The old boat sank in the harbour. " + "w " * 90)
    window = slide([long], 12, words, analyser)
    assert window.kept == ()
    assert window.text == "Bob: The old boat sank in the harbour."


def test_nothing_said(analyser: TermAnalyser) -> None:
    assert slide([], 10, words, analyser).text == ""


def test_messages_go_when_parts_do_not_add_up(analyser: TermAnalyser) -> None:
    def superadditive(text: str) -> int:
        return words(text) + 3 * text.rstrip("\n").count("\n")

    window = slide(TALK, 60, superadditive, analyser)
    assert superadditive(window.text) == window.total_tokens <= 60


def test_a_negative_budget_is_refused(analyser: TermAnalyser) -> None:
    with pytest.raises(ValueError, match="budget"):
        slide([], -1, words, analyser)
