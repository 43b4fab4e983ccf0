"""Reading numbers out of a file that may lie about its lengths."""

import mmap
from dataclasses import dataclass

from cortex.inference.media.errors import BrokenMedia
from cortex.inference.media.kinds import Sniffed

Content = bytes | mmap.mmap


@dataclass(frozen=True, slots=True)
class Walked:
    """What a walk through a file found, and where the file proper ends."""

    sniffed: Sniffed
    end: int


class Cursor:
    """A place in a file; every step is checked against its end."""

    def __init__(self, content: Content, place: int = 0) -> None:
        """Begin at ``place``."""
        self.content = content
        self.size = len(content)
        self.place = place

    @property
    def at_end(self) -> bool:
        """Return whether nothing follows."""
        return self.place >= self.size

    def require(self, end: int) -> None:
        """Raise ``BrokenMedia`` unless the file reaches so far."""
        if end > self.size or end < 0:
            message = "the file ends before what it announces"
            hint = "It was cut short on its way: send it again."
            raise BrokenMedia(message, hint=hint, field="file")

    def skip(self, count: int) -> None:
        """Go on by ``count`` bytes."""
        self.require(self.place + count)
        self.place += count

    def peek(self, count: int) -> bytes:
        """Return the next bytes, fewer at the end, and stay."""
        return bytes(self.content[self.place : self.place + count])

    def take(self, count: int) -> bytes:
        """Return the next bytes and go on behind them."""
        start = self.place
        self.skip(count)
        return bytes(self.content[start : self.place])

    def number(self, count: int) -> int:
        """Return the next bytes as a number, the greatest first."""
        return int.from_bytes(self.take(count), "big")

    def little(self, count: int) -> int:
        """Return the next bytes as a number, the smallest first."""
        return int.from_bytes(self.take(count), "little")

    def seek_byte(self, value: int) -> None:
        """Go on behind the next byte of this value."""
        found = self.content.find(bytes((value,)), self.place)
        if found < 0:
            self.require(self.size + 1)
        self.place = found + 1
