"""The one table: what an error code means at the edges.

HTTP answers are RFC 9457 problem details, with ``detail``, ``error`` and
``correlation_id`` as the contract says. Exit codes are those of ``cortex.cli``.
``docs/reference/errors.md`` tells the same for people; a test compares the two.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cortex.foundation.errors import CortexError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:cortex:error:"
"""Problem types are names, not addresses: nothing has to be online to read them."""

RETRY_AFTER_SECONDS_DEFAULT = 1.0
"""Wait told with a 503 that knows no better: most of them pass in less."""

_RETRY_STATUSES = frozenset({429, 503, 507})
_FIELDS_OF_ERROR = frozenset({"code", "message", "hint"})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one code is outside.

    Attributes:
        status: HTTP status.
        title: the same for every occurrence (RFC 9457).
        exit_code: of a command that fails with it.
    """

    status: int
    title: str
    exit_code: int = 1


INTERNAL = Meaning(500, "Internal error")

MEANINGS: Mapping[str, Meaning] = {
    "INTERNAL_ERROR": INTERNAL,
    "VALIDATION_ERROR": Meaning(422, "Invalid input", 2),
    "INVALID_FILTER": Meaning(422, "Invalid filter", 2),
    "INVALID_CURSOR": Meaning(422, "Invalid cursor", 2),
    "MALFORMED_BODY": Meaning(400, "Malformed body", 2),
    "METHOD_NOT_ALLOWED": Meaning(405, "Method not allowed", 2),
    "INVALID_MODALITY": Meaning(422, "Wrong modality", 2),
    "SECURITY_VIOLATION": Meaning(422, "Refused for safety", 2),
    "NOT_INSTALLED": Meaning(501, "Not installed"),
    "UNSUPPORTED_MEDIA": Meaning(415, "Unsupported media type", 2),
    "TEXT_TOO_LONG": Meaning(413, "Text too long", 2),
    "PAYLOAD_TOO_LARGE": Meaning(413, "Too large", 2),
    "CONFIGURATION_ERROR": Meaning(500, "Wrong configuration"),
    "UNAUTHENTICATED": Meaning(401, "Not authenticated", 5),
    "PERMISSION_DENIED": Meaning(403, "Not allowed", 5),
    "NOT_FOUND": Meaning(404, "Not found", 4),
    "NO_SUCH_PATH": Meaning(404, "No such path", 4),
    "MEMORY_NOT_FOUND": Meaning(404, "No such memory", 4),
    "SESSION_NOT_FOUND": Meaning(404, "No such session", 4),
    "MODEL_NOT_FOUND": Meaning(404, "No such model", 4),
    "CONFLICT": Meaning(409, "Conflict"),
    "CONSTRAINT_VIOLATED": Meaning(409, "Conflict with what is stored"),
    "SESSION_EXISTS": Meaning(409, "Session exists"),
    "PRECONDITION_FAILED": Meaning(412, "Precondition failed"),
    "RATE_LIMITED": Meaning(429, "Too many requests"),
    "QUOTA_EXCEEDED": Meaning(429, "Quota used up"),
    "UNAVAILABLE": Meaning(503, "Unavailable"),
    "OVERLOADED": Meaning(503, "Overloaded"),
    "DRAINING": Meaning(503, "Stopping"),
    "MODEL_UNAVAILABLE": Meaning(503, "Model unavailable"),
    "EMBEDDING_ERROR": Meaning(503, "Embedding failed"),
    "GENERATION_ERROR": Meaning(503, "Language model failed"),
    "ANSWER_UNFIT": Meaning(503, "Language model answered otherwise"),
    "PLAN_INVALID": Meaning(500, "Invalid plan"),
    "STORAGE_BUSY": Meaning(503, "Storage busy"),
    "STORAGE_CLOSED": Meaning(503, "Storage closed"),
    "DEADLINE_EXCEEDED": Meaning(503, "Deadline exceeded"),
    "STORAGE_FULL": Meaning(507, "Storage full"),
    "STORAGE_ERROR": Meaning(500, "Storage error"),
    "STORAGE_CORRUPT": Meaning(500, "Storage damaged"),
    "SCHEMA_TOO_NEW": Meaning(500, "Schema too new"),
    "STORAGE_UNREACHABLE": Meaning(503, "Storage unreachable"),
    "TRANSPORT_UNREACHABLE": Meaning(503, "Event transport unreachable"),
    "MIGRATION_FAILED": Meaning(500, "Migration failed"),
    "SUBSCRIBER_TOO_SLOW": Meaning(503, "Subscriber too slow"),
    "TOKEN_NOT_FOUND": Meaning(404, "No such token", 4),
    "SECRET_NOT_FOUND": Meaning(404, "No such secret", 4),
    "SECRET_UNAVAILABLE": Meaning(503, "Secrets unavailable"),
    "ISSUER_UNAVAILABLE": Meaning(503, "Token issuer unavailable"),
    "DECRYPTION_FAILED": Meaning(500, "Decryption failed"),
    "POLICY_INVALID": Meaning(422, "Invalid policy", 2),
    "TLS_INVALID": Meaning(422, "Invalid TLS files", 2),
    "ENTRY_NOT_FOUND": Meaning(404, "No such ledger entry", 4),
    "CONTENT_FORGOTTEN": Meaning(410, "Content forgotten", 4),
    "ARCHIVE_OBJECT_MISSING": Meaning(404, "Archive object missing", 4),
    "ARCHIVE_OBJECT_EXISTS": Meaning(409, "Archive object exists"),
    "NOTE_INVALID": Meaning(422, "Invalid signed note", 2),
    "PROOF_INVALID": Meaning(422, "Proof does not hold"),
    "LEDGER_KEY_UNUSABLE": Meaning(422, "Unusable key", 2),
    "LEDGER_TAMPERED": Meaning(500, "Ledger tampered with"),
    "LEDGER_STOPPED": Meaning(503, "Ledger stopped"),
    "ARCHIVE_UNREACHABLE": Meaning(503, "Archive unreachable"),
    "SLO_INVALID": Meaning(422, "Invalid objectives", 2),
    "ALERT_NOT_FOUND": Meaning(404, "No such alert", 4),
    "REVISION_NOT_FOUND": Meaning(404, "No such revision", 4),
    "REVISION_MOVED": Meaning(409, "Changed meanwhile"),
    "SETTINGS_NOT_APPLIED": Meaning(500, "Settings not applied"),
    "POWER_UNAVAILABLE": Meaning(503, "Power unavailable"),
}


def meaning_of(error: CortexError) -> Meaning:
    """Return what the error means; a code without a line means its parent's."""
    for kind in type(error).__mro__:
        meaning = MEANINGS.get(str(kind.__dict__.get("code")))
        if meaning is not None:
            return meaning
    return INTERNAL


def retry_after(error: CortexError) -> int | None:
    """Return whole seconds for ``Retry-After``; None where waiting does not help."""
    if meaning_of(error).status not in _RETRY_STATUSES:
        return None
    seconds = error.retry_after_seconds
    return max(
        1, math.ceil(RETRY_AFTER_SECONDS_DEFAULT if seconds is None else seconds)
    )


def body_of(error: CortexError, correlation_id: str) -> dict[str, object]:
    """Return the error body of every edge."""
    meaning = meaning_of(error)
    facts = {k: v for k, v in error.data.items() if k not in _FIELDS_OF_ERROR}
    told: dict[str, object] = {"code": error.code, "message": error.message, **facts}
    if error.hint:
        told["hint"] = error.hint
    body: dict[str, object] = {
        "type": TYPE_PREFIX + error.code.lower().replace("_", "-"),
        "title": meaning.title,
        "status": meaning.status,
        "detail": _detail(error),
        "error": told,
        "correlation_id": correlation_id,
    }
    seconds = retry_after(error)
    if seconds is not None:
        body["retry_after"] = seconds
    return body


def _detail(error: CortexError) -> str:
    if not error.hint:
        return error.message
    return f"{error.message.rstrip('.')}. {error.hint}"


def internal(correlation_id: str) -> dict[str, object]:
    """Return the body for a failure nobody foresaw: it tells nothing of the cause."""
    error = CortexError(
        "something went wrong inside the server",
        hint=f"The log has it under correlation id {correlation_id}.",
    )
    return body_of(error, correlation_id)
