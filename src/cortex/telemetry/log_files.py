"""Log lines of all worker processes, kept in a few files of bounded size.

Every worker appends whole lines to the newest file of one folder; who finds it full
begins the next and removes the oldest. Lines wait in memory for a second, so that no
request waits for the disk; standard error has each at once.
"""

import asyncio
import contextlib
import errno
import os
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson

from cortex.foundation.clock import Clock

FILES = 8
"""Files that share the room: the oldest eighth goes when it is needed."""

FLUSH_SECONDS = 1.0
"""Between two writes: what a line takes to be found, and what kill -9 may cost."""

PENDING_LINES_MAX = 10_000
"""Lines that wait; more are lost, and counted: they are on standard error, too."""

LOST = "log lines were not kept"
"""Event of the line that says how many a full disk, or a flood, has cost."""

SUFFIX = ".jsonl"
_OWNER_ONLY = 0o600


class LogFiles:
    """Appends lines of this process to what all processes of a home share."""

    def __init__(self, folder: Path, bytes_max: int, clock: Clock) -> None:
        """Keep ``bytes_max`` in ``folder``, which is made when there is a line."""
        self._folder = folder
        self._file_bytes = bytes_max // FILES
        self._clock = clock
        self._pending: deque[str] = deque()
        self._lost = 0

    def keep(self, line: str) -> None:
        """Take a line; called from any thread, never waits and never fails."""
        if len(self._pending) >= PENDING_LINES_MAX:
            self._lost += 1
        else:
            self._pending.append(line)

    async def run(self) -> None:
        """Write every second, until cancelled."""
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits; what a full disk does not take is lost, and counted."""
        lines = [self._pending.popleft() for _ in range(len(self._pending))]
        if not lines:
            return
        lost, self._lost = self._lost, 0
        if lost:
            lines.append(self._told(lost))
        try:
            await asyncio.to_thread(self._append, lines, after_loss=lost > 0)
        except OSError:
            self._lost += lost + len(lines) - (lost > 0)

    def _append(self, lines: Sequence[str], *, after_loss: bool) -> None:
        # After a loss half a line may stand there: an empty line ends it.
        block = ("\n" if after_loss else "") + "\n".join(lines) + "\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        file = os.open(self._newest(), flags, _OWNER_ONLY)
        try:
            # One call for the whole block: those of others come before or behind it.
            body = block.encode("utf-8", "backslashreplace")
            if os.write(file, body) < len(body):
                raise OSError(errno.ENOSPC, "the disk is full")
        finally:
            os.close(file)

    def _newest(self) -> Path:
        """Return the file to append to: a new one when the newest is full."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = files_in(self._folder)
        if files and files[-1].stat().st_size < self._file_bytes:
            return files[-1]
        for oldest in files[: max(0, len(files) - FILES + 1)]:
            with contextlib.suppress(FileNotFoundError):
                oldest.unlink()
        milliseconds = int(self._clock.now() * 1000)
        return self._folder / f"{milliseconds:013d}-{os.getpid()}{SUFFIX}"

    def _told(self, lost: int) -> str:
        moment = datetime.fromtimestamp(self._clock.now(), UTC)
        facts = {
            "event": LOST,
            "lines": lost,
            "level": "warning",
            "timestamp": moment.isoformat(timespec="milliseconds"),
        }
        return orjson.dumps(facts).decode()


def files_in(folder: Path) -> list[Path]:
    """Return the files of kept lines, the oldest first; none without a folder."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)
    except FileNotFoundError:
        return []
