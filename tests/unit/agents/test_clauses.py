from hypothesis import given
from hypothesis import strategies as st

from cortex.agents.clauses import Link, decompose


def parts(goal: str) -> list[str]:
    return [part.text for part in decompose(goal).parts]


def test_words_of_order_put_parts_in_turn() -> None:
    taken = decompose(
        "Migrate the billing database to PostgreSQL 16 and then update the dashboards, "
        "without downtime. Before that, back up everything."
    )
    assert [part.text for part in taken.parts] == [
        "Back up everything",
        "Migrate the billing database to PostgreSQL 16",
        "Update the dashboards",
    ]
    assert [part.link for part in taken.parts[1:]] == [Link.ORDERED, Link.ORDERED]
    assert [part.cue for part in taken.parts[1:]] == ["before that", "then"]
    assert taken.constraints == ("without downtime",)


def test_a_verb_behind_and_begins_a_part() -> None:
    assert parts("Check the totals and tell finance") == [
        "Check the totals",
        "Tell finance",
    ]


def test_verbs_of_a_list_share_their_object() -> None:
    assert parts("Design, implement and test the API") == [
        "Design the API",
        "Implement the API",
        "Test the API",
    ]


def test_before_and_after_turn_parts_round() -> None:
    assert parts("Deploy it to staging before releasing it to customers") == [
        "Deploy it to staging",
        "Release it to customers",
    ]
    assert parts("After reviewing the contract, sign it") == [
        "Review the contract",
        "Sign it",
    ]
    assert parts("Sign the contract after reviewing it") == [
        "Review it",
        "Sign the contract",
    ]


def test_and_between_things_splits_nothing() -> None:
    goal = "Write a post about Rust and Go"
    assert parts(goal) == [goal]


def test_a_time_is_no_part() -> None:
    goal = "Send the report before Friday"
    assert parts(goal) == [goal]


def test_list_items_titles_and_rules_are_told_apart() -> None:
    taken = decompose(
        "Plan a party for Ana: book a room, order a cake.\n"
        "- invite ten friends\n2. send a reminder\nIt must cost less than 200 euros."
    )
    assert [part.text for part in taken.parts] == [
        "Book a room",
        "Order a cake",
        "Invite ten friends",
        "Send a reminder",
    ]
    assert taken.constraints == ("It must cost less than 200 euros",)
    assert taken.background == ("Plan a party for Ana",)


def test_what_goes_on_meanwhile_is_marked() -> None:
    taken = decompose("Train a model. Meanwhile, prepare the evaluation set.")
    assert taken.parts[1].link is Link.ALONGSIDE


def test_a_goal_without_a_verb_is_one_part() -> None:
    assert parts("A REST API for invoices") == ["A REST API for invoices"]


@given(st.text(max_size=400))
def test_any_text_is_taken_apart_without_adding_to_it(goal: str) -> None:
    taken = decompose(goal)
    says_nothing = all(one.isspace() or one in ".!?:;" for one in goal)
    assert bool(taken.parts) or says_nothing
    for part in taken.parts:
        assert part.text
