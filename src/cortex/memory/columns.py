"""Growing numpy columns and interned texts: the tables that a shard is made of."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

ROOM_MIN: Final = 256
"""Entries of a fresh column."""

GROWTH_SHARE: Final = 8
"""A full column grows by one part in this many: little memory lies idle."""

NONE: Final = -1
"""Number of "no text" in a column of interned texts."""

S = TypeVar("S", bound=np.generic)


class Column(Generic[S]):
    """One value an entry, appended at the end; views are valid until it grows."""

    __slots__ = ("_data", "_size")

    def __init__(self, dtype: DTypeLike) -> None:
        """Start empty."""
        self._data: NDArray[S] = np.empty(ROOM_MIN, dtype)
        self._size = 0

    def __len__(self) -> int:
        """Return how many entries there are."""
        return self._size

    @property
    def view(self) -> NDArray[S]:
        """Return the entries; writing to it changes them."""
        return self._data[: self._size]

    @property
    def bytes_held(self) -> int:
        """Return the size of the array, its idle room included."""
        return int(self._data.nbytes)

    def extend(self, values: "Sequence[Any] | NDArray[Any]") -> None:
        """Append entries."""
        size = self._size + len(values)
        if size > len(self._data):
            room = max(size, len(self._data) + len(self._data) // GROWTH_SHARE)
            grown: NDArray[S] = np.empty(room, self._data.dtype)
            grown[: self._size] = self._data[: self._size]
            self._data = grown
        self._data[self._size : size] = values
        self._size = size


class Names:
    """Numbers for texts, from 0 in order of appearance; texts are never taken out."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        """Start empty."""
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many texts have a number."""
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the texts by number."""
        return iter(self._numbers)

    def since(self, number: int) -> Iterator[str]:
        """Iterate over the texts from a number on."""
        return islice(self._numbers, number, None)

    def number(self, text: str) -> int:
        """Return the number of a text, given now if it had none."""
        numbers = self._numbers
        return numbers.setdefault(text, len(numbers))

    def numbers(self, texts: Iterable[str | None]) -> list[int]:
        """Return the number of each text; that of None is `NONE`."""
        known = self._numbers
        return [
            NONE if text is None else known.setdefault(text, len(known))
            for text in texts
        ]

    def find(self, text: str) -> int:
        """Return the number of a text, `NONE` if it never appeared."""
        return self._numbers.get(text, NONE)

    @property
    def bytes_held(self) -> int:
        """Return an estimate: the texts with what Python adds to each."""
        return sum(len(text) for text in self._numbers) + 150 * len(self._numbers)
