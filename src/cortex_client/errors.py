"""Every error the client raises on purpose.

The tree::

    CortexError
    ├── ConfigurationError   the client was given something it cannot work with
    ├── ConnectionError      no answer: refused, reset, timed out
    ├── AuthError            401 or 403: no good token, or its scope is too small
    ├── NotFoundError        404
    ├── RequestError         another 4xx: the request itself is wrong
    │   └── ConflictError    409 or 412: the thing exists, or changed meanwhile
    ├── RateLimitError       429: ``retry_after`` says how long to wait
    ├── ServerError          5xx, or an answer that is not what was promised
    └── SignatureError       a signed answer does not match its signature
"""

import builtins
from collections.abc import Mapping


class CortexError(Exception):
    """Base of all failures of a call.

    Attributes:
        message: what happened.
        hint: what to do about it; may be empty.
        code: the server's UPPER_SNAKE name, or the client's own.
        status: HTTP status; None when no answer came.
        correlation_id: under which the server's log knows the call.
        data: further facts of the error body, such as ``field`` and ``limit``.
    """

    default_code = "CLIENT_ERROR"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str = "",
        status: int | None = None,
        correlation_id: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        """Keep the sentence for people and the facts for programs."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.default_code
        self.status = status
        self.correlation_id = correlation_id
        self.data = dict(data or {})

    def __str__(self) -> str:
        """Return the message with its hint, for a person."""
        return sentences(self.message, self.hint)


def sentences(message: str, hint: str) -> str:
    """Return a message and its hint as two sentences, or the message alone."""
    if not hint:
        return message
    stop = "" if message.endswith((".", "!", "?", ":")) else "."
    return f"{message}{stop} {hint}"


class ConfigurationError(CortexError, ValueError):
    """The client cannot work with what it was given."""

    default_code = "CONFIGURATION_ERROR"


class ClosedError(CortexError, RuntimeError):
    """The client was closed; nothing was sent."""

    default_code = "CLIENT_CLOSED"


class ConnectionError(CortexError, builtins.ConnectionError):  # noqa: A001  contract
    """No answer came from the server."""

    default_code = "CONNECTION_ERROR"


class AuthError(CortexError):
    """The token is missing, unknown, expired, or holds too little."""

    default_code = "UNAUTHENTICATED"


class NotFoundError(CortexError):
    """The server knows no such thing, or not for this token."""

    default_code = "NOT_FOUND"


class RequestError(CortexError):
    """The server refused the request as wrong; ``data['field']`` may say where."""

    default_code = "VALIDATION_ERROR"


class ConflictError(RequestError):
    """The thing exists already, or changed since it was read."""

    default_code = "CONFLICT"


class ServerError(CortexError):
    """The server failed or is not ready; ``retry_after`` in seconds when it said."""

    default_code = "INTERNAL_ERROR"
    retry_after: float | None = None


class RateLimitError(CortexError):
    """Too many requests; ``retry_after`` seconds until the next may pass."""

    default_code = "RATE_LIMITED"
    retry_after: float | None = None


class SignatureError(CortexError):
    """A signed answer is not what its signer signed, or was not signed at all."""

    default_code = "SIGNATURE_INVALID"
