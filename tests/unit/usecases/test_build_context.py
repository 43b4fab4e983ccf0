import pytest

from cortex.foundation.errors import PayloadTooLarge, ValidationError
from cortex.foundation.limits import QUERY_CHARACTERS_MAX
from cortex.memory.model import NewMemory
from cortex.usecases.model import ContextRequest, ContextStrategy, NewSession

MODELS = ("gpt-4o", "gpt-3.5-turbo", "llama-3.1-8b", "claude-sonnet-4", "who-knows", "")
BUDGETS = (1, 5, 17, 40, 90, 200, 450, 1_000, 4_000)
FACTS = (
    "The harbour master opens the gate at six.",
    "Anna drinks green tea — never coffee — before the harbour opens. 🍵",
    "The gate of the harbour was painted blue in spring. " * 6,
    "数が多い: the harbour has 14 piers and 3 cranes.",
    "Bob keeps the key of the harbour gate in his red coat.",
)


async def filled(house) -> None:
    items = [
        NewMemory(text, author=("Ann", "", "Bob")[n % 3], occurred_at=1.7e9 + n * 1e5)
        for n, text in enumerate(FACTS)
    ]
    await house.remember(*items)
    await house.conversations.create(house.namespace, NewSession(id="talk"))
    said = [
        NewMemory(
            f"Turn {n}: we spoke about pier {n} of the harbour and its {n * 7} ropes.",
            author=("user", "assistant")[n % 2],
            occurred_at=1.7e9 + n,
        )
        for n in range(30)
    ]
    call = house_call()
    await house.conversations.append(house.namespace, "talk", said, call)


def house_call():
    from cortex.usecases.model import CallContext

    return CallContext("usecases", "tester")


async def build(house, **fields):
    asked = {
        "query": "who opens the harbour gate",
        "session_id": "talk",
        "model": "gpt-4o",
        "max_tokens": 400,
    }
    request = ContextRequest(**(asked | fields))
    return await house.build_context(house.namespace, request, house_call())


@pytest.mark.parametrize("strategy", ContextStrategy)
@pytest.mark.parametrize("model", MODELS)
async def test_never_over_the_budget_and_counted_exactly(house, model, strategy):
    await filled(house)
    count = house.counters.for_model(model).count
    for budget in BUDGETS:
        built = await build(house, model=model, max_tokens=budget, strategy=strategy)
        assert built.budget == budget
        assert built.total_tokens == (count(built.text) if built.text else 0)
        assert built.total_tokens <= budget
    assert built.included
    assert built.token_exact is house.counters.for_model(model).exact


@pytest.mark.parametrize("strategy", ContextStrategy)
async def test_a_larger_budget_only_adds(house, strategy):
    await filled(house)
    before: set[str] = set()
    for budget in range(10, 1_500, 35):
        built = await build(house, max_tokens=budget, strategy=strategy)
        included = {one.id for one in built.included}
        assert before <= included, budget
        before = included
    assert len(before) >= len(FACTS)


async def test_nothing_is_in_and_out_at_once_and_nothing_is_forgotten(house):
    await filled(house)
    for budget in BUDGETS:
        built = await build(house, max_tokens=budget)
        included = {one.id for one in built.included}
        dropped = [one.id for one in built.dropped]
        assert not included & set(dropped)
        assert len(dropped) == len(set(dropped))
        assert all(one.reason for one in built.dropped)
    assert len(included | set(dropped)) == len(FACTS) + 30


async def test_reserved_tokens_are_kept_free(house):
    await filled(house)
    built = await build(house, max_tokens=400, reserve_tokens=300)
    assert built.budget == 100
    assert built.total_tokens <= 100
    with pytest.raises(ValidationError, match="reserve_tokens"):
        await build(house, max_tokens=300, reserve_tokens=300)


async def test_the_window_holds_the_end_of_the_talk_in_order(house):
    await filled(house)
    built = await build(house, strategy=ContextStrategy.WINDOW, max_tokens=200)
    messages = [block for block in built.blocks if block.kind == "message"]
    assert messages[-1].content.startswith("Turn 29:")
    numbers = [int(block.content.split()[1].rstrip(":")) for block in messages]
    assert numbers == list(range(numbers[0], 30))
    assert [block.role for block in messages][-2:] == ["user", "assistant"]
    assert not any(block.kind == "memory" for block in built.blocks)
    out = {one.id for one in built.dropped if one.reason == "window"}
    assert len(out) == 30 - len(messages)
    if built.summary:
        assert built.summary in built.text


async def test_recall_alone_takes_no_window(house):
    await filled(house)
    built = await build(house, strategy=ContextStrategy.RECALL)
    assert {block.kind for block in built.blocks} == {"memory"}


async def test_a_message_in_the_window_is_not_told_twice(house):
    await filled(house)
    built = await build(house, max_tokens=4_000)
    assert built.text.count("we spoke about pier 29 ") == 1
    ids = [one.id for one in built.included]
    assert len(ids) == len(set(ids))


async def test_without_a_query_the_last_message_is_the_question(house):
    await filled(house)
    built = await build(house, query=None, max_tokens=600)
    assert {block.kind for block in built.blocks} >= {"memory", "message"}
    built = await build(house, query=None, session_id="no such talk")
    assert built.text == ""
    assert built.total_tokens == 0


async def test_without_the_embedder_words_do_and_it_says_so(house):
    await filled(house)
    house.embedder.down = True
    built = await build(house, session_id=None)
    assert built.degraded == ("dense",)
    assert FACTS[0] in built.text


async def test_a_question_nothing_answers_is_marked(house):
    await filled(house)
    built = await build(house, query="quantum chromodynamics lattice", session_id=None)
    assert built.low_confidence
    house_empty = await build(house, query="x", session_id=None, max_tokens=10)
    assert house_empty.total_tokens <= 10


async def test_an_empty_namespace_gives_an_empty_context(house):
    built = await build(house)
    assert (built.text, built.total_tokens, built.blocks) == ("", 0, ())
    assert built.low_confidence


async def test_bad_requests_are_refused(house):
    with pytest.raises(ValidationError, match="query"):
        await build(house, query=None, session_id=None)
    with pytest.raises(ValidationError, match="empty"):
        await build(house, query="  ")
    with pytest.raises(PayloadTooLarge):
        await build(house, query="x" * (QUERY_CHARACTERS_MAX + 1))


async def test_what_was_packed_is_announced_without_content(house):
    await filled(house)
    built = await build(house, max_tokens=60)
    [packed, overflow] = house.told
    assert packed[0] == "context.packed"
    assert packed[1]["total_tokens"] == built.total_tokens
    assert packed[1]["ids"] == [one.id for one in built.included]
    assert overflow[0] == "context.overflow"
    assert "harbour" not in repr(house.told)
