"""Removes files that work in progress leaves behind when it is cut off.

Whoever needs a temporary file makes it in a folder given for that; normally it removes
the file itself. What a crash left is removed once it is older than any work lasts.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cortex.foundation.clock import Clock

AGE_SECONDS_MAX: Final = 3_600.0
"""Nothing in progress lasts so long: uploads and imports have far shorter limits."""

ROUND_SECONDS: Final = 600.0
"""How often is looked."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was removed so far.

    Attributes:
        files: files and folders.
        bytes_: their bytes.
        at: epoch seconds of the last look; None before the first.
    """

    files: int = 0
    bytes_: int = 0
    at: float | None = None


class Leftovers:
    """Looks after folders of temporary files."""

    def __init__(
        self,
        places: Sequence[tuple[Path, str]],
        *,
        clock: Clock,
        age_seconds: float = AGE_SECONDS_MAX,
    ) -> None:
        """Take folders, each with the pattern of what in it is temporary."""
        self._places = tuple(places)
        self._clock = clock
        self._age_seconds = age_seconds
        self.cleaned = Cleaned()

    def clean(self) -> Cleaned:
        """Remove what is too old; blocking. What cannot be removed stays."""
        before = self._clock.now() - self._age_seconds
        files = size = 0
        for folder, pattern in self._places:
            for path in folder.glob(pattern):
                freed = _removed(path, before)
                files += freed is not None
                size += freed or 0
        done = self.cleaned
        now = self._clock.now()
        self.cleaned = Cleaned(done.files + files, done.bytes_ + size, now)
        return self.cleaned


def _removed(path: Path, before: float) -> int | None:
    """Remove a path last changed before a time; return its bytes, None if it stays."""
    try:
        facts = path.lstat()
        if facts.st_mtime >= before:
            return None
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError:
        return None
    return facts.st_size
