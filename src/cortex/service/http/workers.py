"""Several server processes behind one socket, watched over by their parent.

A child that dies is started again. One that refuses to start before any has served ends
the whole: what it refuses, the next would refuse as well. The stop signals are handed
on; the parent waits for the children's drain and ends with 0 when all of them ended
cleanly.
"""

import multiprocessing
import multiprocessing.connection
import signal
from collections.abc import Callable, Iterator
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

RESTART_LIMIT = 10
"""Deaths in a row, per worker, with none that came to serve between them, after which
the parent gives up."""

REFUSED = 78
"""Exit status of a child that cannot start as things are set (EX_CONFIG of sysexits.h);
the caller never sees it."""

WATCH_SECONDS = 1.0
"""Between two looks at the source files, and at the children."""

KILL_GRACE_SECONDS = 5.0
"""Beyond the drain time, before a child that does not end is killed."""

_CLEAN = (0, -signal.SIGTERM)
"""Ends of a child that lose no request: a child that serves ends itself with 0; one
that dies of the signal had not begun to serve."""

Snapshot = dict[Path, float]


class Flag:
    """A bit that processes share, without a lock: a killed one can leave none held."""

    def __init__(self, context: SpawnContext) -> None:
        """Begin unset."""
        self._bit = context.RawValue("b", 0)

    def set(self) -> None:
        """Set it, for all."""
        self._bit.value = 1

    def clear(self) -> None:
        """Unset it, for all."""
        self._bit.value = 0

    def is_set(self) -> bool:
        """Return whether somebody set it since it was cleared."""
        return bool(self._bit.value)


class Supervisor:
    """Keeps a number of child processes running until told to stop."""

    def __init__(
        self,
        start: Callable[[], BaseProcess],
        served: Flag,
        *,
        workers: int,
        drain_seconds: float,
        watched: Path | None = None,
    ) -> None:
        """Take how to make a child, and the flag it sets when it begins to serve.

        ``watched`` restarts them when a source changes.
        """
        self._start = start
        self._served = served
        self._deaths = 0
        self._works = False
        self._workers = workers
        self._drain_seconds = drain_seconds
        self._watched = watched
        self._stopping = False
        self._forced = False
        self._children: list[BaseProcess] = []

    def run(self) -> int:
        """Run until stopped; return the exit status of the whole."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        self._start_all()
        seen = self._sources()
        while not self._stopping:
            self._wait(WATCH_SECONDS)
            now = self._sources()
            if now != seen and not self._stopping:
                seen = now
                self._restart_all()
            self._look_after()
        return self._end()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._forced = self._stopping
        self._stop_children()

    def _stop_children(self) -> None:
        """Tell the children; a second time means *now* to them."""
        self._stopping = True
        for child in self._children:
            if child.is_alive():
                child.terminate()

    def _start_all(self) -> None:
        self._children.clear()
        for place in range(self._workers):
            self._start_in(place)

    def _start_in(self, place: int) -> None:
        """Start a child; a signal that comes meanwhile reaches it, too."""
        child = self._start()
        self._children[place : place + 1] = [child]
        child.start()
        if self._stopping:
            child.terminate()

    def _wait(self, seconds: float) -> None:
        alive = [child.sentinel for child in self._children if child.is_alive()]
        multiprocessing.connection.wait(alive, timeout=seconds)

    def _look_after(self) -> None:
        """Replace the dead, unless that is known to be in vain."""
        if self._stopping:
            return
        dead = [child for child in self._children if not child.is_alive()]
        if self._served.is_set():
            self._served.clear()
            self._works, self._deaths = True, 0
        self._deaths += len(dead)
        refused = any(child.exitcode == REFUSED for child in dead)
        if self._deaths > RESTART_LIMIT * self._workers or (
            refused and not self._works
        ):
            self._stop_children()
            return
        for child in dead:
            child.join()
            self._start_in(self._children.index(child))

    def _restart_all(self) -> None:
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.join(self._drain_seconds + KILL_GRACE_SECONDS)
            if child.is_alive():
                child.kill()
        self._start_all()

    def _end(self) -> int:
        for child in self._children:
            child.join(0 if self._forced else self._drain_seconds + KILL_GRACE_SECONDS)
            if child.is_alive():
                child.kill()
                child.join()
        return 0 if all(child.exitcode in _CLEAN for child in self._children) else 1

    def _sources(self) -> Snapshot:
        return dict(_changed(self._watched)) if self._watched else {}


def _changed(folder: Path) -> Iterator[tuple[Path, float]]:
    for path in sorted(folder.rglob("*.py")):
        try:
            yield path, path.stat().st_mtime
        except FileNotFoundError:
            continue
