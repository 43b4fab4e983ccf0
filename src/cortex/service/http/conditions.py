"""Conditions that a request puts on its own effect (RFC 9110, section 13)."""

from starlette.requests import Request

from cortex.foundation.errors import ValidationError

_ETAG_CHARACTERS_MAX = 200


def if_match(request: Request) -> str | None:
    """Return the etag without its quotes, ``*``, or None.

    Raises:
        ValidationError: weak or several etags, which cannot be compared.
    """
    value = request.headers.get("if-match")
    if value is None or value == "*":
        return value
    etag = value.removeprefix('"').removesuffix('"')
    quoted = value == f'"{etag}"'
    if not quoted or '"' in etag or not etag or len(etag) > _ETAG_CHARACTERS_MAX:
        raise ValidationError(
            'If-Match must be one strong etag in quotes, or "*"', field="if-match"
        )
    return etag
