"""Trying again: exponential backoff with jitter, for what is safe to repeat.

A thin shell over `stamina`, so that every room retries by the same rule: a
`CortexError` says by itself whether a retry can help (`retryable`) and, where it is
known, how long to wait (`retry_after_seconds`). Other exceptions are retried only
when the caller names their types. The caller answers for the call being idempotent.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import stamina

from cortex.foundation.errors import CortexError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently.

    Attributes:
        attempts: calls in all, the first included.
        wait_initial_seconds: wait before the second call; doubles each time.
        wait_max_seconds: longest single wait. An error that asks for a longer one is
            not retried here: the caller learns it and decides.
        jitter_seconds: up to this much is added at random, so that many callers do
            not return at once.
        timeout_seconds: no retry starts after this long.
    """

    attempts: int = 3
    wait_initial_seconds: float = 0.1
    wait_max_seconds: float = 2.0
    jitter_seconds: float = 0.1
    timeout_seconds: float = 20.0


def retry(
    call: Callable[[], T],
    policy: RetryPolicy,
    also: tuple[type[Exception], ...] = (),
) -> T:
    """Call until it succeeds, its error forbids it, or the policy is used up.

    Raises the last error as it was.
    """
    caller = stamina.RetryingCaller(
        attempts=policy.attempts,
        timeout=policy.timeout_seconds,
        wait_initial=policy.wait_initial_seconds,
        wait_max=policy.wait_max_seconds,
        wait_jitter=policy.jitter_seconds,
    )
    return caller.on(_backoff(policy, also))(call)


async def retry_async(
    call: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    also: tuple[type[Exception], ...] = (),
) -> T:
    """Do what `retry` does, waiting on the event loop."""
    caller = stamina.AsyncRetryingCaller(
        attempts=policy.attempts,
        timeout=policy.timeout_seconds,
        wait_initial=policy.wait_initial_seconds,
        wait_max=policy.wait_max_seconds,
        wait_jitter=policy.jitter_seconds,
    )
    return await caller.on(_backoff(policy, also))(call)


def _backoff(
    policy: RetryPolicy, also: tuple[type[Exception], ...]
) -> Callable[[Exception], bool | float]:
    def decide(error: Exception) -> bool | float:
        if not isinstance(error, CortexError):
            return isinstance(error, also)
        asked = error.retry_after_seconds
        if not error.retryable or asked is None:
            return error.retryable
        return asked if asked <= policy.wait_max_seconds else False

    return decide
