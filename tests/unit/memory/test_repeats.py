import pytest

from cortex.memory.repeats import repeats

SAID = "The harbour launch moved to Friday at nine."


def repeated(*texts: str, speakers: tuple[str, ...] = ()) -> list[list[str]]:
    speakers = speakers or ("",) * len(texts)
    found = repeats(list(zip(speakers, texts, strict=True)))
    return [
        [one.span.of(text) for one in some]
        for text, some in zip(texts, found, strict=True)
    ]


@pytest.mark.parametrize(
    ("again", "verbatim"),
    [
        (SAID, True),
        ("the harbour launch moved to Friday at nine", False),
        ("Well, the harbour launch also just moved to Friday at nine.", False),
    ],
)
def test_what_says_the_same_repeats(again, verbatim):
    found = repeats([("", SAID), ("", again)])
    assert [[one.verbatim for one in some] for some in found] == [[], [verbatim]]


@pytest.mark.parametrize(
    "other",
    [
        "The harbour launch moved to Monday at nine.",
        "The harbour launch moved to Friday at ten.",
        "The harbour launch never moved to Friday at nine.",
        "Friday at nine the launch moved to harbour.",
        "Launch moved.",
    ],
)
def test_what_says_anything_else_stays(other):
    assert repeated(SAID, other) == [[], []]


def test_a_sentence_without_the_others_not_is_no_repeat():
    said = "We do not sell any of the old boats here in the harbour by the sea."
    assert repeated(said, said.replace(" not", "")) == [[], []]


def test_a_part_of_what_was_said_in_its_order_repeats():
    said = "Bob keeps the small key of the harbour gate in his long red winter coat."
    later = "Bob keeps the small key of the harbour gate in his long red winter."
    assert repeated(said, later) == [[], [later]]


def test_short_answers_and_other_speakers_words_stay():
    assert repeated("Yes, both of us.", "Yes, both.", "Yes, both.") == [[], [], []]
    assert repeated(SAID, SAID, speakers=("Ann: ", "Bob: ")) == [[], []]
