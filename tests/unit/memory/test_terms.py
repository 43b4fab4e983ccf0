"""Text analysis: which words are the same term, and who a query names."""

import pytest

from cortex.memory.terms import (
    CACHED_WORDS_MAX,
    QUERY_STOP_WORDS,
    WORD_LENGTH_MAX,
    AuthorDirectory,
    TermAnalyser,
    words,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("don't", ["dont"]),
        ("Ann's dog", ["ann", "dog"]),
        ("Ann\u2019s dog", ["ann", "dog"]),
        ("1,000 euros", ["1000", "euros"]),
        ("version 3.14", ["version", "3.14"]),
        ("user_id", ["user", "id"]),
        ("\uff28\uff45\uff4c\uff4c\uff4f", ["hello"]),
        ("Stra\u00dfe", ["strasse"]),
        ("\u6771\u4eac\u90fd", ["\u6771\u4eac", "\u4eac\u90fd"]),
        ("\u732b", ["\u732b"]),
        ("\u6771\u4eac Tower", ["\u6771\u4eac", "tower"]),
        ("\x00 \t\n !?", []),
        ("", []),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_a_run_without_end_is_cut() -> None:
    assert words("x" * 10_000) == ["x" * WORD_LENGTH_MAX]


def test_forms_of_a_word_are_one_term() -> None:
    analyser = TermAnalyser()
    assert analyser.terms("painted") == analyser.terms("Painting")


def test_terms_are_the_same_on_every_machine() -> None:
    # Stored with every document: these numbers may never change.
    assert TermAnalyser().terms("cats sleep") == [0x9E5E43A8, 0x0F33C2AC]


def test_counts_keep_how_often() -> None:
    analyser = TermAnalyser()
    (term,) = analyser.terms("tea")
    assert analyser.counts("Tea, tea and more tea")[term] == 3


def test_a_query_leaves_out_what_carries_no_subject() -> None:
    analyser = TermAnalyser()
    assert analyser.query_terms("What did Ann paint?") == analyser.terms("Ann paint")


def test_a_query_asks_for_each_term_once() -> None:
    analyser = TermAnalyser()
    assert analyser.query_terms("tea or tea") == analyser.terms("tea")


def test_a_query_of_stop_words_only_asks_for_them() -> None:
    analyser = TermAnalyser()
    assert analyser.query_terms("who are you") == analyser.terms("who are you")


def test_documents_keep_stop_words() -> None:
    assert sum(TermAnalyser().counts("what is this").values()) == 3


def test_stop_words_are_as_words_gives_them() -> None:
    assert all(words(word) == [word] for word in QUERY_STOP_WORDS)


def test_the_memory_of_seen_words_is_bounded() -> None:
    analyser = TermAnalyser()
    first = analyser.terms("w0")
    for start in range(0, CACHED_WORDS_MAX + 10, 1_000):
        analyser.terms(" ".join(f"w{n}" for n in range(start, start + 1_000)))
    assert analyser.terms("w0") == first


def test_another_language_stems_its_own_way() -> None:
    german = TermAnalyser("german")
    assert german.terms("Katzen") == german.terms("Katze")


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(KeyError):
        TermAnalyser("klingon")


@pytest.fixture
def directory() -> AuthorDirectory:
    authors = AuthorDirectory(TermAnalyser())
    authors.add(0, "Ann Lee")
    authors.add(1, "Bob")
    authors.add(2, "user")
    authors.add(3, "Assistant")
    return authors


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What did Ann eat?", {0}),
        ("What is Bob's job?", {1}),
        ("Did Lee meet Bob?", {0, 1}),
        ("the weather in June", set()),
        ("What was my first plan?", {2}),
        ("Have I been to Rome?", {2}),
        ("What did you recommend?", {3}),
        ("Which tool did you suggest to me?", {2, 3}),
        ("Can you list the users?", set()),
        ("the roles of a user", set()),
        ("", set()),
    ],
)
def test_who_a_query_names(
    directory: AuthorDirectory, query: str, expected: set[int]
) -> None:
    assert directory.named_in(query) == expected


def test_one_name_may_be_of_several_authors(directory: AuthorDirectory) -> None:
    directory.add(7, "Bob Stone")
    assert directory.named_in("where is bob") == {1, 7}
