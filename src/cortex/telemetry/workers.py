"""Worker processes behind one port tell their metrics as one server.

Each listens on a socket in a folder of theirs and answers with what it counts. Whoever
is scraped asks the others. What a process has told is kept in a file first, so that a
process that dies leaves behind all that was ever seen of it: a sum never falls.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cortex.telemetry.exposition import Snapshot

ANSWER_SECONDS = 1.0
"""Wait for another worker; a busy one is told as it was last seen."""

SNAPSHOT_BYTES_MAX = 16 * 1024 * 1024
"""Bytes read from another worker: some hundred times what is usual."""

_SOCKET = ".sock"
_TOLD = ".told"


@dataclass(frozen=True, slots=True)
class Fleet:
    """The workers of one server.

    Attributes:
        folder: only theirs; empty when the first of them begins.
        started_at: epoch seconds; all counts were zero then.
    """

    folder: Path
    started_at: float


class Workers:
    """This process among the others."""

    def __init__(
        self, folder: Path, read: Callable[[], Snapshot], name: str = ""
    ) -> None:
        """Take the folder all of them share, and what tells this process' counts.

        Without a ``name`` it is the process' id.

        The folder's path must be short: sockets have names of 100 characters at most.
        """
        self._folder = folder
        self._read = read
        self._name = name or str(os.getpid())
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Answer the others from now on."""
        path = self._folder / f"{self._name}{_SOCKET}"
        self._server = await asyncio.start_unix_server(self._answer, path)

    async def close(self) -> None:
        """Leave behind what was counted, and answer no more."""
        server, self._server = self._server, None
        if server is None:
            return
        self._keep(self._read())
        server.close()
        with contextlib.suppress(FileNotFoundError):
            (self._folder / f"{self._name}{_SOCKET}").unlink()

    async def others(self, own: Snapshot) -> Sequence[tuple[Snapshot, bool]]:
        """Keep what is told of this process; return all others', and who lives."""
        self._keep(own)
        names = {
            path.stem
            for path in self._folder.iterdir()
            if path.suffix in {_SOCKET, _TOLD} and path.stem != self._name
        }
        found = await asyncio.gather(*(self._ask(name) for name in sorted(names)))
        return [one for one in found if one is not None]

    async def _ask(self, name: str) -> tuple[Snapshot, bool] | None:
        path = self._folder / f"{name}{_SOCKET}"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    snapshot = await reader.read(SNAPSHOT_BYTES_MAX)
                    while more := await reader.read(SNAPSHOT_BYTES_MAX):
                        snapshot += more
                finally:
                    writer.close()
            if snapshot:
                return snapshot, True
        except TimeoutError:
            return self._told(name, alive=True)
        except OSError:
            # Nobody listens: it died, or has not begun.
            pass
        return self._told(name, alive=False)

    def _told(self, name: str, *, alive: bool) -> tuple[Snapshot, bool] | None:
        try:
            return (self._folder / f"{name}{_TOLD}").read_bytes(), alive
        except FileNotFoundError:
            return None

    async def _answer(
        self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        snapshot = self._read()
        self._keep(snapshot)
        writer.write(snapshot)
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    def _keep(self, snapshot: Snapshot) -> None:
        """Write the snapshot whole or not at all."""
        path = self._folder / f"{self._name}{_TOLD}"
        partial = path.with_suffix(".partial")
        partial.write_bytes(snapshot)
        partial.replace(path)
