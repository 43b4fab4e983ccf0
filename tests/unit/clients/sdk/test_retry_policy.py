"""When the client sends again: the pure rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_client.call import Answer, Failure, Retry
from cortex_client.retry import (
    DELAY_SECONDS_MAX,
    RETRY_AFTER_SECONDS_MAX,
    RetryPolicy,
    retry_after,
)


def answer(status: int, code: str = "", after: str = "") -> Answer:
    headers = {"retry-after": after} if after else {}
    return Answer(status, headers, {"error": {"code": code}})


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 409, 413, 422, 500, 507])
@pytest.mark.parametrize("rule", list(Retry))
def test_settled_answers_stand(status: int, rule: Retry) -> None:
    assert RetryPolicy().delay(rule, answer(status), 0, 0.5) is None


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_busy_answers_to_safe_calls_are_tried_again(status: int) -> None:
    assert RetryPolicy().delay(Retry.SAFE, answer(status), 0, 0.5) is not None


@pytest.mark.parametrize(
    ("outcome", "again"),
    [
        (Failure("refused", sent=False), True),
        (Failure("reset", sent=True), False),
        (answer(429), True),
        (answer(503, "DRAINING"), True),
        (answer(503, "OVERLOADED"), True),
        (answer(503, "DEADLINE_EXCEEDED"), False),
        (answer(503), False),
        (answer(502), False),
    ],
)
def test_other_calls_only_when_the_server_did_nothing(
    outcome: Answer | Failure, again: bool
) -> None:
    delay = RetryPolicy().delay(Retry.UNSENT, outcome, 0, 0.5)
    assert (delay is not None) is again


def test_the_server_is_taken_at_its_word_up_to_a_limit() -> None:
    policy = RetryPolicy()
    assert policy.delay(Retry.SAFE, answer(429, after="7"), 0, 0.5) == 7
    too_long = str(int(RETRY_AFTER_SECONDS_MAX) + 1)
    assert policy.delay(Retry.SAFE, answer(429, after=too_long), 0, 0.5) is None


def test_retry_after_is_also_read_from_the_body() -> None:
    assert retry_after(Answer(429, {}, {"retry_after": 3})) == 3
    assert retry_after(Answer(429, {"retry-after": "Sat, 1 Jan"}, None)) is None


@given(
    attempt=st.integers(0, 10),
    backoff=st.floats(0.01, 10),
    jitter=st.floats(0, 1),
)
def test_own_waits_grow_and_stay_bounded(
    attempt: int, backoff: float, jitter: float
) -> None:
    policy = RetryPolicy(max_retries=11, backoff_seconds=backoff)
    delay = policy.delay(Retry.SAFE, Failure("x", sent=True), attempt, jitter)
    assert delay is not None
    full = min(backoff * 2**attempt, DELAY_SECONDS_MAX)
    assert full / 2 <= delay <= full


def test_tries_are_counted() -> None:
    policy = RetryPolicy(max_retries=2)
    failure = Failure("x", sent=True)
    delays = [policy.delay(Retry.SAFE, failure, n, 0) for n in range(3)]
    assert [d is None for d in delays] == [False, False, True]
