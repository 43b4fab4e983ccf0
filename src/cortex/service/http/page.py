"""What a static page is to this edge, whoever brings it."""

from typing import Protocol


class Page(Protocol):
    """One file as it is served."""

    @property
    def body(self) -> bytes:
        """Return its bytes."""
        ...

    @property
    def media_type(self) -> str:
        """Return its type."""
        ...

    @property
    def policy(self) -> str:
        """Return its Content-Security-Policy."""
        ...
