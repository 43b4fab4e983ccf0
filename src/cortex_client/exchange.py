"""The part of a request that async and sync share: what is sent, what it meant."""

import json
import re
import secrets
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar
from urllib.parse import urlsplit

import httpx

from cortex_client.call import Answer, Call, Failure, Flow
from cortex_client.discovery import Target
from cortex_client.errors import (
    AuthError,
    ClosedError,
    ConfigurationError,
    ConflictError,
    ConnectionError,  # noqa: A004  ours
    CortexError,
    NotFoundError,
    RateLimitError,
    RequestError,
    ServerError,
)
from cortex_client.retry import RetryPolicy, retry_after
from cortex_client.signature import verify
from cortex_client.tracing import traceparent

T = TypeVar("T")

_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
_SERVER_ERRORS_FROM = 500
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})
_BY_STATUS: Mapping[int, type[CortexError]] = {
    401: AuthError,
    403: AuthError,
    404: NotFoundError,
    409: ConflictError,
    412: ConflictError,
    429: RateLimitError,
}


class Seams(TypedDict, total=False):
    """What tests and special surroundings put in place of the usual.

    ``signing_key``: verifies every signed answer; ``environ``: instead of the
    process's environment; ``jitter``: gives 0..1; ``new_key``: idempotency keys.
    """

    signing_key: str | bytes | None
    environ: Mapping[str, str]
    jitter: Callable[[], float]
    new_key: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Manners:
    """How a client behaves, settled when it is made."""

    target: Target
    policy: RetryPolicy
    signing_key: str | bytes | None
    jitter: Callable[[], float]
    new_key: Callable[[], str]


def manners(target: Target, backoff_seconds: float, seams: Seams) -> Manners:
    """Return the manners of a client."""
    return Manners(
        target=target,
        policy=RetryPolicy(target.max_retries, backoff_seconds),
        signing_key=seams.get("signing_key"),
        jitter=seams.get("jitter", _jitter),
        new_key=seams.get("new_key", _new_key),
    )


def http_options(target: Target) -> dict[str, Any]:
    """Return what both kinds of httpx client are made with."""
    headers = {"Accept": "application/json", "User-Agent": "cortex-client"}
    if target.token:
        headers["Authorization"] = f"Bearer {target.token}"
    return {
        "base_url": target.url,
        "verify": _trusted(target.url),
        "headers": headers,
        "timeout": httpx.Timeout(target.timeout_seconds),
        "follow_redirects": False,
    }


def _trusted(url: str) -> ssl.SSLContext | bool:
    """Return whom to trust: nobody where no TLS is spoken, on this machine.

    Reading the list of authorities takes 25 ms, most of what making a client takes.
    """
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname in _THIS_MACHINE:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return True


def check_open(*, closed: bool) -> None:
    """Raise ``ClosedError`` when the client was closed."""
    if closed:
        hint = "Make a new one, or close it after the last call."
        raise ClosedError("this client is closed", hint=hint)


def request_options(call: Call[Any]) -> dict[str, Any]:
    """Return the arguments of ``httpx``'s ``build_request``."""
    options: dict[str, Any] = {
        "method": call.method,
        "url": call.path,
        "params": {k: v for k, v in call.params.items() if v is not None},
        "headers": {"traceparent": traceparent(), **call.headers},
    }
    if isinstance(call.body, bytes):
        options["content"] = call.body
    elif call.body is not None:
        options["content"] = _as_json(call.body)
        options["headers"] |= {"Content-Type": "application/json"}
    return options


def _as_json(body: object) -> bytes:
    """Return a body as it is sent.

    Raises:
        ConfigurationError: JSON has no form for something in it, such as a date, a
            float that is not a number, or half a surrogate pair.
    """
    try:
        text = json.dumps(
            body, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        message = f"what was given cannot be sent as JSON: {error}"
        raise ConfigurationError(message) from error


def read_answer(response: httpx.Response) -> Answer:
    """Return a fully read response as a value."""
    body: object = None
    if response.content:
        try:
            body = json.loads(response.content)
        except ValueError:
            body = response.text
    return Answer(response.status_code, dict(response.headers), body)


def read_failure(error: httpx.TransportError, target: Target) -> Failure:
    """Return what a transport error means for the call."""
    unsent = isinstance(
        error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
    )
    if isinstance(error, httpx.TimeoutException):
        message = f"no answer from {target.url} within {target.timeout_seconds:g} s"
        return Failure(message, sent=not unsent, code="TIMEOUT")
    # Callers read the reason, not the number that this system has for it.
    reason = _NUMBER.sub("", str(error)) or type(error).__name__
    return Failure(f"cannot reach {target.url}: {reason}", sent=not unsent)


def read_broken(
    error: httpx.TransportError, target: Target, flow: Flow[Any]
) -> Failure:
    """Return what a transport error means for a stream."""
    if isinstance(error, httpx.ReadTimeout) and flow.silence_seconds is not None:
        message = f"{target.url} was silent for {flow.silence_seconds:g} s"
        return Failure(message, sent=True, code="TIMEOUT")
    return read_failure(error, target)


def settle(call: Call[T], outcome: Answer | Failure, how: Manners) -> T:
    """Return the call's result, or raise what went wrong."""
    if isinstance(outcome, Failure):
        raise ConnectionError(
            outcome.message,
            hint="Is the server running? `cortex serve` starts one.",
            code=outcome.code,
        )
    good = httpx.codes.is_success(outcome.status) or outcome.status in call.accept
    if not good:
        raise error_of(outcome)
    if call.signed and how.signing_key is not None:
        verify(outcome.body, how.signing_key)
    return call.decode(outcome)


def error_of(answer: Answer) -> CortexError:
    """Return the error that an answer stands for."""
    kind = _BY_STATUS.get(answer.status)
    if kind is None:
        kind = ServerError if answer.status >= _SERVER_ERRORS_FROM else RequestError
    body = answer.body if isinstance(answer.body, dict) else {}
    told = body.get("error")
    facts = dict(told) if isinstance(told, dict) else {}
    message = facts.pop("message", None) or body.get("detail") or _bare(answer)
    error = kind(
        message if isinstance(message, str) else json.dumps(message),
        hint=str(facts.pop("hint", "") or ""),
        code=str(facts.pop("code", "") or ""),
        status=answer.status,
        correlation_id=body.get("correlation_id")
        or answer.headers.get("x-correlation-id"),
        data=facts,
    )
    if isinstance(error, RateLimitError | ServerError):
        error.retry_after = retry_after(answer)
    return error


def _bare(answer: Answer) -> str:
    return f"the server answered with status {answer.status}"


def _jitter() -> float:
    return secrets.randbelow(1 << 24) / (1 << 24)


def _new_key() -> str:
    return secrets.token_hex(16)


def next_delay(
    call: Call[Any], outcome: Answer | Failure, attempt: int, how: Manners
) -> float | None:
    """Return seconds to wait before the next try; None when the outcome stands."""
    if isinstance(outcome, Answer) and outcome.status in call.accept:
        return None
    return how.policy.delay(call.retry, outcome, attempt, how.jitter())
