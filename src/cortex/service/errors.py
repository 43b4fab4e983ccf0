"""What the edges refuse before any use case is asked.

::

    CortexError
    ├── NotFound
    │   └── NoSuchPath         no route has this path
    └── ValidationError
        ├── MalformedBody      the body is not the JSON it says it is
        ├── UnsupportedMedia   the body's type is not one the route reads
        └── MethodNotAllowed   the path exists, but not for this method
"""

from cortex.foundation.errors import NotFound, ValidationError


class NoSuchPath(NotFound):
    """No route has this path."""

    code = "NO_SUCH_PATH"


class MalformedBody(ValidationError):
    """The body is not UTF-8, not JSON, or nested too deeply."""

    code = "MALFORMED_BODY"


class UnsupportedMedia(ValidationError):
    """The body's content type is not one that this route reads."""

    code = "UNSUPPORTED_MEDIA"


class MethodNotAllowed(ValidationError):
    """The path exists, but not for this method."""

    code = "METHOD_NOT_ALLOWED"
