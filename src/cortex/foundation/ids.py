"""Identifiers: UUIDv7 (RFC 9562, section 5.7), sortable by creation time."""

import os
import threading
import uuid
from typing import Protocol

from cortex.foundation.clock import Clock

_RANDOM_A_BITS = 12
_RANDOM_A_MAX = (1 << _RANDOM_A_BITS) - 1
_TIMESTAMP_MASK = (1 << 48) - 1


class IdSource(Protocol):
    """Gives out identifiers that are never given twice."""

    def new(self) -> str:
        """Return a fresh identifier."""
        ...


class Uuid7Source:
    """UUIDv7 with a per-millisecond counter, so that order survives bursts.

    When the wall clock steps back, ids go on from the last millisecond seen: later
    ids stay greater (RFC 9562, section 6.2, method 1).
    """

    def __init__(self, clock: Clock) -> None:
        """Take the clock that stamps the ids."""
        self._clock = clock
        self._lock = threading.Lock()
        self._last_ms = 0
        self._counter = 0

    def new(self) -> str:
        """Return the next identifier, greater than all before it."""
        with self._lock:
            ms = int(self._clock.now() * 1000)
            if ms > self._last_ms:
                self._last_ms = ms
                self._counter = int.from_bytes(os.urandom(2), "big") & 0x3FF
            else:
                self._counter += 1
                if self._counter > _RANDOM_A_MAX:
                    self._last_ms += 1
                    self._counter = 0
            ms, counter = self._last_ms, self._counter
        value = (ms & _TIMESTAMP_MASK) << 80
        value |= 0x7 << 76 | counter << 64
        value |= 0b10 << 62 | int.from_bytes(os.urandom(8), "big") >> 2
        return str(uuid.UUID(int=value))
