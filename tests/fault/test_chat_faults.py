"""Language models over services that are slow, busy, broken or cut off."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import stamina

from cortex.foundation.breaker import Breaker, BreakerPolicy, Phase
from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import Overloaded
from cortex.foundation.retry import RetryPolicy
from cortex.inference.backends.anthropic_chat import AnthropicChat
from cortex.inference.backends.chat import ChatOptions
from cortex.inference.backends.openai_chat import OpenAiChat
from cortex.inference.errors import (
    AnswerUnfit,
    GenerationFailed,
    GenerationRefused,
    GenerationTimedOut,
    GenerationUnavailable,
)
from cortex.inference.generation import Generation, GenerationOptions
from cortex.inference.language import Ask, ChatMessage, ModelCall, Role
from cortex.inference.schema import Unfit
from cortex.testing.chat import ChatServer, Fault, chat_server

KEY = "sk-very-secret"
QUICK = RetryPolicy(wait_initial_seconds=0, wait_max_seconds=0.05, jitter_seconds=0)
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1}},
    "required": ["n"],
    "additionalProperties": False,
}
HELLO = Ask((ChatMessage(Role.SYSTEM, "be brief"), ChatMessage(Role.USER, "hello")))
NUMBER = Ask(HELLO.messages, schema=SCHEMA)

Make = Callable[..., Generation]


@pytest.fixture
def server() -> Iterator[ChatServer]:
    hooks = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([])
    with chat_server() as running:
        yield running
    stamina.instrumentation.set_on_retry_hooks(hooks)


@pytest.fixture(params=["openai", "anthropic"])
async def make(
    request: pytest.FixtureRequest, server: ChatServer
) -> AsyncIterator[Make]:
    made: list[Generation] = []

    def build(url: str = "", **options: object) -> Generation:
        kind = OpenAiChat if request.param == "openai" else AnthropicChat
        chat = ChatOptions("tiny", url or server.url, KEY, idle_timeout_seconds=0.4)
        clock = SystemClock()
        told = {"deadline_seconds": 5.0, "retries": QUICK, **options}
        policy = BreakerPolicy(failures_in_a_row=20)
        generation = Generation(
            kind(chat),
            breaker=Breaker(clock, told.pop("policy", policy)),  # type: ignore[arg-type]
            clock=clock,
            count_tokens=lambda text: len(text.split()),
            options=GenerationOptions(**told),  # type: ignore[arg-type]
        )
        made.append(generation)
        return generation

    yield build
    for generation in made:
        await generation.close()


async def test_a_stream_is_one_answer_with_its_tokens(
    server: ChatServer, make: Make
) -> None:
    server.answers.append("three little words")
    calls: list[ModelCall] = []
    made = await make().complete(HELLO, calls.append)
    assert made.text == "three little words"
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (7, 3)
    assert made.exact
    [call] = calls
    assert (call.outcome, call.attempts, call.text) == ("ok", 1, made.text)
    assert call.seconds > 0
    _, headers, body = server.requests[0]
    assert body["stream"] is True
    assert KEY in headers.get("authorization", "") + headers.get("x-api-key", "")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500, body=b"{}"),
        Fault(503, body=b"{}"),
        Fault(429, {"Retry-After": "0"}, b"{}"),
        Fault(cut_after=2),
        Fault(garbage=True),
        Fault(cut_after=0),
        Fault(body=b'{"error": {"message": "overloaded"}}'),
        Fault(body=b"[1, 2]"),
        Fault(body=b"<html>"),
    ],
    ids=str,
)
async def test_what_is_safe_is_asked_again(
    server: ChatServer, make: Make, fault: Fault
) -> None:
    server.faults.append(fault)
    server.answers.extend(["a b c", "a b c"])
    calls: list[ModelCall] = []
    assert (await make().complete(HELLO, calls.append)).text == "a b c"
    assert calls[0].attempts == 2


async def test_a_long_wait_is_told_and_not_waited(
    server: ChatServer, make: Make
) -> None:
    server.faults.append(Fault(429, {"Retry-After": "30"}, b"{}"))
    with pytest.raises(GenerationFailed) as failed:
        await make().complete(HELLO)
    assert failed.value.retry_after_seconds == 30
    assert len(server.requests) == 1


async def test_silence_is_not_asked_again(server: ChatServer, make: Make) -> None:
    server.faults.append(Fault(silent_seconds=1.0))
    calls: list[ModelCall] = []
    with pytest.raises(GenerationTimedOut):
        await make().complete(HELLO, calls.append)
    assert len(server.requests) == 1
    assert calls[0].outcome == "GENERATION_ERROR"


async def test_the_deadline_holds_over_all(server: ChatServer, make: Make) -> None:
    server.faults.append(Fault(silent_seconds=1.0))
    with pytest.raises(GenerationTimedOut, match=r"0\.1 s"):
        await make(deadline_seconds=0.1).complete(HELLO)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refusal_is_final_and_quotes_no_key(
    server: ChatServer, make: Make, status: int
) -> None:
    server.faults.append(Fault(status, body=f'{{"error": "{KEY}"}}'.encode()))
    with pytest.raises(GenerationRefused) as refused:
        await make().complete(HELLO)
    assert len(server.requests) == 1
    assert KEY not in f"{refused.value} {refused.value.data} {make()!r}"


async def test_nobody_there_is_a_failure(make: Make) -> None:
    with pytest.raises(GenerationFailed, match="did not answer"):
        await make("http://127.0.0.1:9/v1").complete(HELLO)


async def test_a_dead_service_is_left_alone(server: ChatServer, make: Make) -> None:
    server.faults.extend([Fault(500, body=b"{}")] * 3)
    generation = make(policy=BreakerPolicy(failures_in_a_row=3))
    with pytest.raises(GenerationFailed):
        await generation.complete(HELLO)
    assert generation.breaker.state.phase is Phase.OPEN
    with pytest.raises(GenerationUnavailable) as refused:
        await generation.complete(HELLO)
    assert refused.value.retry_after_seconds
    assert len(server.requests) == 3


async def test_refusals_do_not_open_the_breaker(server: ChatServer, make: Make) -> None:
    server.faults.append(Fault(401, body=b"{}"))
    generation = make(policy=BreakerPolicy(failures_in_a_row=1))
    with pytest.raises(GenerationRefused):
        await generation.complete(HELLO)
    assert generation.breaker.state.phase is Phase.CLOSED


async def test_a_caller_that_leaves_ends_the_call(
    server: ChatServer, make: Make
) -> None:
    server.faults.append(Fault(silent_seconds=0.3))
    calls: list[ModelCall] = []
    generation = make(concurrent_max=1)
    leaving = asyncio.create_task(generation.complete(HELLO, calls.append))
    while not server.requests:
        await asyncio.sleep(0.01)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert calls[0].outcome == "cancelled"
    assert (await generation.complete(HELLO)).text


async def test_a_full_queue_is_refused(server: ChatServer, make: Make) -> None:
    server.faults.extend([Fault(silent_seconds=0.2)] * 2)
    generation = make(concurrent_max=1, waiting_max=1)
    first = asyncio.create_task(generation.complete(HELLO))
    second = asyncio.create_task(generation.complete(HELLO))
    await asyncio.sleep(0.05)
    with pytest.raises(Overloaded) as refused:
        await generation.complete(HELLO)
    assert refused.value.retry_after_seconds
    assert [(await one).text for one in (first, second)] == ["ok", "ok"]


def number(value: object) -> int:
    found = int(value["n"])  # type: ignore[index]
    if found > 9:
        raise Unfit(["n must be at most 9"])
    return found


@pytest.mark.parametrize(
    "first",
    ["no json at all", '{"n": 0}', '{"m": 1}', '{"n": "1"}', '{"n": 12}', '{"n": 1'],
)
async def test_one_repair_round_is_given(
    server: ChatServer, make: Make, first: str
) -> None:
    server.answers.extend([first, 'Sure:\n```json\n{"n": 4}\n```'])
    made = await make().structured(NUMBER, number)
    assert (made.value, made.repaired) == (4, True)
    told = json.dumps(server.requests[1][2]["messages"])
    assert "cannot be used" in told
    assert len(server.requests) == 2


async def test_a_second_wrong_answer_is_final(server: ChatServer, make: Make) -> None:
    server.answers.extend(['{"n": 12}'] * 2)
    with pytest.raises(AnswerUnfit) as unfit:
        await make().structured(NUMBER, number)
    assert unfit.value.data["problems"] == ["n must be at most 9"]
    assert len(server.requests) == 2


async def test_a_service_that_knows_no_schema_is_asked_without(
    server: ChatServer, make: Make
) -> None:
    server.knows_schema = False
    server.answers.extend(['{"n": 4}', '{"n": 5}'])
    generation = make()
    assert (await generation.structured(NUMBER, number)).value == 4
    assert (await generation.structured(NUMBER, number)).value == 5
    wanted = [
        bool({"response_format", "output_config"} & set(body))
        for _, _, body in server.requests
    ]
    assert wanted == [True, False, False]


async def test_tokens_that_nobody_counted_are_estimated(server: ChatServer) -> None:
    server.tells_usage = False
    server.answers.append("three little words")
    backend = OpenAiChat(ChatOptions("tiny", server.url))
    generation = Generation(
        backend,
        breaker=Breaker(SystemClock()),
        clock=SystemClock(),
        count_tokens=lambda text: len(text.split()),
    )
    made = await generation.complete(HELLO)
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (3, 3)
    assert not made.exact
    await generation.close()


async def test_an_answer_in_one_piece_is_taken_too(server: ChatServer) -> None:
    body = {
        "choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 1},
    }
    server.faults.append(Fault(body=json.dumps(body).encode()))
    backend = OpenAiChat(ChatOptions("tiny", server.url))
    pieces = [piece async for piece in backend.stream(HELLO)]
    assert [(one.text, one.finish) for one in pieces] == [("whole", "stop")]
    await backend.close()
