"""What can go wrong on the way to other processes."""

from cortex.foundation.errors import Unavailable


class TransportUnreachable(Unavailable):
    """The server that carries events does not answer, or does not take them now."""

    code = "TRANSPORT_UNREACHABLE"
