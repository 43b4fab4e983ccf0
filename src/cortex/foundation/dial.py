"""A value that may be changed while others go on reading it."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Dial(Generic[T]):
    """Holds one value; whoever calls it gets the one in force, at each use."""

    def __init__(self, value: T) -> None:
        """Begin with a value."""
        self._value = value

    def __call__(self) -> T:
        """Return the value in force."""
        return self._value

    def turn(self, value: T) -> None:
        """Put another value in force."""
        self._value = value
