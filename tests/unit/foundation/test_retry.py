"""Retries: what is tried again, how often, and what is not."""

from collections.abc import Iterator

import pytest
import stamina

from cortex.foundation.errors import Overloaded, Unavailable, ValidationError
from cortex.foundation.retry import RetryPolicy, retry, retry_async

QUICK = RetryPolicy(wait_initial_seconds=0, wait_max_seconds=0.01, jitter_seconds=0)


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    """Keep stamina's own metrics and logs out of these tests."""
    hooks = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([])
    yield
    stamina.instrumentation.set_on_retry_hooks(hooks)


class Flaky:
    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    async def later(self) -> str:
        return self()


def test_a_retryable_error_is_tried_again() -> None:
    call = Flaky(Unavailable("down"), Unavailable("down"))
    assert retry(call, QUICK) == "done"
    assert call.calls == 3


def test_the_last_error_comes_out_as_it_was() -> None:
    errors = [Unavailable(str(n)) for n in range(4)]
    with pytest.raises(Unavailable, match="2"):
        retry(Flaky(*errors), QUICK)


def test_an_error_that_no_retry_can_help_is_raised_at_once() -> None:
    call = Flaky(ValidationError("wrong"))
    with pytest.raises(ValidationError):
        retry(call, QUICK)
    assert call.calls == 1


def test_other_errors_are_tried_again_only_when_named() -> None:
    call = Flaky(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        retry(call, QUICK)
    assert retry(Flaky(OSError("gone")), QUICK, also=(OSError,)) == "done"


def test_a_short_wish_of_the_server_is_followed() -> None:
    assert retry(Flaky(Overloaded("full", retry_after_seconds=0.005)), QUICK) == "done"


def test_a_long_wish_of_the_server_is_left_to_the_caller() -> None:
    call = Flaky(Overloaded("full", retry_after_seconds=30))
    with pytest.raises(Overloaded):
        retry(call, QUICK)
    assert call.calls == 1


async def test_the_async_form_does_the_same() -> None:
    call = Flaky(Unavailable("down"))
    assert await retry_async(call.later, QUICK) == "done"
    with pytest.raises(ValidationError):
        await retry_async(Flaky(ValidationError("wrong")).later, QUICK)
