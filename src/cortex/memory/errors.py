"""What memory can answer instead of a result.

The leaves of this room::

    CortexError
    ├── ValidationError
    │   ├── InvalidFilter     a ``where`` tree breaks a rule: which node, and why
    │   └── InvalidCursor     a listing cursor was not made by this listing
    ├── NotFound
    │   ├── MemoryNotFound    no such memory in this namespace
    │   └── SessionNotFound   no such conversation in this namespace
    ├── Conflict
    │   └── SessionExists     a conversation with this id is there already
    └── Unavailable           (foundation) the vector index failed on a search that
                              goes by meaning alone
"""

from cortex.foundation.errors import Conflict, NotFound, ValidationError


class InvalidFilter(ValidationError):
    """A metadata filter is malformed; ``data['field']`` is the path of the node."""

    code = "INVALID_FILTER"


class InvalidCursor(ValidationError):
    """A cursor that this listing, with these filters, did not give out."""

    code = "INVALID_CURSOR"


class MemoryNotFound(NotFound):
    """No memory with this id in the caller's namespace."""

    code = "MEMORY_NOT_FOUND"


class SessionNotFound(NotFound):
    """No conversation with this id in the caller's namespace."""

    code = "SESSION_NOT_FOUND"


class SessionExists(Conflict):
    """A conversation with this id exists in the caller's namespace."""

    code = "SESSION_EXISTS"
