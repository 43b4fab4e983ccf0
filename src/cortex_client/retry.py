"""When to send again, and after how long: one pure function.

Waiting grows exponentially with jitter ("Exponential Backoff and Jitter", Brooker
2015, the half-jitter form); a server that says ``Retry-After`` (RFC 9110, section
10.2.3) is taken at its word.
"""

from dataclasses import dataclass

from cortex_client.call import Answer, Failure, Retry

DELAY_SECONDS_MAX = 30.0
"""Longest own wait: beyond it a person has given up."""

RETRY_AFTER_SECONDS_MAX = 60.0
"""Longest wait a server may ask for; a longer one is raised to the caller."""

_TOO_MANY_REQUESTS = 429
_BUSY_STATUSES = frozenset({502, 503, 504})
_REFUSED_AT_THE_DOOR = frozenset({"RATE_LIMITED", "OVERLOADED", "DRAINING"})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently; ``backoff_seconds`` is the first own wait."""

    max_retries: int = 3
    backoff_seconds: float = 1.0

    def delay(
        self, rule: Retry, outcome: Answer | Failure, attempt: int, jitter: float
    ) -> float | None:
        """Return seconds to wait before another try; None when there is none.

        ``attempt`` counts from 0; ``jitter`` is in 0..1.
        """
        if attempt >= self.max_retries or not _may_repeat(rule, outcome):
            return None
        if isinstance(outcome, Answer):
            asked = retry_after(outcome)
            if asked is not None:
                return asked if asked <= RETRY_AFTER_SECONDS_MAX else None
        full = min(self.backoff_seconds * 2.0**attempt, DELAY_SECONDS_MAX)
        return full * (0.5 + jitter / 2)


def retry_after(answer: Answer) -> float | None:
    """Return the seconds the server asked to wait; HTTP dates are not used by it."""
    value = answer.headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        return float(value)
    body = answer.body
    told = body.get("retry_after") if isinstance(body, dict) else None
    return float(told) if isinstance(told, int | float) else None


def error_code(answer: Answer) -> str:
    """Return the UPPER_SNAKE code of an error answer; empty when it has none."""
    body = answer.body
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else ""


def _may_repeat(rule: Retry, outcome: Answer | Failure) -> bool:
    if isinstance(outcome, Failure):
        return rule is Retry.SAFE or not outcome.sent
    if outcome.status == _TOO_MANY_REQUESTS:
        return True
    if outcome.status not in _BUSY_STATUSES:
        return False
    return rule is Retry.SAFE or error_code(outcome) in _REFUSED_AT_THE_DOOR
