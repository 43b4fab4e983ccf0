"""Exit codes: what a script may rely on."""

from enum import IntEnum

from cortex_client import errors as client_errors


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    AUTH = 5
    INTERRUPTED = 130


_BY_KIND = (
    (client_errors.ConfigurationError, Exit.USAGE),
    (client_errors.ConnectionError, Exit.UNREACHABLE),
    (client_errors.AuthError, Exit.AUTH),
    (client_errors.NotFoundError, Exit.NOT_FOUND),
)


def exit_of(error: client_errors.CortexError) -> int:
    """Return the exit code that stands for a client error.

    Its kind decides; where that says nothing, the server's own table does.
    """
    for kind, code in _BY_KIND:
        if isinstance(error, kind):
            return code
    # It knows the errors of every room: only a command that failed loads them.
    from cortex.service.problems import MEANINGS

    meaning = MEANINGS.get(error.code)
    return Exit.FAILURE if meaning is None else meaning.exit_code
