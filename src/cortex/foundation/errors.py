"""Every error Cortex raises on purpose.

The tree (rooms add leaves in their own ``errors.py``)::

    CortexError
    ├── ValidationError        a field is wrong: which, why, and the limit
    │   └── PayloadTooLarge    too many bytes, characters or items
    ├── NotFound               no such thing in this namespace
    ├── Conflict               the thing exists, or changed since it was read
    │   └── PreconditionFailed If-Match did not match
    ├── Unauthenticated        no token, an unknown one, or an expired one
    ├── PermissionDenied       the token lacks a scope or a namespace
    ├── RateLimited            too many requests; come back later
    └── Unavailable            cannot be served now; come back later
        ├── Overloaded         a bounded queue is full
        ├── Draining           the server is stopping
        ├── DeadlineExceeded   the answer would have come too late
        └── StorageFull        the disk is full; reads still work

An error says what happened, and in ``hint`` what to do about it. Facts a program
may need are in ``data``. The edge maps ``code`` to an HTTP status, an MCP error and
an exit code in one table (``cortex.service.problems``).
"""

from typing import ClassVar


class CortexError(Exception):
    """Base of all expected failures.

    Attributes:
        code: stable UPPER_SNAKE name that programs match on.
        retryable: whether the same call may succeed later without a change.
        hint: one sentence that says what to do.
        retry_after_seconds: how long to wait before a retry, when known.
        data: facts for programs (JSON values only, never secrets or content).
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        retry_after_seconds: float | None = None,
        **data: object,
    ) -> None:
        """Keep the sentence for people and the facts for programs."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retry_after_seconds = retry_after_seconds
        self.data = data

    def __str__(self) -> str:
        """Return the message and its hint as two sentences, for a person."""
        if not self.hint:
            return self.message
        stop = "" if self.message.endswith((".", ":", "?", "!", "\n")) else "."
        return f"{self.message}{stop} {self.hint}"


class ValidationError(CortexError):
    """Input that breaks a rule; ``data['field']`` names where."""

    code = "VALIDATION_ERROR"


class PayloadTooLarge(ValidationError):
    """Input over a named size limit."""

    code = "PAYLOAD_TOO_LARGE"


class NotFound(CortexError):
    """No such thing in the caller's namespace."""

    code = "NOT_FOUND"


class Conflict(CortexError):
    """The change contradicts what is stored."""

    code = "CONFLICT"


class PreconditionFailed(Conflict):
    """The stored version is not the one the caller named."""

    code = "PRECONDITION_FAILED"


class Unauthenticated(CortexError):
    """No usable credential came with the request."""

    code = "UNAUTHENTICATED"


class PermissionDenied(CortexError):
    """The credential is good but does not reach this far."""

    code = "PERMISSION_DENIED"


class RateLimited(CortexError):
    """The caller used up its share for now."""

    code = "RATE_LIMITED"
    retryable = True


class Unavailable(CortexError):
    """Cannot be served at the moment."""

    code = "UNAVAILABLE"
    retryable = True


class Overloaded(Unavailable):
    """A bounded queue is full; the caller should slow down."""

    code = "OVERLOADED"


class Draining(Unavailable):
    """The server is stopping and takes no new work."""

    code = "DRAINING"


class DeadlineExceeded(Unavailable):
    """The time given for the work ran out."""

    code = "DEADLINE_EXCEEDED"


class StorageFull(Unavailable):
    """The disk took no more bytes; nothing of this write was kept."""

    code = "STORAGE_FULL"
